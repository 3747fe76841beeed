//! A virtual user, the iteration that it is in, and the request of it that is in flight.

use crate::schedule::Arrival;

/// What a user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It is in no iteration: free (open model), or between two, or not to run now (closed model).
    Idle,
    /// It waits for its token of `max_rate`.
    Token,
    /// It pauses after a generator error.
    Pause,
    /// A request is in flight.
    Busy,
    /// It is between two steps of its iteration.
    NextStep,
}

/// A journey through the steps of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Iteration {
    /// Its number, its intended start and its phase.
    pub(crate) arrival: Arrival,
    /// Which flow.
    pub(crate) flow: u32,
    /// The flow's last step.
    last_step: u32,
}

/// A request of an iteration. Times are ns since the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    /// Which step.
    pub(crate) step: u32,
    /// The first step's is the iteration's; a later step's is the end of the step before.
    pub(crate) intended: u64,
    /// When it was started.
    pub(crate) actual: u64,
    /// Its connection turned out to be closed before a byte of the answer came, and it was sent again.
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
            iteration: Iteration { arrival, flow: 0, last_step: 0 },
            request: Request { step: 0, intended: 0, actual: 0, is_retry: false },
        }
    }

    /// Begins an iteration, and with it the request of its first step.
    #[inline]
    pub(super) fn begin(&mut self, arrival: Arrival, flow: u32, steps: (u32, u32), now: u64) {
        self.iteration = Iteration { arrival, flow, last_step: steps.1 };
        self.begin_request(steps.0, arrival.intended, now);
    }

    #[inline]
    pub(super) fn begin_request(&mut self, step: u32, intended: u64, now: u64) {
        self.state = State::Busy;
        self.request = Request { step, intended, actual: now, is_retry: false };
    }

    /// The step that comes after the one of its request.
    #[inline]
    pub(super) fn next_step(&self) -> Option<u32> {
        (self.request.step < self.iteration.last_step).then(|| self.request.step + 1)
    }

    /// Whether its request may be sent a second time; true only once.
    pub(super) fn retry(&mut self) -> bool {
        !std::mem::replace(&mut self.request.is_retry, true)
    }
}
