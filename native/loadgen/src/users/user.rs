//! A virtual user, its current iteration, and its request in flight.

use crate::schedule::Arrival;

/// The state of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// In no iteration: free (open model), or between two, or parked (closed model).
    Idle,
    /// Waiting for its token of `max_rate`, or to begin to prepare in the background.
    Token,
    /// Pausing after a generator error.
    Pause,
    /// A request is in flight.
    Busy,
    /// Between two steps of its iteration.
    NextStep,
    /// In a think time of its iteration, which ends at the intended start of its request.
    Think,
    /// Between two iterations, until the next one is due at the intended start of its request.
    Pace,
    /// Ended by a step; starts no other iteration.
    Retired,
    /// Has to do what comes before its first iteration; begins with it at the intended start of its request.
    Unprepared,
}

/// One pass through a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Iteration {
    /// Its number, its intended start and its phase.
    pub(crate) arrival: Arrival,
    /// The flow.
    pub(crate) flow: u32,
}

/// A request of an iteration. Times are ns since the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    /// The step.
    pub(crate) step: u32,
    /// For the first step that of the iteration; for a later one the end of the previous step, and the think time since.
    pub(crate) intended: u64,
    /// The actual start.
    pub(crate) actual: u64,
    /// Its connection was closed before the first byte of the response, and it was sent again.
    is_retry: bool,
}

/// A virtual user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    pub(crate) state: State,
    pub(crate) iteration: Iteration,
    pub(crate) request: Request,
}

impl User {
    pub(super) fn new() -> User {
        let arrival = Arrival { number: 0, intended: 0, warm_up: false };
        User {
            state: State::Idle,
            iteration: Iteration { arrival, flow: 0 },
            request: Request { step: 0, intended: 0, actual: 0, is_retry: false },
        }
    }

    /// Starts an iteration, and with it the request of its first step.
    #[inline]
    pub(super) fn begin(&mut self, arrival: Arrival, flow: u32, step: u32, now: u64) {
        self.iteration = Iteration { arrival, flow };
        self.begin_request(step, arrival.intended, now);
    }

    /// Starts an iteration whose program decides the first step.
    pub(super) fn begin_journey(&mut self, arrival: Arrival, flow: u32) {
        self.iteration = Iteration { arrival, flow };
        self.request.intended = arrival.intended;
    }

    #[inline]
    pub(super) fn begin_request(&mut self, step: u32, intended: u64, now: u64) {
        self.state = State::Busy;
        self.request = Request { step, intended, actual: now, is_retry: false };
    }

    /// True within an iteration.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.state, State::Busy | State::NextStep | State::Think)
    }

    /// Whether its request may be sent a second time; true only once.
    pub(super) fn retry(&mut self) -> bool {
        !std::mem::replace(&mut self.request.is_retry, true)
    }
}
