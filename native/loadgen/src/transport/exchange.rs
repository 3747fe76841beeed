//! The exchange of one user: the request that it has on its way, and the connections that it owns.

use super::connection::NONE;
use super::multiplex::answer::Answer;
use super::step::{PreparedStep, is_idempotent};
use crate::response::Expect;
use crate::template::Values;

/// What the transport knows of one user.
#[derive(Debug)]
pub(super) struct Exchange {
    /// A request is on its way.
    pub(super) is_active: bool,
    /// Which of the user's requests it is, so that what waited for an earlier one is not taken for this one.
    pub(super) serial: u32,
    /// Which step it sends.
    pub(super) step: u32,
    /// The number that is rendered into the request.
    pub(super) number: u64,
    /// Wall time of the rendering, where the request shows it.
    pub(super) wall_ns: u64,
    pub(super) first_byte: u64,
    /// The connection of the request; `NONE` between connections.
    pub(super) connection: u32,
    /// Open connections: (origin, connection).
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
    /// The request asks for its connection to be closed.
    pub(super) closes: bool,
}

impl Exchange {
    pub(super) fn new() -> Exchange {
        Exchange {
            is_active: false,
            serial: 0,
            step: 0,
            number: 0,
            wall_ns: 0,
            first_byte: 0,
            connection: NONE,
            owned: Vec::new(),
            hop: None,
            answer: None,
        }
    }

    /// Begins a request.
    #[inline]
    pub(super) fn begin(&mut self, step: u32, number: u64) {
        self.is_active = true;
        self.serial = self.serial.wrapping_add(1);
        self.step = step;
        self.number = number;
        self.first_byte = 0;
        self.hop = None;
    }

    /// The request has ended.
    #[inline]
    pub(super) fn end(&mut self) {
        self.is_active = false;
        self.connection = NONE;
    }

    /// The open connection to `origin`.
    #[inline]
    pub(super) fn owned(&self, origin: u32) -> Option<u32> {
        self.owned.iter().find(|(owned, _)| *owned == origin).map(|(_, connection)| *connection)
    }

    /// True while the request `serial` has no connection.
    pub(super) fn waits_for_connection(&self, serial: u32) -> bool {
        self.is_active && self.serial == serial && self.connection == NONE
    }

    pub(super) fn values(&self, seed: u64) -> Values {
        Values { seed, number: self.number, wall_ns: self.wall_ns }
    }

    /// Where the request goes now.
    pub(super) fn origin(&self, step: &PreparedStep) -> u32 {
        self.hop.as_ref().map_or(step.origin, |hop| hop.origin)
    }

    #[inline]
    pub(super) fn expect(&self, step: &PreparedStep) -> Expect {
        self.hop.as_ref().map_or(step.expect, |hop| hop.expect)
    }

    /// True where the request asks for its connection to be closed.
    #[inline]
    pub(super) fn closes(&self, step: &PreparedStep) -> bool {
        self.hop.as_ref().map_or(step.closes, |hop| hop.closes)
    }

    /// True where the request may be sent twice.
    pub(super) fn is_idempotent(&self, step: &PreparedStep) -> bool {
        self.hop.as_ref().map_or(step.idempotent, |hop| is_idempotent(&hop.request))
    }

    /// A stream of a shared connection is the request's.
    pub(super) fn has_stream(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.has_stream())
    }
}
