//! Handles commands (stop, cancel, secrets), and the end of sending and of the run.

use std::cmp::Reverse;

use super::Worker;
use crate::ledger::{Ending, Finished};
use crate::outcome::IterationEnd;
use crate::users::State;

impl Worker {
    /// Ends sending if it is over; returns whether the whole run is.
    pub(super) fn is_over(&mut self) -> bool {
        if self.parts.schedule.ends_now(self.parts.now, self.parts.users.in_flight()) {
            self.end_sending();
        }
        if !self.parts.schedule.is_over() {
            return false;
        }
        if self.parts.users.in_flight() > 0 && self.parts.now >= self.parts.schedule.drain_end() {
            self.abandon();
        }
        self.parts.users.in_flight() == 0
    }

    fn end_sending(&mut self) {
        // Take what was due by then and not noticed yet: no arrival may be lost.
        self.take_arrivals_before(self.parts.schedule.end_of_sending());
        let users = &mut self.parts.users;
        self.timers.retain(|Reverse((_, user))| users.user(*user).state == State::Think);
        users.end_sending();
        let end = self.parts.schedule.end_of_sending().min(self.parts.now);
        for arrival in self.parts.schedule.end_sending() {
            let endpoint = self.parts.users.endpoint_of(self.parts.schedule.flow(arrival));
            let figures = self.parts.ledger.figures(endpoint, arrival.warm_up);
            figures.queued_at_end += 1;
            figures.clamped += u64::from(figures.waits_at_end.record(end.saturating_sub(arrival.intended)));
        }
    }

    /// Executes new commands.
    pub(super) fn check_commands(&mut self) {
        self.touch();
        let stop_at = self.parts.shared.stop_at();
        if stop_at < u64::MAX && self.parts.schedule.is_undisturbed() {
            // A stop at the end of sending does not change why it ended.
            if self.parts.schedule.can_be_stopped() {
                self.take_arrivals_before(stop_at);
            }
            self.parts.schedule.stop(stop_at);
        }
        if self.parts.shared.is_cancelled() {
            if !self.parts.schedule.is_over() {
                self.end_sending();
            }
            self.abandon();
            self.parts.schedule.cancel(stop_at);
        }
        self.take_secrets();
    }

    /// Renders requests with the current secrets from now on.
    pub(super) fn take_secrets(&mut self) {
        let secrets = self.parts.shared.with_secrets(|store| store.current.clone());
        self.transport.prepare(&self.parts.shared.plan, &secrets);
        self.parts.users.set_secrets(&secrets);
    }

    /// Counts everything in flight as unfinished, and closes its connections.
    fn abandon(&mut self) {
        self.touch();
        for (user, has_request) in self.parts.users.abandon(self.parts.now) {
            let is_preparing = self.parts.users.is_preparing(user);
            let (state, rules) = self.parts.users.with_rules(user);
            let (warm_up, flow) = (state.iteration.arrival.warm_up, state.iteration.flow);
            if has_request {
                self.parts.ledger.finished(rules.endpoint, warm_up, Finished::UNFINISHED);
            }
            if self.parts.users.counts_iterations() && !is_preparing {
                self.parts.ledger.iterations(flow, warm_up).count(IterationEnd::Unfinished);
            }
        }
        self.transport.close_all();
    }

    pub(super) fn end(mut self) {
        self.touch();
        let load_state = self.parts.load_state(self.transport.open_connections());
        self.transport.close_all();
        let (end_of_sending, barrier_ns, reason) = self.parts.schedule.ending();
        let last_finish = self.parts.users.last_finish();
        self.parts
            .ledger
            .close(load_state, Ending { end_of_sending, last_finish, at: self.parts.now, barrier_ns, reason });
    }
}
