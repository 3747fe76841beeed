//! Continues iterations that are more than their request: steps, think times, pace, and the end of an iteration.

use std::cmp::Reverse;

use super::Worker;
use super::parts::Parts;
use crate::clock;
use crate::outcome::{IterationEnd, Outcome};
use crate::plan::program::OnFail;
use crate::scenario::Answer;
use crate::schedule::{Arrival, NextAction};
use crate::template::Values;
use crate::transport::{Ended, Exchanged};
use crate::users::{Judged, Next, State};

impl Worker {
    /// Starts an iteration, and with it the request of its first step, unless its program begins otherwise.
    #[inline(never)]
    pub(super) fn start_journey(&mut self, user: u32, arrival: Arrival, flow: usize) {
        let next = self.parts.users.begin_journey(user, arrival, flow, self.parts.now);
        let flow = self.parts.users.user(user).iteration.flow;
        if self.parts.users.counts_iterations() {
            self.parts.ledger.iterations(flow, arrival.warm_up).started += 1;
        }
        let Parts { users, ledger, .. } = &mut self.parts;
        users.begin_rows(user, |table, row, was_used| ledger.count_row(table, row, was_used));
        if ledger.may_want_iteration(flow as usize, arrival.warm_up) {
            users.trace(user);
        }
        self.begin_with(user, next);
    }

    /// Continues with a user of a journey whose request has ended.
    #[inline(never)]
    pub(super) fn continue_journey(&mut self, user: u32, state: State) {
        match state {
            State::NextStep => {
                let due = self.parts.users.user(user).request.intended;
                self.parts.ledger.generator().schedule_lag.record(self.parts.now.saturating_sub(due));
                self.start_step(user);
            }
            State::Unprepared => {
                let due = self.parts.users.user(user).request.intended;
                if self.parts.users.prepare_again() {
                    self.transport.close_user(user);
                }
                if due > self.parts.now {
                    self.timers.push(Reverse((due, user)));
                } else {
                    self.prepare_in_turn(user, due);
                }
            }
            State::Retired => {
                self.transport.close_user(user);
                if self.parts.users.retire() {
                    // No user is left to send the rest of the load.
                    self.parts.schedule.stop(self.parts.now);
                }
            }
            // In a think time, or between two iterations of a paced user.
            _ => self.timers.push(Reverse((self.parts.users.user(user).request.intended, user))),
        }
    }

    /// Starts what comes before the first iteration of a user who is ready since `due`; in the open model when its turn
    /// has come.
    pub(super) fn prepare_in_turn(&mut self, user: u32, due: u64) {
        if !self.parts.users.prepare_again() {
            return self.prepare(user);
        }
        let token = self.parts.schedule.preparation_token(due);
        if token > self.parts.now {
            self.parts.users.set_state(user, State::Token);
            self.timers.push(Reverse((token, user)));
        } else {
            self.prepare(user);
        }
    }

    /// Starts what comes before the first iteration of a user, if the user should run now.
    pub(super) fn prepare(&mut self, user: u32) {
        self.touch();
        if !self.parts.schedule.should_prepare(user, self.parts.now) {
            self.transport.close_user(user);
            self.parts.users.park_unprepared(user);
            return;
        }
        let warm_up = self.parts.schedule.prepares_in_warm_up(self.parts.now);
        let next = self.parts.users.begin_preparation(user, self.parts.now, warm_up);
        let Parts { users, ledger, .. } = &mut self.parts;
        users.begin_rows_of_user(user, |table, row, was_used| ledger.count_row(table, row, was_used));
        self.begin_with(user, next);
    }

    /// Starts the first operation of `user` at once if it is a request.
    fn begin_with(&mut self, user: u32, next: Next) {
        if next == Next::Under && self.parts.users.user(user).state == State::NextStep {
            self.start_step(user);
        } else {
            self.parts.go_on(user, next);
        }
    }

    /// Starts the request of the next step.
    fn start_step(&mut self, user: u32) {
        let step = self.parts.users.begin_step(user, self.parts.now);
        let (state, rules) = self.parts.users.with_rules(user);
        let arrival = state.iteration.arrival;
        self.parts.ledger.figures(rules.endpoint, arrival.warm_up).started += 1;
        self.transport.request(user, step, arrival.number, &mut self.parts);
    }

    /// Continues the iteration of a user whose think time is over.
    pub(super) fn end_thinking(&mut self, user: u32) {
        self.touch();
        let next = self.parts.users.end_thinking(user, self.parts.now);
        self.parts.go_on(user, next);
    }

    /// Closed model: starts the iteration of a paced user that was due at `due`.
    pub(super) fn continue_paced(&mut self, user: u32, due: u64) {
        self.touch();
        match self.parts.schedule.next_action(user, self.parts.now) {
            NextAction::Start { intended } if intended == self.parts.now => self.start_late(user, due),
            action => self.act(user, action),
        }
    }
}

impl Parts {
    /// Judges and counts a full response in a plan with journeys.
    #[inline(never)]
    pub(super) fn journey_response<'a>(
        &mut self,
        user: u32,
        ended: Ended,
        status: u16,
        exchange: impl Fn() -> Exchanged<'a>,
    ) {
        let (state, rules) = self.users.with_rules(user);
        let (state, endpoint) = (*state, rules.endpoint);
        let given = exchange();
        let answer = Answer::new(status, self.now.saturating_sub(state.request.intended), &given);
        let wall_ns = if given.wall_ns > 0 { given.wall_ns } else { clock::wall_ns() };
        let values = Values { seed: self.shared.plan.seed, number: state.iteration.arrival.number, wall_ns };
        self.staged.clear();
        let Judged { outcome, message, lacks_value, evaluated } = rules.judge_all(
            &answer,
            ended.is_withheld,
            || given.raw.text(given.expect, given.body_bytes),
            &self.users.knowledge(user, values),
            &mut self.staged,
        );
        for (check, has_passed) in &evaluated {
            self.ledger.count_check(*check, state.iteration.arrival.warm_up, *has_passed);
        }
        // The sample shows the request with the variables as they were.
        self.count_request(user, state, endpoint, ended, (outcome, status), &message, exchange);
        self.trace_request(user, ended, outcome, &message, &evaluated, &given);
        self.users.store_values(user, self.staged.drain(..));
        if let Some(place) = &given.place {
            self.users.store_cookies(user, given.raw, place);
        }
        self.end_step(user, outcome, lacks_value);
    }

    /// Ends the request of a step, and continues the iteration.
    pub(super) fn end_step(&mut self, user: u32, outcome: Outcome, lacks_value: bool) {
        let next = self.users.finish_step(user, outcome, lacks_value, self.now);
        if next == Next::Failed(OnFail::EndIteration) && outcome == Outcome::GeneratorError && self.schedule.is_closed()
        {
            self.end_iteration(user, IterationEnd::Failed, State::Pause);
        } else {
            self.go_on(user, next);
        }
    }

    /// Queues `user` for the next operation, or ends its iteration.
    pub(super) fn go_on(&mut self, user: u32, next: Next) {
        match next {
            Next::Under => self.users.queue(user),
            Next::Completed => self.end_iteration(user, IterationEnd::Completed, State::Idle),
            Next::Failed(OnFail::StopUser) if self.schedule.is_closed() => {
                self.end_iteration(user, IterationEnd::Failed, State::Retired);
            }
            Next::Failed(OnFail::StopUser) if self.users.prepare_again() => {
                self.end_iteration(user, IterationEnd::Failed, State::Unprepared);
            }
            Next::Failed(rule) => {
                self.end_iteration(user, IterationEnd::Failed, State::Idle);
                if rule == OnFail::StopRun {
                    // This thread starts nothing more, the others when they read the command.
                    self.shared.stop_from(self.now);
                    self.schedule.stop_run(self.shared.stop_at());
                }
            }
        }
    }

    fn end_iteration(&mut self, user: u32, end: IterationEnd, then: State) {
        // Between two operations, the request's intended start is the end of the last one.
        let (iteration, last) = (self.users.user(user).iteration, self.users.user(user).request);
        let warm_up = iteration.arrival.warm_up;
        let is_preparing = self.users.is_preparing(user);
        self.sample_iteration(user, end);
        if self.users.counts_iterations() && !is_preparing {
            let drains_from = self.schedule.drains_from();
            let books = self.ledger.iterations(iteration.flow, warm_up);
            books.count(end);
            if end == IterationEnd::Completed {
                let time = last.intended.saturating_sub(iteration.arrival.intended);
                books.time.record(time);
                books.active_time.record(time.saturating_sub(self.users.thought(user)));
                books.drained += u64::from(last.intended > drains_from);
            }
        }
        for endpoint in self.users.not_reached(user) {
            self.ledger.figures(endpoint, warm_up).not_reached += 1;
        }
        if is_preparing {
            let then = if end == IterationEnd::Failed && then != State::Retired { State::Unprepared } else { then };
            self.users.end_preparation(user, then, self.now);
        } else {
            self.users.end_journey(user, then, self.now);
        }
    }
}
