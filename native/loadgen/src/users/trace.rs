//! The requests of an iteration, kept until it has ended, since only then is it known whether it is sampled.
//!
//! Nothing is formatted here. A variable's previous value is moved into the trace when a response replaces it, so that
//! the variables can be rewound to what they were at each request.

use super::Users;
use super::session::Sessions;
use super::user::Request;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::response::Expect;
use crate::scenario::Value;
use crate::transport::{Ended, Exchanged};

/// Number of requests kept for each iteration.
const MOST_STEPS: usize = 100;
/// Bytes of responses kept for each iteration; of each further response, the first `LEAST_BYTES`.
const MOST_BYTES: usize = 65_536;
const LEAST_BYTES: usize = 1_024;
/// Number of iterations that a thread can trace at the same time.
const MOST_TRACES: usize = 1_000;

/// The requests of one iteration so far.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) steps: Vec<TracedStep>,
    /// Requests beyond `MOST_STEPS`.
    pub(crate) left_out: u64,
    /// A request failed.
    pub(crate) has_failure: bool,
    /// Those of all steps, one after the other.
    responses: Vec<u8>,
    checks: Vec<(usize, bool)>,
    /// Variables that the responses changed, each with its other value: the previous one, or while rewound the new one.
    changes: Vec<(usize, Value)>,
    /// Where the changes by the requests left out begin: of each variable, only the first.
    tail: usize,
}

/// A request that has ended.
#[derive(Debug)]
pub(crate) struct TracedStep {
    pub(crate) request: Request,
    pub(crate) first_byte: u64,
    pub(crate) finish: u64,
    pub(crate) outcome: Outcome,
    pub(crate) message: Message,
    /// As in [`Exchanged`].
    pub(crate) wall_ns: u64,
    pub(crate) body_bytes: u64,
    pub(crate) expect: Expect,
    pub(crate) hop: Option<Box<(String, Vec<u8>)>>,
    pub(crate) is_two: bool,
    /// The user had cookies when it was sent.
    pub(crate) has_cookies: bool,
    /// Number of backward jumps before it.
    round: u64,
    /// Where its parts begin.
    response: usize,
    check: usize,
    change: usize,
}

/// The end of a request, as it is traced.
pub(crate) struct End<'a> {
    pub(crate) ended: Ended,
    pub(crate) outcome: Outcome,
    pub(crate) message: &'a Message,
    /// The named checks of the plan that judged it, and whether each passed.
    pub(crate) evaluated: &'a [(usize, bool)],
    pub(crate) now: u64,
}

impl Trace {
    /// The response to a step, as far as it was kept.
    pub(crate) fn response(&self, step: usize) -> &[u8] {
        let end = self.steps.get(step + 1).map_or(self.responses.len(), |next| next.response);
        &self.responses[self.steps[step].response..end]
    }

    /// The named checks of a step, and whether each passed.
    pub(crate) fn checks(&self, step: usize) -> &[(usize, bool)] {
        let end = self.steps.get(step + 1).map_or(self.checks.len(), |next| next.check);
        &self.checks[self.steps[step].check..end]
    }

    fn replaced(&mut self, slot: usize, previous: Value) {
        let is_known = || self.changes[self.tail..].iter().any(|(changed, _)| *changed == slot);
        if self.left_out == 0 || !is_known() {
            self.changes.push((slot, previous));
        }
    }

    fn clear(&mut self) {
        (self.left_out, self.has_failure, self.tail) = (0, false, 0);
        self.steps.clear();
        self.responses.clear();
        self.responses.shrink_to(MOST_BYTES);
        self.checks.clear();
        self.changes.clear();
    }
}

impl Users {
    /// Traces the iteration that `user` has just begun, unless too many are being traced.
    pub(crate) fn trace(&mut self, user: u32) {
        let trace = match self.spare_traces.pop() {
            Some(trace) => trace,
            None if self.traces < MOST_TRACES => {
                self.traces += 1;
                Box::default()
            }
            None => return,
        };
        self.sessions[user as usize].current_mut().trace = Some(trace);
    }

    /// Whether the current iteration of `user` is traced.
    pub(crate) fn is_traced(&self, user: u32) -> bool {
        self.sessions.get(user as usize).is_some_and(|sessions| sessions.current().trace.is_some())
    }

    /// Takes the trace of the iteration of `user`.
    pub(crate) fn take_trace(&mut self, user: u32) -> Option<Box<Trace>> {
        self.sessions[user as usize].current_mut().trace.take()
    }

    /// Reuses the memory of a trace.
    pub(crate) fn reuse_trace(&mut self, mut trace: Box<Trace>) {
        trace.clear();
        self.spare_traces.push(trace);
    }

    /// Adds the request of `user`, which has ended, to the trace of its iteration, before its values and cookies are
    /// stored.
    pub(crate) fn trace_step(&mut self, user: u32, end: &End<'_>, exchange: &Exchanged<'_>, most_bytes: usize) {
        let session = self.sessions[user as usize].current_mut();
        let Some(trace) = &mut session.trace else { return };
        trace.has_failure |= end.outcome != Outcome::Ok;
        if trace.steps.len() == MOST_STEPS {
            if trace.left_out == 0 {
                trace.tail = trace.changes.len();
            }
            trace.left_out += 1;
            return;
        }
        let (response, check, change) = (trace.responses.len(), trace.checks.len(), trace.changes.len());
        let most = most_bytes.min(MOST_BYTES.saturating_sub(response).max(LEAST_BYTES));
        exchange.raw.append_beginning(most, &mut trace.responses);
        trace.checks.extend_from_slice(end.evaluated);
        trace.steps.push(TracedStep {
            request: self.all[user as usize].request,
            first_byte: end.ended.first_byte,
            finish: end.now,
            outcome: end.outcome,
            message: end.message.clone(),
            wall_ns: exchange.wall_ns,
            body_bytes: exchange.body_bytes,
            expect: exchange.expect,
            hop: exchange.last_hop(),
            is_two: exchange.raw.is_two(),
            has_cookies: !session.jar.is_empty(),
            round: session.round,
            response,
            check,
            change,
        });
    }

    /// Puts the variables of `user` back to what they were before the response to a step, after those of all later
    /// steps. Returns the values that the response gave.
    pub(crate) fn rewind(&mut self, user: u32, trace: &mut Trace, step: usize) -> Vec<(usize, Value)> {
        let session = self.sessions[user as usize].current_mut();
        let (from, end) = (trace.steps[step].change, trace.changes.len());
        let (to, own) = match trace.steps.get(step + 1) {
            Some(next) => (next.change, next.change),
            None => (end, if trace.left_out > 0 { trace.tail } else { end }),
        };
        for (slot, value) in trace.changes[from..to].iter_mut().rev() {
            std::mem::swap(&mut session.slots[*slot], value);
        }
        session.round = trace.steps[step].round;
        trace.changes[from..own].to_vec()
    }

    /// Puts the variables of `user`, which were rewound to the first step, back to what they were.
    pub(crate) fn unwind(&mut self, user: u32, trace: &mut Trace) {
        let session = self.sessions[user as usize].current_mut();
        for (slot, value) in &mut trace.changes {
            std::mem::swap(&mut session.slots[*slot], value);
        }
    }
}

/// Stores a value in a variable, and what it replaces in the trace.
pub(super) fn change(sessions: &mut Sessions, slot: usize, value: Value) {
    let session = sessions.current_mut();
    let previous = std::mem::replace(&mut session.slots[slot], value);
    if let Some(trace) = &mut session.trace {
        trace.replaced(slot, previous);
    }
}
