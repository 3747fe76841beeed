//! A virtual user: what it is doing, and what is known about its request.

use super::multiplex::Answer;
use crate::deadlines::NONE;
use crate::response::Expect;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing to do: free (open model), or not to run now (closed model).
    Idle,
    /// Waits for its token of `max_rate`.
    Token,
    /// Pauses after a generator error.
    Pause,
    /// A request is in flight.
    Busy,
}

/// A virtual user.
#[derive(Debug)]
pub(super) struct User {
    pub(super) state: State,
    pub(super) flow: u32,
    pub(super) warm_up: bool,
    /// The response had begun on a reused connection that then died, and the request was sent again.
    pub(super) redialled: bool,
    pub(super) number: u64,
    pub(super) intended: u64,
    pub(super) actual: u64,
    pub(super) first_byte: u64,
    /// Wall time of the rendering, where the request shows it.
    pub(super) wall_ns: u64,
    /// The connection of the request in flight; `NONE` between connections.
    pub(super) connection: u32,
    /// Open connections, by origin.
    pub(super) owned: Vec<(u32, u32)>,
    /// A redirect has been followed: the request that is sent now.
    pub(super) hop: Option<Box<Hop>>,
    /// HTTP/2: the answer that is coming in, or room for the next one.
    pub(super) answer: Option<Box<Answer>>,
}

/// A request that follows a redirect.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) origin: u32,
    pub(super) request: Vec<u8>,
    /// How many redirects were followed.
    pub(super) hops: u32,
    pub(super) expect: Expect,
}

impl User {
    pub(super) fn new() -> User {
        User {
            state: State::Idle,
            flow: 0,
            warm_up: false,
            redialled: false,
            number: 0,
            intended: 0,
            actual: 0,
            first_byte: 0,
            wall_ns: 0,
            connection: NONE,
            owned: Vec::new(),
            hop: None,
            answer: None,
        }
    }
}
