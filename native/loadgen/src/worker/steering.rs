//! What the outside asks for (stop, cancel, secrets), and the end of sending and of the run.

use super::Worker;
use crate::ledger::{Ending, Finished};
use crate::outcome::IterationEnd;

impl Worker {
    /// Ends sending where it is over, and says whether the whole run is.
    pub(super) fn is_over(&mut self) -> bool {
        if self.schedule.ends_now(self.now, self.users.in_flight()) {
            self.end_sending();
        }
        if !self.schedule.is_over() {
            return false;
        }
        if self.users.in_flight() > 0 && self.now >= self.schedule.drain_end() {
            self.abandon();
        }
        self.users.in_flight() == 0
    }

    fn end_sending(&mut self) {
        // What was due by then and not noticed yet: an arrival is never lost.
        self.take_arrivals_before(self.schedule.end_of_sending());
        self.timers.clear();
        self.users.end_sending();
        let end = self.schedule.end_of_sending().min(self.now);
        for arrival in self.schedule.end_sending() {
            let endpoint = self.users.endpoint_of(self.schedule.flow(arrival));
            let figures = self.ledger.figures(endpoint, arrival.warm_up);
            figures.queued_at_end += 1;
            figures.clamped += u64::from(figures.waits_at_end.record(end.saturating_sub(arrival.intended)));
        }
    }

    /// Takes up what was asked from outside.
    pub(super) fn listen_to_signal(&mut self) {
        self.touch();
        let stop_at = self.shared.stop_at();
        if stop_at < u64::MAX && self.schedule.is_undisturbed() {
            // A stop that comes when sending is over anyway changes nothing about why it ended.
            if self.schedule.can_be_stopped() {
                self.take_arrivals_before(stop_at);
            }
            self.schedule.stop(stop_at);
        }
        if self.shared.is_cancelled() {
            if !self.schedule.is_over() {
                self.end_sending();
            }
            self.abandon();
            self.schedule.cancel(stop_at);
        }
        self.take_secrets();
    }

    /// Has requests that are rendered from now on use the secrets of the moment.
    pub(super) fn take_secrets(&mut self) {
        let secrets = self.shared.with_secrets(|store| store.current.clone());
        self.transport.prepare(&self.shared.plan, &secrets);
    }

    /// Everything in flight is unfinished, and its connections are closed.
    fn abandon(&mut self) {
        self.touch();
        for (user, has_request) in self.users.abandon(self.now) {
            let (state, rules) = self.users.with_rules(user);
            let (warm_up, flow) = (state.iteration.arrival.warm_up, state.iteration.flow);
            if has_request {
                self.ledger.finished(rules.endpoint, warm_up, &Finished::UNFINISHED);
            }
            if self.users.has_many_steps(flow) {
                self.ledger.iterations(flow, warm_up).count(IterationEnd::Unfinished);
            }
        }
        self.transport.close_all();
    }

    pub(super) fn end(mut self) {
        self.touch();
        let (transport, listener) = self.transport();
        let standing = listener.standing(transport.open_connections());
        self.transport.close_all();
        let (end_of_sending, barrier_ns, reason) = self.schedule.ending();
        let last_finish = self.users.last_finish();
        self.ledger.close(standing, Ending { end_of_sending, last_finish, at: self.now, barrier_ns, reason });
    }
}
