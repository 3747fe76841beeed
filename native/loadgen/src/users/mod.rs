//! Virtual users: the users that exist, the current iteration of each, its request in flight and that request's
//! deadline.
//!
//! An iteration runs the steps of its flow in order. After a full response with any outcome it continues with the next
//! step; a request without one ends it. Knows nothing about connections or about when iterations start.

mod check;
mod deadlines;
mod user;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::outcome::{IterationEnd, Outcome};
use crate::plan::{Model, Plan};
use crate::schedule::Arrival;

pub(crate) use check::Rules;
pub(crate) use user::{State, User};

use deadlines::Deadlines;

/// The users of a thread.
#[derive(Debug)]
pub(crate) struct Users {
    /// By flow: its first and its last step.
    flows: Vec<(u32, u32)>,
    /// By step.
    rules: Vec<Rules>,
    /// By step: the index of its timeout's list.
    timeouts: Vec<u32>,
    all: Vec<User>,
    deadlines: Deadlines,
    /// Open model: users without an iteration, the most recently used on top.
    free: Vec<u32>,
    /// Closed model: users that currently do not run, by index.
    parked: BinaryHeap<Reverse<u32>>,
    /// Users whose request has just ended.
    freed: VecDeque<u32>,
    /// Maximum number of users.
    most: usize,
    /// Number of users in an iteration.
    running: usize,
    last_finish: u64,
    pauses: bool,
    has_many_steps: bool,
}

impl Users {
    /// Creates the users of a thread of a lane; `most` users at most in the open model.
    pub(crate) fn new(plan: &Plan, lane: usize, most: usize) -> Users {
        let mut deadlines = Deadlines::default();
        let mut next = 0;
        let flows = plan.flows.iter().map(|flow| {
            let first = next;
            // There are at most 100,000 steps.
            next += u32::try_from(flow.steps.len()).unwrap_or(0);
            (first, next - 1)
        });
        Users {
            flows: flows.collect(),
            rules: plan.steps().map(|(id, step)| Rules::new(id, step)).collect(),
            timeouts: plan.steps().map(|(_, step)| deadlines.list(step.timeout_ns)).collect(),
            all: Vec::new(),
            deadlines,
            free: Vec::new(),
            parked: BinaryHeap::new(),
            freed: VecDeque::new(),
            most,
            running: 0,
            last_finish: 0,
            pauses: plan.lanes[lane].load.model == Model::Closed,
            has_many_steps: plan.is_multi_step(),
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

    /// The endpoint under which arrivals of a flow are counted: that of its first step.
    #[inline]
    pub(crate) fn endpoint_of(&self, flow: usize) -> usize {
        self.rules[self.flows[flow].0 as usize].endpoint
    }

    /// True if a flow has more than one step.
    #[inline]
    pub(crate) fn has_many_steps(&self) -> bool {
        self.has_many_steps
    }

    /// Number of existing users that are not parked.
    pub(crate) fn running_or_free(&self) -> usize {
        self.all.len().saturating_sub(self.parked.len())
    }

    /// Number of users in an iteration.
    #[inline]
    pub(crate) fn in_flight(&self) -> usize {
        self.running
    }

    /// When the last request ended.
    pub(crate) fn last_finish(&self) -> u64 {
        self.last_finish
    }

    /// Open model: the most recently freed user, or a new one.
    pub(crate) fn take_free(&mut self) -> Option<u32> {
        if let Some(user) = self.free.pop() {
            return Some(user);
        }
        if self.all.len() >= self.most {
            return None;
        }
        Some(self.add())
    }

    /// Open model: returns a user to the free ones.
    pub(crate) fn set_free(&mut self, user: u32) {
        self.free.push(user);
    }

    fn add(&mut self) -> u32 {
        self.all.push(User::new());
        u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
    }

    /// Closed model: stops running the user.
    pub(crate) fn park(&mut self, user: u32) {
        self.all[user as usize].state = State::Idle;
        self.parked.push(Reverse(user));
    }

    /// Closed model: runs the first `count` users; those that were not running are queued to continue.
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
        self.freed.retain(|user| users[*user as usize].state == State::NextStep);
    }

    /// Sets the state of a user outside iterations; returns the previous one.
    pub(crate) fn set_state(&mut self, user: u32, state: State) -> State {
        std::mem::replace(&mut self.all[user as usize].state, state)
    }

    /// Starts an iteration of `flow`; returns its first step.
    #[inline(always)]
    #[allow(clippy::inline_always)] // called for every request, in one place
    pub(crate) fn begin(&mut self, user: u32, arrival: Arrival, flow: usize, now: u64) -> u32 {
        let steps = self.flows[flow];
        // There are at most 100,000 flows.
        self.all[user as usize].begin(arrival, u32::try_from(flow).unwrap_or(0), steps, now);
        self.running += 1;
        self.deadlines.add(user, self.timeouts[steps.0 as usize], now);
        steps.0
    }

    /// Starts the next step of the iteration of `user`, and returns it. It was due when the previous step ended.
    pub(crate) fn begin_next_step(&mut self, user: u32, now: u64) -> u32 {
        let state = &mut self.all[user as usize];
        let step = state.next_step().unwrap_or(state.request.step);
        // Between steps, `intended` is the end of the previous one.
        state.begin_request(step, state.request.intended, now);
        self.deadlines.add(user, self.timeouts[step as usize], now);
        step
    }

    /// Ends the request of `user` at `now`, and possibly its iteration.
    #[inline(always)]
    #[allow(clippy::inline_always)] // called for every request, in one place
    pub(crate) fn finish(&mut self, user: u32, outcome: Outcome, now: u64) -> Option<IterationEnd> {
        self.deadlines.remove(user);
        self.last_finish = now;
        let state = &mut self.all[user as usize];
        if state.next_step().is_some() && outcome.is_full_response() {
            state.state = State::NextStep;
            state.request.intended = now;
            self.freed.push_back(user);
            return None;
        }
        let is_pause = self.pauses && outcome == Outcome::GeneratorError;
        state.state = if is_pause { State::Pause } else { State::Idle };
        self.running -= 1;
        self.freed.push_back(user);
        Some(match outcome {
            Outcome::Unfinished => IterationEnd::Unfinished,
            outcome if outcome.is_full_response() => IterationEnd::Completed,
            _ => IterationEnd::Failed,
        })
    }

    /// Whether the request of `user` may be sent a second time; true only once.
    pub(crate) fn retry(&mut self, user: u32) -> bool {
        self.all[user as usize].retry()
    }

    /// Ends all iterations in progress; returns their users, each with whether a request is in flight.
    pub(crate) fn abandon(&mut self, now: u64) -> Vec<(u32, bool)> {
        let numbered = self.all.iter().zip(0..);
        let is_under_way = |state| matches!(state, State::Busy | State::NextStep);
        let under_way: Vec<(u32, bool)> = numbered
            .filter(|(user, _)| is_under_way(user.state))
            .map(|(user, index)| (index, user.state == State::Busy))
            .collect();
        for (user, _) in &under_way {
            self.all[*user as usize].state = State::Idle;
            self.deadlines.remove(*user);
        }
        self.running = 0;
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

    fn arrival(number: u64) -> Arrival {
        Arrival { number, intended: 5, warm_up: false }
    }

    #[test]
    fn an_iteration_runs_its_steps_in_order_and_each_begins_where_the_one_before_ended() {
        let mut users = Users::new(&fixtures::plan(fixtures::three_steps), 0, 1);
        let user = users.take_free().unwrap();
        assert_eq!(users.take_free(), None);
        assert_eq!(users.begin(user, arrival(1), 0, 10), 0);
        for (end, step) in [(20, 1), (30, 2)] {
            assert_eq!(users.finish(user, Outcome::UnexpectedStatus, end), None);
            assert_eq!((users.in_flight(), users.next_deadline()), (1, u64::MAX));
            assert_eq!(users.next_freed(), Some(user));
            assert_eq!((users.user(user).state, users.begin_next_step(user, end + 2)), (State::NextStep, step));
            let (state, rules) = users.with_rules(user);
            assert_eq!((state.request.intended, state.request.actual, rules.endpoint), (end, end + 2, step as usize));
            assert_eq!(users.next_deadline(), end + 2 + 1000);
        }
        assert_eq!(users.finish(user, Outcome::Ok, 40), Some(IterationEnd::Completed));
        assert_eq!((users.in_flight(), users.last_finish()), (0, 40));
    }

    #[test]
    fn a_step_without_a_response_ends_its_iteration() {
        let mut users = Users::new(&fixtures::plan(fixtures::three_steps), 0, 1);
        let user = users.take_free().unwrap();
        users.begin(user, arrival(1), 0, 10);
        assert_eq!(users.finish(user, Outcome::Timeout, 20), Some(IterationEnd::Failed));
        assert_eq!((users.user(user).state, users.in_flight()), (State::Idle, 0));
        users.begin(user, arrival(2), 0, 30);
        // Closed model: a generator error is followed by a pause.
        assert_eq!(users.finish(user, Outcome::GeneratorError, 40), Some(IterationEnd::Failed));
        assert_eq!(users.user(user).state, State::Pause);
    }

    #[test]
    fn the_end_of_sending_lets_iterations_go_on_and_abandoning_ends_them() {
        let mut users = Users::new(&fixtures::plan(fixtures::three_steps), 0, 9);
        users.raise(3);
        let all: Vec<u32> = std::iter::from_fn(|| users.next_freed()).collect();
        assert_eq!(all, [0, 1, 2]);
        for user in all {
            users.begin(user, arrival(1), 0, 10);
        }
        users.finish(0, Outcome::Ok, 20);
        users.finish(1, Outcome::Timeout, 20);
        users.end_sending();
        assert_eq!((users.freed(), users.in_flight()), (1, 2));
        assert_eq!(users.abandon(50), [(0, false), (2, true)]);
        assert_eq!(
            (users.freed(), users.in_flight(), users.next_deadline(), users.last_finish()),
            (0, 0, u64::MAX, 50)
        );
    }

    #[test]
    fn a_request_may_be_sent_a_second_time_once() {
        let mut users = Users::new(&fixtures::plan(|_| {}), 0, 1);
        let user = users.take_free().unwrap();
        users.begin(user, arrival(1), 0, 10);
        assert_eq!([users.retry(user), users.retry(user)], [true, false]);
        users.finish(user, Outcome::Ok, 20);
        users.begin(user, arrival(2), 0, 30);
        assert!(users.retry(user));
    }

    #[test]
    fn parked_users_come_back_by_their_index() {
        let mut users = Users::new(&fixtures::plan(|_| {}), 0, 1);
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
