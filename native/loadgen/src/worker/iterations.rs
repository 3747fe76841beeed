//! Samples iterations: traces their requests, and completes the sample of those that are wanted when they have ended.

use super::parts::Parts;
use crate::ledger::{RawIteration, RawSample, RawStep, Reason};
use crate::message::Message;
use crate::outcome::{IterationEnd, Outcome};
use crate::scenario::Value;
use crate::template::Values;
use crate::transport::{Ended, Exchanged};
use crate::users::{End, Trace};

impl Parts {
    /// Adds a request that has ended to the trace of its iteration, before its values and cookies are stored.
    pub(super) fn trace_request(
        &mut self,
        user: u32,
        ended: Ended,
        outcome: Outcome,
        message: &Message,
        evaluated: &[(usize, bool)],
        exchange: &Exchanged<'_>,
    ) {
        let end = End { ended, outcome, message, evaluated, now: self.now };
        self.users.trace_step(user, &end, exchange, self.most_of_response());
    }

    /// Ends the trace of an iteration of `user`, and keeps a sample of the iteration if one is wanted.
    pub(super) fn sample_iteration(&mut self, user: u32, end: IterationEnd) {
        let Some(mut trace) = self.users.take_trace(user) else { return };
        let state = *self.users.user(user);
        let is_completed = end == IterationEnd::Completed;
        let time = state.request.intended.saturating_sub(state.iteration.arrival.intended);
        let active = is_completed.then(|| time.saturating_sub(self.users.thought(user)));
        let flow = state.iteration.flow as usize;
        if let Some(reason) = self.ledger.wants_iteration(flow, trace.has_failure || !is_completed, active) {
            let sample = self.iteration_of(user, reason, is_completed, &mut trace);
            self.ledger.keep_iteration(sample);
        }
        self.users.reuse_trace(trace);
    }

    #[cold]
    fn iteration_of(&mut self, user: u32, reason: Reason, is_completed: bool, trace: &mut Trace) -> RawIteration {
        let state = *self.users.user(user);
        let mut steps: Vec<RawStep> = Vec::new();
        for step in (0..trace.steps.len()).rev() {
            let values = self.users.rewind(user, trace, step);
            steps.push(self.step_of(user, reason, trace, step, &values));
        }
        self.users.unwind(user, trace);
        steps.reverse();
        let intended_ns = state.iteration.arrival.intended;
        RawIteration {
            reason,
            flow: state.iteration.flow as usize,
            number: state.iteration.arrival.number,
            user: self.users.number_of(user),
            is_completed,
            intended_ns,
            finish_ns: state.request.intended.max(intended_ns),
            think_ns: self.users.thought(user),
            steps,
            left_out: trace.left_out,
        }
    }

    /// A step of an iteration of `user`, whose variables are rewound to it. `extracted`: what its response gave them.
    fn step_of(
        &self,
        user: u32,
        reason: Reason,
        trace: &Trace,
        number: usize,
        extracted: &[(usize, Value)],
    ) -> RawStep {
        let plan = &self.shared.plan;
        let traced = &trace.steps[number];
        let rules = self.users.rules(traced.request.step);
        let step = plan.step(rules.id());
        let arrival = self.users.user(user).iteration.arrival;
        let values = Values { seed: plan.seed, number: arrival.number, wall_ns: traced.wall_ns };
        let text = |value: &Value| value.seen().map(|value| value.text().into_owned());
        let values_of: Vec<(usize, Option<String>)> =
            extracted.iter().map(|(slot, value)| (*slot, text(value))).collect();
        let staged = values_of.iter().filter(|(slot, _)| self.users.is_secret_slot(user, *slot));
        let staged = staged.filter_map(|(_, text)| text.clone());
        let hidden = self.users.secret_values(user, step, values).into_iter().chain(staged).collect();
        let sample = RawSample {
            reason,
            step: rules.id(),
            warm_up: arrival.warm_up,
            outcome: traced.outcome,
            message: traced.message.clone(),
            values,
            intended_ns: traced.request.intended,
            actual_ns: traced.request.actual,
            finish_ns: traced.finish,
            first_byte_ns: (traced.first_byte > 0).then_some(traced.first_byte),
            expect: traced.expect,
            response: trace.response(number).to_vec(),
            body_bytes: traced.body_bytes,
            hop: traced.hop.clone(),
            http2: traced.is_two,
            request: Some(self.users.masked_request(user, plan, step, values, traced.has_cookies)),
            hidden,
        };
        RawStep { sample, checks: trace.checks(number).to_vec(), values: values_of }
    }
}
