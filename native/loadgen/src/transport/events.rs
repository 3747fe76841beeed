//! What the transport reports while it works. It knows neither figures nor schedules: the caller that counts implements [`Events`].

use std::borrow::Cow;
use std::io;
use std::os::fd::RawFd;

use encoding_rs::Encoding;

use crate::decode::{self, Undecodable};
use crate::message::Message;
use crate::outcome::Outcome;
use crate::plan::Origin;
use crate::response::{Coding, Expect};

/// The side of the loop that the transport talks to. `user` is the number under which a request was handed in.
pub(crate) trait Events {
    /// The time last read, ns since the start of the run.
    fn now(&self) -> u64;

    /// Reads the clock. `open_connections`: how many there are at this moment.
    fn touch(&mut self, open_connections: usize) -> u64;

    /// Has events of a socket reported under `token`.
    fn watch(&mut self, socket: RawFd, token: u64) -> io::Result<()>;

    /// Bytes of a request were handed to its connection.
    fn sent(&mut self, user: u32, bytes: u64);

    /// An answer of so many bytes pointed elsewhere, and is followed.
    fn redirected(&mut self, user: u32, received: u64);

    /// The connection was stale, and the target has not seen the request: whether it may be sent once more.
    fn may_retry(&mut self, user: u32) -> bool;

    /// Whether the headers of this request's answer are worth reading in full (HTTP/2).
    fn wants_headers(&self, user: u32) -> bool;

    /// Something happened to a connection.
    fn connection(&mut self, event: ConnectionEvent);

    /// The request of `user` has ended with a full response.
    fn response<'a>(&mut self, user: u32, ended: Ended, status: u16, exchange: impl Fn() -> Exchanged<'a>);

    /// The request of `user` has ended without one.
    fn failure<'a>(
        &mut self,
        user: u32,
        ended: Ended,
        outcome: Outcome,
        message: &Message,
        exchange: impl Fn() -> Exchanged<'a>,
    );
}

/// What happens to connections. Times are ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionEvent {
    /// One has begun to be dialled.
    Dialled,
    /// The target or the proxy has closed or reset one.
    Lost,
    /// TCP was established.
    Connected { took: u64 },
    /// TLS was agreed upon.
    Secured { took: u64 },
    /// A name was looked up.
    Resolved { took: u64 },
}

/// What counts of a request that has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    /// When the first byte of the (last) answer came; 0 where none did.
    pub(crate) first_byte: u64,
    /// Bytes of the (last) answer.
    pub(crate) received: u64,
    /// The answer is a redirect to another origin, which a body with a secret was not sent to.
    pub(crate) is_withheld: bool,
}

/// What else is known of a request that has ended; put together only where it is looked at.
#[derive(Debug)]
pub(crate) struct Exchanged<'a> {
    /// Wall time of the rendering, where the request shows it.
    pub(crate) wall_ns: u64,
    /// How much of the answer was body, without framing.
    pub(crate) body_bytes: u64,
    /// What the answer was expected to be.
    pub(crate) expect: Expect,
    /// The answer as it came, cut at what was worth keeping.
    pub(crate) raw: Raw<'a>,
    /// After redirects: the origin and the request of the last hop.
    pub(crate) hop: Option<(&'a Origin, &'a [u8])>,
}

/// An answer as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Raw<'a> {
    /// HTTP/1.1: all of it.
    One(&'a [u8]),
    /// HTTP/2: the head as HTTP/1.1 would write it, the body, how that is compressed, and its charset.
    Two { head: &'a [u8], body: &'a [u8], coding: Coding, charset: Option<&'static Encoding> },
}

impl<'a> Raw<'a> {
    /// The text of the body, for checks; `body_bytes`: how long the whole body is.
    pub(crate) fn text(self, expect: Expect, body_bytes: u64) -> Result<Cow<'a, [u8]>, Undecodable> {
        match self {
            Raw::One(bytes) => decode::text(bytes, expect, body_bytes),
            Raw::Two { body, coding, charset, .. } => decode::text_of(body, coding, charset, body_bytes),
        }
    }

    /// The first `most` bytes.
    pub(crate) fn beginning(self, most: usize) -> Vec<u8> {
        let mut bytes = match self {
            Raw::One(bytes) => bytes[..bytes.len().min(most)].to_vec(),
            Raw::Two { head, body, .. } => [head, body].concat(),
        };
        bytes.truncate(most);
        bytes
    }

    /// It went over HTTP/2.
    pub(crate) fn is_two(self) -> bool {
        matches!(self, Raw::Two { .. })
    }
}
