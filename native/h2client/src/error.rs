//! What can go wrong with a connection, with a stream, and with an attempt to send.

use std::fmt;

/// An error code of RFC 9113, section 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// Nothing is wrong.
    pub const NO_ERROR: ErrorCode = ErrorCode(0x0);
    /// A violation of the protocol.
    pub const PROTOCOL_ERROR: ErrorCode = ErrorCode(0x1);
    /// The peer's own fault.
    pub const INTERNAL_ERROR: ErrorCode = ErrorCode(0x2);
    /// More data than the window allows.
    pub const FLOW_CONTROL_ERROR: ErrorCode = ErrorCode(0x3);
    /// A frame for a stream that has ended.
    pub const STREAM_CLOSED: ErrorCode = ErrorCode(0x5);
    /// A frame with a wrong length.
    pub const FRAME_SIZE_ERROR: ErrorCode = ErrorCode(0x6);
    /// The request was not looked at: it may be sent again.
    pub const REFUSED_STREAM: ErrorCode = ErrorCode(0x7);
    /// The answer is no longer wanted.
    pub const CANCEL: ErrorCode = ErrorCode(0x8);
    /// A header block that cannot be decoded.
    pub const COMPRESSION_ERROR: ErrorCode = ErrorCode(0x9);
    /// The other end does too much that leads nowhere.
    pub const ENHANCE_YOUR_CALM: ErrorCode = ErrorCode(0xb);

    /// The name in the registry of RFC 9113, where the code has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        const NAMES: [&str; 14] = [
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            "REFUSED_STREAM",
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        ];
        NAMES.get(usize::try_from(self.0).ok()?).copied()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "error code {}", self.0),
        }
    }
}

/// What kind of fault ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The peer does not keep to the protocol.
    NotHttp2,
    /// A header block is larger than the limit, so the header table's state is lost.
    HeadersTooLarge,
    /// The peer sends frame after frame that leads nowhere.
    Flood,
}

/// The connection cannot go on. Display gives a message that is the same for every fault of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionError {
    /// The kind of fault.
    pub kind: ErrorKind,
    /// What the peer is told in the GOAWAY frame that waits in the outgoing bytes.
    pub code: ErrorCode,
    /// What was wrong.
    pub reason: &'static str,
}

impl ConnectionError {
    pub(crate) const fn new(code: ErrorCode, reason: &'static str) -> ConnectionError {
        ConnectionError { kind: ErrorKind::NotHttp2, code, reason }
    }

    pub(crate) const fn protocol(reason: &'static str) -> ConnectionError {
        ConnectionError::new(ErrorCode::PROTOCOL_ERROR, reason)
    }

    pub(crate) const fn size(reason: &'static str) -> ConnectionError {
        ConnectionError::new(ErrorCode::FRAME_SIZE_ERROR, reason)
    }

    pub(crate) const fn flood(reason: &'static str) -> ConnectionError {
        ConnectionError { kind: ErrorKind::Flood, code: ErrorCode::ENHANCE_YOUR_CALM, reason }
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ErrorKind::HeadersTooLarge => formatter.write_str(self.reason),
            ErrorKind::NotHttp2 | ErrorKind::Flood => write!(formatter, "not HTTP/2: {}", self.reason),
        }
    }
}

impl std::error::Error for ConnectionError {}

/// Why one stream ended without a whole answer, on a connection that may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The peer reset it.
    Reset(ErrorCode),
    /// The peer did not look at the request, by `REFUSED_STREAM` or GOAWAY: it may be sent again, whatever its method.
    NotProcessed,
    /// The answer's headers or trailers are over the limit.
    HeadersTooLarge,
    /// The answer breaks the protocol, in a way that concerns this stream alone.
    Malformed(&'static str),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Reset(code) => write!(formatter, "stream reset by the target: {code}"),
            Failure::NotProcessed => formatter.write_str("request refused by the target"),
            Failure::HeadersTooLarge => formatter.write_str("headers over 64 KiB"),
            Failure::Malformed(reason) => write!(formatter, "not HTTP/2: {reason}"),
        }
    }
}

/// Why a request cannot be sent on this connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// All streams are in use: try again when one has ended.
    Busy,
    /// The peer says goodbye, or the stream numbers are used up: this connection takes no further requests.
    Draining,
    /// The connection has failed.
    Failed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Refusal::Busy => "all streams of the connection are in use",
            Refusal::Draining => "the connection takes no further requests",
            Refusal::Failed => "the connection has failed",
        })
    }
}

impl std::error::Error for Refusal {}
