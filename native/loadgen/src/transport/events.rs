//! The reports of the transport, which knows neither figures nor schedules: the caller implements [`Events`] and
//! counts.

use std::borrow::Cow;
use std::io;
use std::os::fd::RawFd;

use encoding_rs::Encoding;

use crate::decode::{self, Undecodable};
use crate::message::Message;
use crate::outcome::Outcome;
use crate::plan::Origin;
use crate::response::{Coding, Expect};
use crate::scenario::Place;
use crate::template::{Cookies, Program, Values};

/// Implemented by the loop. `user` is the number with which a request was passed in.
pub(crate) trait Events {
    /// The time last read, ns since the start of the run.
    fn now(&self) -> u64;

    /// Reads the clock. `open_connections` is their current number.
    fn touch(&mut self, open_connections: usize) -> u64;

    /// Registers a socket for events under `token`.
    fn watch(&mut self, socket: RawFd, token: u64) -> io::Result<()>;

    /// Bytes of a request were written to its connection.
    fn sent(&mut self, user: u32, bytes: u64);

    /// Appends a request of `user`, whose program holds values or cookies of the user; without an origin, the cookies
    /// are left out.
    fn render(&self, user: u32, program: &Program, values: Values, origin: Option<&Origin>, out: &mut Vec<u8>);

    /// Appends a part of a request of `user`, whose body has this length (HTTP/2): a value of the head, or the body.
    fn render_part(&self, user: u32, program: &Program, values: Values, body_length: usize, out: &mut Vec<u8>);

    /// The cookies of `user` for requests to `origin`; None if it uses none.
    fn cookies<'a>(&'a self, user: u32, origin: &'a Origin) -> Option<Cookies<'a>>;

    /// A redirect response of `received` bytes is followed. `place`: where it came from, if the user keeps cookies.
    fn redirected(&mut self, user: u32, received: u64, raw: Raw<'_>, place: Option<Place<'_>>);

    /// The connection was stale, and the target has not seen the request: returns whether to send it again.
    fn may_retry(&mut self, user: u32) -> bool;

    /// Whether the headers of this request's response may be needed for a sample (HTTP/2).
    fn wants_headers(&self, user: u32) -> bool;

    /// A connection event.
    fn connection(&mut self, event: ConnectionEvent);

    /// The request of `user` ended with a full response.
    fn response<'a>(&mut self, user: u32, ended: Ended, status: u16, exchange: impl Fn() -> Exchanged<'a>);

    /// The request of `user` ended without a full response.
    fn failure<'a>(
        &mut self,
        user: u32,
        ended: Ended,
        outcome: Outcome,
        message: &Message,
        exchange: impl Fn() -> Exchanged<'a>,
    );
}

/// Connection events. Times are ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionEvent {
    /// Dialling started.
    Dialled,
    /// The target or the proxy has closed or reset a connection.
    Lost,
    /// TCP was established.
    Connected { took: u64 },
    /// The TLS handshake was completed.
    Secured { took: u64 },
    /// A name was resolved.
    Resolved { took: u64 },
}

/// Figures of a request that has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    /// When the first byte of the (last) response arrived; 0 without one.
    pub(crate) first_byte: u64,
    /// Bytes of the (last) response.
    pub(crate) received: u64,
    /// The response is a redirect to another origin that was not followed because the request body holds a secret.
    pub(crate) is_withheld: bool,
}

/// Further data of a request that has ended, built only when needed.
#[derive(Debug)]
pub(crate) struct Exchanged<'a> {
    /// Wall time of the rendering, if the request contains it.
    pub(crate) wall_ns: u64,
    /// Bytes of the response's body, without framing.
    pub(crate) body_bytes: u64,
    /// How the response was parsed.
    pub(crate) expect: Expect,
    /// The response as received, truncated to the stored length.
    pub(crate) raw: Raw<'a>,
    /// After redirects: the origin and the request of the last hop.
    pub(crate) hop: Option<(&'a Origin, &'a [u8])>,
    /// Where the response came from, if the user keeps cookies.
    pub(crate) place: Option<Place<'a>>,
}

impl Exchanged<'_> {
    /// After redirects: the URL of the origin and the request of the last hop.
    pub(crate) fn last_hop(&self) -> Option<Box<(String, Vec<u8>)>> {
        let (origin, request) = self.hop?;
        Some(Box::new((format!("{}://{}", origin.scheme.name(), origin.authority()), request.to_vec())))
    }
}

/// A response as received.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Raw<'a> {
    /// HTTP/1.1: the raw bytes.
    One(&'a [u8]),
    /// HTTP/2: the head in HTTP/1.1 notation, the body, its coding, and its charset.
    Two { head: &'a [u8], body: &'a [u8], coding: Coding, charset: Option<&'static Encoding> },
}

impl<'a> Raw<'a> {
    /// The text of the body, for checks; `body_bytes` is the length of the whole body.
    pub(crate) fn text(self, expect: Expect, body_bytes: u64) -> Result<Cow<'a, [u8]>, Undecodable> {
        match self {
            Raw::One(bytes) => decode::text(bytes, expect, body_bytes),
            Raw::Two { body, coding, charset, .. } => decode::text_of(body, coding, charset, body_bytes),
        }
    }

    /// Bytes that begin with the head.
    pub(crate) fn head(self) -> &'a [u8] {
        match self {
            Raw::One(bytes) => bytes,
            Raw::Two { head, .. } => head,
        }
    }

    /// Appends the first `most` bytes.
    pub(crate) fn append_beginning(self, most: usize, bytes: &mut Vec<u8>) {
        let parts = match self {
            Raw::One(bytes) => [bytes, &[]],
            Raw::Two { head, body, .. } => [head, body],
        };
        let mut left = most;
        for part in parts {
            let taken = part.len().min(left);
            bytes.extend_from_slice(&part[..taken]);
            left -= taken;
        }
    }

    /// True for HTTP/2.
    pub(crate) fn is_two(self) -> bool {
        matches!(self, Raw::Two { .. })
    }
}
