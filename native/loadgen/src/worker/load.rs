//! Which user starts what when.

use std::cmp::Reverse;

use super::user::{State, User};
use super::{FREED_PER_TURN, Worker};
use crate::deadlines::NONE;
use crate::message::Message;
use crate::outcome::{Outcome, StopReason};
use crate::plan::{CatchUp, Model, Saturation};
use crate::schedule::{Due, Next};

/// An arrival noticed later than this is one that `catch_up: none` skips.
const LATE: u64 = 10_000_000;
/// Arrivals that are started before the loop looks at its sockets again.
const ARRIVALS_PER_STEP: usize = 32;
/// A closed-model user pauses so long after a generator error.
const PAUSE: u64 = 100_000_000;

impl Worker {
    /// The first moment of the run.
    pub(super) fn begin(&mut self) {
        if self.sending_over {
            return;
        }
        let closed = self.shared.plan.load.model == Model::Closed;
        self.set_leg_end();
        if closed {
            self.next_rise = 0;
            self.raise_users();
        } else {
            self.look_ahead();
        }
    }

    /// Where time ends this leg, and with the last one all sending.
    fn set_leg_end(&mut self) {
        let end = self.schedule.leg_end().unwrap_or(u64::MAX);
        if self.schedule.has_next_leg() && self.shared.plan.total_requests.is_none() {
            self.leg_end = end;
        } else {
            self.leg_end = u64::MAX;
            if end < u64::MAX && self.shared.plan.load.model == Model::Closed {
                self.end_of_sending = end;
                self.reason = self.schedule.end_reason();
            }
        }
    }

    /// Open model: looks at what comes next.
    fn look_ahead(&mut self) {
        match self.schedule.peek() {
            Next::Arrival(due) => self.next_due = due.intended,
            Next::LegOver(at) => {
                self.next_due = u64::MAX;
                self.leg_end = at;
            }
            Next::Over(at, reason) => {
                self.next_due = u64::MAX;
                self.end_of_sending = at;
                self.reason = reason;
            }
        }
    }

    /// Open model: what is due by now. After a pause that is much, and answers must be read between.
    pub(super) fn take_arrivals(&mut self) {
        for _ in 0..ARRIVALS_PER_STEP {
            if self.next_due > self.now || !self.take_arrival() {
                return;
            }
        }
    }

    /// Open model: everything that is due before `limit`.
    pub(super) fn take_arrivals_before(&mut self, limit: u64) {
        while self.next_due < limit && self.take_arrival() {}
    }

    fn take_arrival(&mut self) -> bool {
        let Next::Arrival(due) = self.schedule.peek() else { return false };
        self.schedule.advance();
        self.look_ahead();
        self.arrive(due);
        true
    }

    fn arrive(&mut self, due: Due) {
        self.touch();
        let late = self.now.saturating_sub(due.intended);
        let user = if self.waiting.is_empty() { self.free_user() } else { None };
        let (catch_up, most) = (self.shared.plan.load.catch_up, self.shared.plan.load.catch_up_max_ns);
        let flow = self.schedule.flow(due.number, due.warm_up);
        let endpoint = self.routes[flow].endpoint;
        match user {
            Some(user) => {
                let skipped = if catch_up == CatchUp::None { late > LATE } else { late > most };
                if skipped {
                    self.second.figures(endpoint, due.warm_up).skipped += 1;
                    self.free.push(user);
                } else {
                    self.second.generator.schedule_lag.record(late);
                    self.start(user, due);
                }
            }
            None if self.shared.plan.load.on_saturation == Saturation::Drop => {
                self.second.generator.saturated = true;
                self.second.figures(endpoint, due.warm_up).dropped += 1;
            }
            None => {
                self.second.generator.saturated = true;
                self.waiting.push_back(due);
            }
        }
    }

    /// Open model: the free user that was busy last, or a new one.
    fn free_user(&mut self) -> Option<u32> {
        if let Some(user) = self.free.pop() {
            return Some(user);
        }
        if self.users.len() >= self.most_users {
            return None;
        }
        self.users.push(User::new());
        u32::try_from(self.users.len() - 1).ok()
    }

    /// Users whose request has ended go on.
    pub(super) fn take_freed(&mut self) {
        // Those that are freed meanwhile wait for the next turn.
        for _ in 0..self.freed.len().min(FREED_PER_TURN) {
            let Some(user) = self.freed.pop_front() else { return };
            if self.shared.plan.load.model == Model::Open {
                self.go_on_open(user);
            } else {
                self.go_on_closed(user);
            }
        }
    }

    fn go_on_open(&mut self, user: u32) {
        if self.sending_over || self.now >= self.end_of_sending {
            self.free.push(user);
            return;
        }
        let Some(due) = self.waiting.pop_front() else {
            self.free.push(user);
            return;
        };
        let flow = self.schedule.flow(due.number, due.warm_up);
        let wait = self.now.saturating_sub(due.intended);
        let figures = self.second.figures(self.routes[flow].endpoint, due.warm_up);
        figures.waited += 1;
        figures.clamped += u64::from(figures.waits.record(wait));
        self.start(user, due);
    }

    #[inline]
    fn go_on_closed(&mut self, user: u32) {
        if self.sending_over
            || self.total_reached
            || self.now >= self.end_of_sending.min(self.leg_end)
            || self.barrier.is_some()
        {
            self.park(user);
            return;
        }
        if self.users_vary && self.schedule.users(self.now) <= self.global_index(user) {
            self.end_user(user);
            return;
        }
        match self.token_gap {
            None => self.start_closed(user, self.now),
            Some(gap) => {
                let token = self.shared.next_token.reserve(self.now, gap);
                if token <= self.now {
                    self.second.generator.schedule_lag.record(0);
                    self.start_closed(user, token);
                } else {
                    self.users[user as usize].state = State::Token;
                    self.timers.push(Reverse((token, user)));
                }
            }
        }
    }

    /// A token of `max_rate` is due, or the pause after a generator error is over.
    pub(super) fn on_timer(&mut self, user: u32, due: u64) {
        let state = std::mem::replace(&mut self.users[user as usize].state, State::Idle);
        if state == State::Pause {
            self.go_on_closed(user);
        } else if self.sending_over || self.total_reached || due >= self.end_of_sending.min(self.leg_end) {
            self.park(user);
        } else {
            self.touch();
            self.second.generator.schedule_lag.record(self.now.saturating_sub(due));
            self.start_closed(user, due);
        }
    }

    /// Closed model: a pause, so that a machine without ports is not made worse.
    pub(super) fn pause(&mut self, user: u32) {
        self.users[user as usize].state = State::Pause;
        self.timers.push(Reverse((self.now + PAUSE, user)));
    }

    fn start_closed(&mut self, user: u32, intended: u64) {
        let warm_up = intended < self.shared.plan.load.warm_up_ns;
        if !warm_up && let Some(total) = self.shared.plan.total_requests {
            // Legs exist on one thread only, so nobody takes a ticket between the look and the taking.
            if self.schedule.has_next_leg()
                && self.schedule.leg_limit().is_some_and(|limit| self.shared.tickets.get() >= limit)
            {
                self.barrier = Some(self.now);
                self.park(user);
                return;
            }
            if self.shared.tickets.take() >= total {
                self.reach_total();
                self.park(user);
                return;
            }
        }
        let number = self.shared.numbers.take() + 1;
        self.start(user, Due { number, intended, warm_up });
    }

    #[inline]
    fn start(&mut self, user: u32, due: Due) {
        let flow = self.schedule.flow(due.number, due.warm_up);
        let route = &self.routes[flow];
        let (endpoint, list, origin) = (route.endpoint, route.deadline_list, route.origin);
        let state = &mut self.users[user as usize];
        state.state = State::Busy;
        // Flows are at most 100,000.
        state.flow = u32::try_from(flow).unwrap_or(NONE);
        state.warm_up = due.warm_up;
        state.redialled = false;
        state.hop = None;
        state.number = due.number;
        state.intended = due.intended;
        state.actual = self.now;
        state.first_byte = 0;
        self.in_flight += 1;
        self.deadlines.add(user, list, self.now);
        self.second.figures(endpoint, due.warm_up).started += 1;
        self.connect(user, origin);
    }

    /// Closed model: the total is sent, and sending ends with the last finish.
    pub(super) fn reach_total(&mut self) {
        if !self.total_reached && !self.sending_over {
            self.total_reached = true;
            self.reason = StopReason::Total;
            self.end_of_sending = u64::MAX;
        }
    }

    fn park(&mut self, user: u32) {
        self.users[user as usize].state = State::Idle;
        self.parked.push(Reverse(user));
    }

    /// A ramp goes down: this user ends, and its connections with it.
    fn end_user(&mut self, user: u32) {
        for (_, connection) in std::mem::take(&mut self.users[user as usize].owned) {
            self.connections.close(connection);
        }
        self.park(user);
        self.next_rise = self.next_rise_from(self.schedule.users(self.now));
    }

    fn global_index(&self, user: u32) -> usize {
        user as usize * self.shard.of + self.shard.index
    }

    /// How many of the first `users` users are this thread's.
    fn local(&self, users: usize) -> usize {
        users.saturating_sub(self.shard.index).div_ceil(self.shard.of)
    }

    fn next_rise_from(&self, users: usize) -> u64 {
        if !self.users_vary {
            return u64::MAX;
        }
        self.schedule.next_rise(users, self.now + 1).unwrap_or(u64::MAX)
    }

    /// Closed model: begins the users that should exist and do not run.
    pub(super) fn raise_users(&mut self) {
        let users = self.schedule.users(self.now);
        let local = self.local(users);
        while self.parked.peek().is_some_and(|Reverse(user)| (*user as usize) < local) {
            if let Some(Reverse(user)) = self.parked.pop() {
                self.freed.push_back(user);
            }
        }
        while self.users.len() < local {
            self.users.push(User::new());
            self.freed.push_back(u32::try_from(self.users.len() - 1).unwrap_or(NONE));
        }
        self.next_rise = self.next_rise_from(users);
    }

    /// The time of a leg is over: no more starts until everything in flight has ended.
    pub(super) fn end_leg(&mut self) {
        let planned = std::mem::replace(&mut self.leg_end, u64::MAX);
        self.barrier = Some(planned);
        self.next_due = u64::MAX;
    }

    /// Everything of a leg has ended: the next one begins.
    pub(super) fn open_barrier(&mut self) {
        let planned = self.barrier.take().unwrap_or(self.now);
        self.touch();
        self.schedule.open_leg(planned.min(self.now), self.now);
        self.set_leg_end();
        if self.shared.plan.load.model == Model::Closed {
            self.raise_users();
            self.take_freed();
        } else {
            self.look_ahead();
            self.take_arrivals();
        }
    }

    /// A request's time is over.
    pub(super) fn time_out(&mut self, user: u32) {
        self.touch();
        let timeout = self.shared.plan.flows[self.users[user as usize].flow as usize].steps[0].timeout_ns;
        self.fail(user, Outcome::Timeout, &Message::Timeout(timeout));
    }
}
