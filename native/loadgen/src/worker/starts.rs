//! Starts iterations: due arrivals, and users that continue.

use std::cmp::Reverse;

use super::Worker;
use crate::schedule::{Admission, Arrival, NextAction};
use crate::users::State;

/// Arrivals to start before the loop checks its sockets again.
const ARRIVALS_PER_STEP: usize = 32;
/// Limit per turn of users that continue without a response (after an immediate refusal, for example).
const FREED_PER_TURN: usize = 256;
/// Pause of a closed-model user after a generator error, to relieve a machine without free ports.
const PAUSE: u64 = 100_000_000;

impl Worker {
    /// Starts the run.
    pub(super) fn begin(&mut self) {
        if self.parts.schedule.is_over() {
            return;
        }
        self.parts.schedule.begin();
        if self.parts.schedule.is_closed() {
            self.raise_users();
        } else {
            self.parts.users.raise(self.parts.schedule.users_to_prepare());
        }
    }

    /// Open model: starts due arrivals, and the one after them if it may start with them. After a pause there are many,
    /// and responses must be read in between.
    pub(super) fn take_arrivals(&mut self) {
        for _ in 0..ARRIVALS_PER_STEP {
            let Some(arrival) = self.parts.schedule.take_before(self.parts.now + 1) else { return };
            self.arrive(arrival);
            // An early arrival must not wait for a user who would be free at its own time.
            if self.parts.schedule.waiting() == 0
                && self.parts.users.has_free()
                && let Some(second) = self.parts.schedule.take_second(arrival, self.parts.now)
            {
                self.arrive(second);
            }
        }
    }

    /// Open model: starts all arrivals due before `limit`.
    pub(super) fn take_arrivals_before(&mut self, limit: u64) {
        while let Some(arrival) = self.parts.schedule.take_before(limit) {
            self.arrive(arrival);
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        self.touch();
        let late = self.parts.now.saturating_sub(arrival.intended);
        let user = if self.parts.schedule.waiting() == 0 { self.parts.users.take_free() } else { None };
        let flow = self.parts.schedule.flow(arrival);
        let endpoint = self.parts.users.endpoint_of(flow);
        match (self.parts.schedule.admit(arrival, late, user.is_some()), user) {
            (Admission::Start, Some(user)) => {
                self.parts.ledger.generator().schedule_lag.record(late);
                self.start(user, arrival, flow);
            }
            (Admission::Skip, Some(user)) => {
                self.parts.ledger.figures(endpoint, arrival.warm_up).skipped += 1;
                self.parts.users.set_free(user);
            }
            (Admission::Drop, _) => {
                self.parts.ledger.generator().saturated = true;
                self.parts.ledger.figures(endpoint, arrival.warm_up).dropped += 1;
            }
            _ => self.parts.ledger.generator().saturated = true,
        }
    }

    /// Continues with users whose request has ended.
    pub(super) fn take_freed(&mut self) {
        // Users freed meanwhile wait for the next turn.
        for turn in 0..self.parts.users.freed().min(FREED_PER_TURN) {
            let Some(user) = self.parts.users.next_freed() else { return };
            if turn > 0 && self.reads_first {
                // Sending the request before has taken longer than anything else here.
                self.touch();
            }
            match self.parts.users.user(user).state {
                State::Idle if self.parts.schedule.is_closed() => self.continue_closed(user),
                State::Idle => self.continue_open(user),
                State::Pause => self.timers.push(Reverse((self.parts.now + PAUSE, user))),
                state => self.continue_journey(user, state),
            }
        }
    }

    fn continue_open(&mut self, user: u32) {
        let Some(arrival) = self.parts.schedule.take_waiting(self.parts.now) else {
            self.parts.users.set_free(user);
            return;
        };
        let flow = self.parts.schedule.flow(arrival);
        let wait = self.parts.now.saturating_sub(arrival.intended);
        let figures = self.parts.ledger.figures(self.parts.users.endpoint_of(flow), arrival.warm_up);
        figures.waited += 1;
        figures.clamped += u64::from(figures.waits.record(wait));
        self.start(user, arrival, flow);
    }

    #[inline]
    pub(super) fn continue_closed(&mut self, user: u32) {
        let action = self.parts.schedule.next_action(user, self.parts.now);
        self.act(user, action);
    }

    #[inline]
    pub(super) fn act(&mut self, user: u32, action: NextAction) {
        match action {
            NextAction::Start { intended } => {
                if self.parts.schedule.has_tokens() {
                    self.parts.ledger.generator().schedule_lag.record(0);
                }
                self.start_closed(user, intended);
            }
            NextAction::Token { due } => {
                self.parts.users.set_state(user, State::Token);
                self.timers.push(Reverse((due, user)));
            }
            NextAction::Park => self.parts.users.park(user),
            NextAction::End => {
                self.transport.close_user(user);
                self.parts.users.park(user);
            }
        }
    }

    /// A token, the end of a pause or a think time, or the next iteration of a paced user is due.
    pub(super) fn on_timer(&mut self, user: u32, due: u64) {
        match self.parts.users.set_state(user, State::Idle) {
            State::Pause => self.continue_closed(user),
            State::Think => self.end_thinking(user),
            State::Pace => self.continue_paced(user, due),
            State::Unprepared => self.prepare_in_turn(user, due),
            State::Token if self.parts.users.prepare_again() => self.prepare(user),
            _ if self.parts.schedule.may_start(due) => self.start_late(user, due),
            _ => self.parts.users.park(user),
        }
    }

    /// Closed model: starts an iteration that was due at `due`.
    pub(super) fn start_late(&mut self, user: u32, due: u64) {
        self.touch();
        self.parts.ledger.generator().schedule_lag.record(self.parts.now.saturating_sub(due));
        self.start_closed(user, due);
    }

    #[inline]
    fn start_closed(&mut self, user: u32, intended: u64) {
        match self.parts.schedule.take(intended, self.parts.now) {
            Some(arrival) => self.start(user, arrival, self.parts.schedule.flow(arrival)),
            None => self.parts.users.park(user),
        }
    }

    /// Starts an iteration, and with it the request of its first step.
    #[inline]
    fn start(&mut self, user: u32, arrival: Arrival, flow: usize) {
        if self.parts.users.has_journeys() {
            return self.start_journey(user, arrival, flow);
        }
        let step = self.parts.users.begin(user, arrival, flow, self.parts.now);
        self.parts.ledger.figures(self.parts.users.endpoint_of(flow), arrival.warm_up).started += 1;
        self.transport.request(user, step, arrival.number, &mut self.parts);
    }

    /// Closed model: starts the users that should exist and do not run.
    pub(super) fn raise_users(&mut self) {
        let count = self.parts.schedule.raise(self.parts.now);
        self.parts.users.raise(count);
    }

    /// Starts the next leg when everything of the previous one has ended.
    pub(super) fn open_barrier(&mut self) {
        self.touch();
        self.parts.schedule.open_barrier(self.parts.now);
        if self.parts.schedule.is_closed() {
            self.raise_users();
            self.take_freed();
        } else {
            self.take_arrivals();
        }
    }
}
