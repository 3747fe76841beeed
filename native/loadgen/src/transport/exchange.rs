//! The exchange of one user: its request in progress, and its connections.

use super::connection::NONE;
use super::dialer::Dialer;
use super::multiplex::stream_response::StreamResponse;
use super::step::{PreparedStep, is_idempotent};
use crate::plan::{Origin, Scheme};
use crate::response::Expect;
use crate::scenario::Place;
use crate::template::Values;

/// The transport's state of one user.
#[derive(Debug)]
pub(super) struct Exchange {
    /// A request is in progress.
    pub(super) is_active: bool,
    /// Number of the user's request, to detect events for an earlier one.
    pub(super) serial: u32,
    /// The step of the request.
    pub(super) step: u32,
    /// The number that is rendered into the request.
    pub(super) number: u64,
    /// Wall time of the rendering, if the request contains it.
    pub(super) wall_ns: u64,
    pub(super) first_byte: u64,
    /// The target of the request, if the user keeps cookies.
    pub(super) target: String,
    /// The connection of the request; `NONE` between connections.
    pub(super) connection: u32,
    /// Open connections: (origin, connection).
    pub(super) owned: Vec<(u32, u32)>,
    /// The current request, if a redirect has been followed.
    pub(super) hop: Option<Box<Hop>>,
    /// HTTP/2: the response being received, or a buffer for the next one.
    pub(super) response: Option<Box<StreamResponse>>,
}

/// Where the request of an exchange goes, if its user keeps cookies.
pub(super) fn place_of<'a>(exchange: &'a Exchange, steps: &[PreparedStep], dialer: &'a Dialer) -> Option<Place<'a>> {
    let step = &steps[exchange.step as usize];
    exchange.place(step, dialer.origin(exchange.origin(step)))
}

/// A request that follows a redirect.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) origin: u32,
    pub(super) request: Vec<u8>,
    /// The same without the user's cookies; None if it sends none.
    pub(super) plain: Option<Vec<u8>>,
    /// The target; empty unless the user keeps cookies.
    pub(super) target: String,
    /// Number of redirects followed.
    pub(super) hops: u32,
    pub(super) expect: Expect,
    /// The request has `Connection: close`.
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
            target: String::new(),
            connection: NONE,
            owned: Vec::new(),
            hop: None,
            response: None,
        }
    }

    /// Starts a request.
    #[inline]
    pub(super) fn begin(&mut self, step: u32, number: u64) {
        self.is_active = true;
        self.serial = self.serial.wrapping_add(1);
        self.step = step;
        self.number = number;
        self.first_byte = 0;
        self.hop = None;
    }

    /// Ends the request.
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

    /// True if request `serial` is in progress without a connection.
    pub(super) fn waits_for_connection(&self, serial: u32) -> bool {
        self.is_active && self.serial == serial && self.connection == NONE
    }

    pub(super) fn values(&self, seed: u64) -> Values {
        Values { seed, number: self.number, wall_ns: self.wall_ns }
    }

    /// The origin of the current request.
    pub(super) fn origin(&self, step: &PreparedStep) -> u32 {
        self.hop.as_ref().map_or(step.origin, |hop| hop.origin)
    }

    #[inline]
    pub(super) fn expect(&self, step: &PreparedStep) -> Expect {
        self.hop.as_ref().map_or(step.expect, |hop| hop.expect)
    }

    /// True if the request has `Connection: close`.
    #[inline]
    pub(super) fn closes(&self, step: &PreparedStep) -> bool {
        self.hop.as_ref().map_or(step.closes, |hop| hop.closes)
    }

    /// Where the request goes, if the user keeps cookies.
    pub(super) fn place<'a>(&'a self, step: &PreparedStep, origin: &'a Origin) -> Option<Place<'a>> {
        let target = self.hop.as_ref().map_or(&self.target, |hop| &hop.target);
        let is_https = origin.scheme == Scheme::Https;
        step.uses_cookies.then_some(Place { host: &origin.host, target, is_https })
    }

    /// True if the request may be sent twice.
    pub(super) fn is_idempotent(&self, step: &PreparedStep) -> bool {
        self.hop.as_ref().map_or(step.idempotent, |hop| is_idempotent(&hop.request))
    }

    /// True if the request has a stream of a shared connection.
    pub(super) fn has_stream(&self) -> bool {
        self.response.as_ref().is_some_and(|response| response.has_stream())
    }
}
