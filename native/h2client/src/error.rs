//! Errors of connections, of streams, and of attempts to send.

use std::fmt;

/// An error code of RFC 9113, section 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// No error.
    pub const NO_ERROR: ErrorCode = ErrorCode(0x0);
    /// A violation of the protocol.
    pub const PROTOCOL_ERROR: ErrorCode = ErrorCode(0x1);
    /// An internal error of the peer.
    pub const INTERNAL_ERROR: ErrorCode = ErrorCode(0x2);
    /// More data than the window allows.
    pub const FLOW_CONTROL_ERROR: ErrorCode = ErrorCode(0x3);
    /// A frame for a stream that has ended.
    pub const STREAM_CLOSED: ErrorCode = ErrorCode(0x5);
    /// A frame with a wrong length.
    pub const FRAME_SIZE_ERROR: ErrorCode = ErrorCode(0x6);
    /// The request was not processed: it may be sent again.
    pub const REFUSED_STREAM: ErrorCode = ErrorCode(0x7);
    /// The response is no longer wanted.
    pub const CANCEL: ErrorCode = ErrorCode(0x8);
    /// A header block that cannot be decoded.
    pub const COMPRESSION_ERROR: ErrorCode = ErrorCode(0x9);
    /// The other side causes excessive load without progress.
    pub const ENHANCE_YOUR_CALM: ErrorCode = ErrorCode(0xb);

    /// The name in RFC 9113's registry, if the code has one.
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

/// The type of error that ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The peer violates the protocol.
    NotHttp2,
    /// A header block exceeds the limit, so the header table's state is lost.
    HeadersTooLarge,
    /// The peer sends many frames without progress.
    Flood,
}

/// A connection error. Display gives a message that is the same for every error of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionError {
    /// The type of error.
    pub kind: ErrorKind,
    /// The code in the GOAWAY frame that is in the outgoing bytes.
    pub code: ErrorCode,
    /// The violation.
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

/// Why one stream ended without a complete response, on a connection that may continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The peer reset it.
    Reset(ErrorCode),
    /// The peer did not process the request (`REFUSED_STREAM` or GOAWAY): it may be sent again, whatever its method.
    NotProcessed,
    /// The response's headers or trailers exceed the limit.
    HeadersTooLarge,
    /// The response violates the protocol in a way that affects only this stream.
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
    /// The peer has sent GOAWAY, or the stream numbers are used up: this connection accepts no further requests.
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
