//! What a user of a journey remembers: its place in the program, what the program counts, variables and cookies.

use super::journey::Journey;
use super::trace::Trace;
use crate::scenario::{Jar, Value};

/// The state of one user in one flow.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// The flow that it belongs to.
    pub(super) flow: u32,
    /// The user does what comes before its first iteration.
    pub(super) is_preparing: bool,
    /// The next operation.
    pub(super) at: usize,
    /// The operation of the request in flight.
    pub(super) requested: usize,
    /// Number of backward jumps so far in the iteration.
    pub(super) round: u64,
    /// Think time drawn so far in the iteration, in ns.
    pub(super) thought: u64,
    /// The loop counters.
    pub(super) counters: Vec<u64>,
    /// By step of the flow: the iteration has sent it.
    pub(super) visited: Vec<bool>,
    /// The variables.
    pub(super) slots: Vec<Value>,
    pub(super) jar: Jar,
    /// The requests of the iteration, if it is traced.
    pub(super) trace: Option<Box<Trace>>,
}

impl Session {
    /// Begins an iteration.
    pub(super) fn begin(&mut self, journey: &Journey) {
        self.begin_at(journey, journey.start);
        // The other steps are no part of it.
        self.visited.extend(&journey.is_before);
        if !journey.keeps_session {
            self.slots.clear();
            self.jar.clear();
        }
        self.slots.resize(journey.slots, Value::Unset);
    }

    /// Begins what comes before the first iteration, with new variables and cookies.
    pub(super) fn begin_preparation(&mut self, journey: &Journey) {
        self.begin_at(journey, 0);
        self.is_preparing = true;
        self.visited.extend(journey.is_before.iter().map(|is_before| !is_before));
        self.slots.clear();
        self.jar.clear();
        self.slots.resize(journey.slots, Value::Unset);
    }

    fn begin_at(&mut self, journey: &Journey, at: usize) {
        (self.at, self.requested, self.round, self.thought) = (at, 0, 0, 0);
        self.is_preparing = false;
        self.counters.clear();
        self.counters.resize(journey.counters, 0);
        self.visited.clear();
    }
}

/// The sessions of one user: one for each flow that keeps its own, and one for all others.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: Vec<Session>,
    current: usize,
}

impl Sessions {
    /// Selects the session for an iteration of `flow`; a kept one is only used by its flow.
    pub(super) fn select(&mut self, flow: u32, is_kept: impl Fn(u32) -> bool) -> &mut Session {
        let usable = |session: &Session| session.flow == flow || (!is_kept(flow) && !is_kept(session.flow));
        self.current = self.all.iter().position(usable).unwrap_or(self.all.len());
        if self.current == self.all.len() {
            self.all.push(Session { flow, ..Session::default() });
        }
        let session = &mut self.all[self.current];
        session.flow = flow;
        session
    }

    /// The session of the current iteration.
    pub(super) fn current(&self) -> &Session {
        &self.all[self.current]
    }

    pub(super) fn current_mut(&mut self) -> &mut Session {
        &mut self.all[self.current]
    }
}
