//! Virtual users: the users that exist, the current iteration of each, its request in flight and that request's
//! deadline. Knows nothing about connections or about when iterations start.
//!
//! If every flow is one request without a program, an iteration is its request ([`Users::begin`], [`Users::finish`]). In
//! a plan with *journeys*, each iteration runs the program of its flow in a session of its user.
//!
//! # Layout
//!
//! - `mod.rs`: all users of a thread; `user.rs`: one of them; `deadlines.rs`: timeouts;
//! - `check.rs`: whether a response passes;
//! - `journey.rs`: programs; `session.rs`: the state of a user in its program; `advance.rs`: runs programs;
//! - `preparation.rs`: what a user does before its first iteration;
//! - `personal.rs`: variables and cookies in requests and of responses;
//! - `trace.rs`: the requests of an iteration, for a sample of it.

mod advance;
mod check;
mod deadlines;
mod journey;
mod personal;
mod preparation;
mod session;
mod trace;
mod user;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use crate::data::Data;
use crate::outcome::Outcome;
use crate::plan::{Model, Plan};
use crate::schedule::{Arrival, Shard};
use crate::template::Secrets;

pub(crate) use advance::Next;
pub(crate) use check::{Judged, Rules};
pub(crate) use trace::{End, Trace};
pub(crate) use user::{State, User};

use deadlines::Deadlines;
use journey::Journey;
use session::Sessions;

/// The users of a thread.
#[derive(Debug)]
pub(crate) struct Users {
    /// By flow: its first step.
    first_steps: Vec<u32>,
    /// By flow: its program; empty in a plan without journeys.
    journeys: Vec<Journey>,
    /// By step.
    rules: Vec<Rules>,
    /// By step: the index of its timeout's list.
    timeouts: Vec<u32>,
    all: Vec<User>,
    /// By user: what it remembers; empty in a plan without journeys.
    sessions: Vec<Sessions>,
    /// Number of traces, and those that are not in use.
    traces: usize,
    #[allow(clippy::vec_box)] // a trace is moved twice per iteration
    spare_traces: Vec<Box<Trace>>,
    deadlines: Deadlines,
    /// Open model: users without an iteration, the most recently used on top.
    free: Vec<u32>,
    /// Prepared users of the open model without an iteration, the one who has been free the longest first.
    ready: VecDeque<u32>,
    /// Closed model: users that currently do not run, by index.
    parked: BinaryHeap<Reverse<u32>>,
    /// Users whose request has just ended.
    freed: VecDeque<u32>,
    /// Maximum number of users.
    most: usize,
    /// Number of users in an iteration.
    running: usize,
    /// Number of those who think.
    thinking: usize,
    /// Number of users who start no other iteration.
    retired: usize,
    last_finish: u64,
    /// Closed model.
    pauses: bool,
    /// Users have several iterations, and numbers of their own: in the closed model, and if they are prepared.
    are_lasting: bool,
    /// The flow whose users do something before their first iteration.
    to_prepare: Option<u32>,
    counts_iterations: bool,
    seed: u64,
    shard: Shard,
    secrets: Secrets,
    data: Arc<Data>,
}

impl Users {
    /// Creates the users of a thread of a lane; `most` users at most in the open model.
    pub(crate) fn new(plan: &Plan, shard: Shard, most: usize) -> Users {
        let mut deadlines = Deadlines::default();
        let mut next = 0;
        let first_steps = plan.flows.iter().map(|flow| {
            let first = next;
            // There are at most 100,000 steps.
            next += u32::try_from(flow.steps.len()).unwrap_or(0);
            first
        });
        let first_steps: Vec<u32> = first_steps.collect();
        let journeys = plan.flows.iter().zip(&first_steps).map(|(flow, first)| Journey::new(flow, *first));
        Users {
            journeys: if plan.has_journeys() { journeys.collect() } else { Vec::new() },
            first_steps,
            rules: plan.steps().map(|(id, step)| Rules::new(id, step)).collect(),
            timeouts: plan.steps().map(|(_, step)| deadlines.list(step.timeout_ns)).collect(),
            all: Vec::new(),
            sessions: Vec::new(),
            traces: 0,
            spare_traces: Vec::new(),
            deadlines,
            free: Vec::new(),
            ready: VecDeque::new(),
            parked: BinaryHeap::new(),
            freed: VecDeque::new(),
            most,
            running: 0,
            thinking: 0,
            retired: 0,
            last_finish: 0,
            are_lasting: plan.lanes[shard.lane].load.model == Model::Closed
                || plan.lanes[shard.lane].prepared.is_some(),
            pauses: plan.lanes[shard.lane].load.model == Model::Closed,
            to_prepare: plan.lanes[shard.lane].flows.iter().find_map(|flow| {
                // There are at most 100,000 flows.
                (!plan.flows[*flow].before_user.is_empty()).then_some(u32::try_from(*flow).unwrap_or(0))
            }),
            counts_iterations: plan.counts_iterations(),
            seed: plan.seed,
            shard,
            secrets: Secrets::new(),
            data: Arc::default(),
        }
    }

    /// One user.
    #[inline]
    pub(crate) fn user(&self, user: u32) -> &User {
        &self.all[user as usize]
    }

    /// One user, and the rules of its request's step.
    #[inline]
    pub(crate) fn with_rules(&self, user: u32) -> (&User, &Rules) {
        let user = &self.all[user as usize];
        (user, &self.rules[user.request.step as usize])
    }

    /// The rules of a step.
    pub(crate) fn rules(&self, step: u32) -> &Rules {
        &self.rules[step as usize]
    }

    /// The endpoint under which arrivals of a flow are counted: that of its first step.
    #[inline]
    pub(crate) fn endpoint_of(&self, flow: usize) -> usize {
        self.rules[self.first_steps[flow] as usize].endpoint
    }

    /// True if an iteration may be more than its request.
    #[inline]
    pub(crate) fn has_journeys(&self) -> bool {
        !self.journeys.is_empty()
    }

    /// True if iterations have books of their own.
    pub(crate) fn counts_iterations(&self) -> bool {
        self.counts_iterations
    }

    /// Number of existing users that are neither parked nor retired.
    pub(crate) fn running_or_free(&self) -> usize {
        self.all.len().saturating_sub(self.parked.len() + self.retired)
    }

    /// Number of users in an iteration.
    #[inline]
    pub(crate) fn in_flight(&self) -> usize {
        self.running
    }

    /// Number of requests in flight.
    pub(crate) fn requests_in_flight(&self) -> usize {
        self.running - self.thinking
    }

    /// When the last request ended.
    pub(crate) fn last_finish(&self) -> u64 {
        self.last_finish
    }

    /// Open model: the most recently freed user, or a new one; of prepared users the one free for the longest time.
    pub(crate) fn take_free(&mut self) -> Option<u32> {
        if let Some(user) = self.free.pop() {
            return Some(user);
        }
        if self.to_prepare.is_some() {
            return self.ready.pop_front();
        }
        if self.all.len() >= self.most {
            return None;
        }
        Some(self.add())
    }

    /// Open model: whether [`Users::take_free`] would give a user.
    pub(crate) fn has_free(&self) -> bool {
        let may_add = self.to_prepare.is_none() && self.all.len() < self.most;
        may_add || !self.free.is_empty() || !self.ready.is_empty()
    }

    /// Open model: returns a user to the free ones.
    pub(crate) fn set_free(&mut self, user: u32) {
        if self.to_prepare.is_some() {
            self.ready.push_back(user);
        } else {
            self.free.push(user);
        }
    }

    fn add(&mut self) -> u32 {
        let state = if self.to_prepare.is_some() { State::Unprepared } else { State::Idle };
        self.all.push(User { state, ..User::new() });
        u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
    }

    /// Closed model: stops running the user.
    pub(crate) fn park(&mut self, user: u32) {
        self.all[user as usize].state = State::Idle;
        self.parked.push(Reverse(user));
    }

    /// Closed model: never runs the user again. Returns true if no user is left that could.
    pub(crate) fn retire(&mut self) -> bool {
        self.retired += 1;
        self.retired == self.all.len()
    }

    /// Closed model, and for prepared users: runs the first `count` users; those that were not running are queued to continue.
    pub(crate) fn raise(&mut self, count: usize) {
        while self.parked.peek().is_some_and(|Reverse(user)| (*user as usize) < count) {
            if let Some(Reverse(user)) = self.parked.pop() {
                self.freed.push_back(user);
            }
        }
        while self.all.len() < count {
            let user = self.add();
            self.freed.push_back(user);
        }
    }

    /// Number of users queued to continue.
    #[inline]
    pub(crate) fn freed(&self) -> usize {
        self.freed.len()
    }

    /// The next user to continue.
    #[inline]
    pub(crate) fn next_freed(&mut self) -> Option<u32> {
        self.freed.pop_front()
    }

    /// Starts no more iterations: only users within one continue.
    pub(crate) fn end_sending(&mut self) {
        let users = &self.all;
        self.freed.retain(|user| users[*user as usize].is_under_way());
    }

    /// Sets the state of a user outside iterations; returns the previous one.
    pub(crate) fn set_state(&mut self, user: u32, state: State) -> State {
        std::mem::replace(&mut self.all[user as usize].state, state)
    }

    /// Starts an iteration of `flow`, which is one request; returns its step.
    #[inline(always)]
    #[allow(clippy::inline_always)] // called for every request, in one place
    pub(crate) fn begin(&mut self, user: u32, arrival: Arrival, flow: usize, now: u64) -> u32 {
        let step = self.first_steps[flow];
        // There are at most 100,000 flows.
        self.all[user as usize].begin(arrival, u32::try_from(flow).unwrap_or(0), step, now);
        self.running += 1;
        self.deadlines.add(user, self.timeouts[step as usize], now);
        step
    }

    /// Ends the request of `user` at `now`, and with it its iteration.
    #[inline(always)]
    #[allow(clippy::inline_always)] // called for every request, in one place
    pub(crate) fn finish(&mut self, user: u32, outcome: Outcome, now: u64) {
        self.deadlines.remove(user);
        self.last_finish = now;
        let is_pause = self.pauses && outcome == Outcome::GeneratorError;
        self.all[user as usize].state = if is_pause { State::Pause } else { State::Idle };
        self.running -= 1;
        self.freed.push_back(user);
    }

    /// Whether the request of `user` may be sent a second time; true only once.
    pub(crate) fn retry(&mut self, user: u32) -> bool {
        self.all[user as usize].retry()
    }

    /// Ends all iterations in progress; returns their users, each with whether a request is in flight.
    pub(crate) fn abandon(&mut self, now: u64) -> Vec<(u32, bool)> {
        let numbered = self.all.iter().zip(0..);
        let under_way: Vec<(u32, bool)> = numbered
            .filter(|(user, _)| user.is_under_way())
            .map(|(user, index)| (index, user.state == State::Busy))
            .collect();
        for (user, _) in &under_way {
            self.all[*user as usize].state = State::Idle;
            self.deadlines.remove(*user);
        }
        (self.running, self.thinking) = (0, 0);
        self.freed.clear();
        self.last_finish = now;
        under_way
    }

    /// The time of the next deadline.
    #[inline]
    pub(crate) fn next_deadline(&self) -> u64 {
        self.deadlines.next()
    }

    /// A user whose timeout has passed.
    #[inline]
    pub(crate) fn expired(&self, now: u64) -> Option<u32> {
        self.deadlines.expired(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn alone(plan: &Plan) -> Users {
        Users::new(plan, Shard::all(plan, 0), 1)
    }

    fn arrival(number: u64) -> Arrival {
        Arrival { number, intended: 5, warm_up: false }
    }

    #[test]
    fn an_iteration_is_its_request_in_a_plan_without_journeys() {
        let mut users = alone(&fixtures::plan(|_| {}));
        assert!(users.has_free());
        let user = users.take_free().unwrap();
        assert_eq!((users.has_free(), users.take_free(), users.has_journeys()), (false, None, false));
        assert_eq!((users.begin(user, arrival(1), 0, 10), users.next_deadline()), (0, 1010));
        users.finish(user, Outcome::Timeout, 20);
        assert_eq!((users.user(user).state, users.in_flight(), users.last_finish()), (State::Idle, 0, 20));
        users.begin(user, arrival(2), 0, 30);
        // Closed model: a generator error is followed by a pause.
        users.finish(user, Outcome::GeneratorError, 40);
        assert_eq!((users.user(user).state, users.next_deadline()), (State::Pause, u64::MAX));
    }

    #[test]
    fn a_request_may_be_sent_a_second_time_once() {
        let mut users = alone(&fixtures::plan(|_| {}));
        let user = users.take_free().unwrap();
        users.begin(user, arrival(1), 0, 10);
        assert_eq!([users.retry(user), users.retry(user)], [true, false]);
        users.finish(user, Outcome::Ok, 20);
        users.begin(user, arrival(2), 0, 30);
        assert!(users.retry(user));
    }

    #[test]
    fn parked_users_come_back_by_their_index() {
        let mut users = alone(&fixtures::plan(|_| {}));
        users.raise(3);
        for user in [2, 0, 1] {
            users.park(user);
        }
        while users.next_freed().is_some() {}
        assert_eq!(users.running_or_free(), 0);
        users.raise(2);
        assert_eq!((users.next_freed(), users.next_freed(), users.next_freed()), (Some(0), Some(1), None));
        assert_eq!(users.running_or_free(), 2);
    }
}
