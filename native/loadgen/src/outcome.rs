//! How requests and iterations end, and why a run ended.

/// How a started request ended. Each started request has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// Full response, expected status, all checks passed.
    Ok,
    /// Full response, another status.
    UnexpectedStatus,
    /// Full response, expected status, a check failed.
    CheckFailed,
    /// The step's timeout passed since the actual start.
    Timeout,
    /// The origin has no address.
    DnsError,
    /// No TCP connection, or no tunnel through the proxy.
    ConnectError,
    /// No TLS session.
    TlsError,
    /// The target closed or reset the connection before the response was whole.
    ConnectionClosed,
    /// The bytes received are not a valid HTTP response.
    ProtocolError,
    /// Headers over 64 KiB, or more bytes than the plan allows.
    ResponseTooLarge,
    /// The load generator's fault: no ports, no file descriptors.
    GeneratorError,
    /// In flight when the run ended.
    Unfinished,
}

impl Outcome {
    /// Number of outcomes.
    pub const COUNT: usize = 12;

    /// All of them, in the order of their discriminants.
    pub const ALL: [Outcome; Outcome::COUNT] = [
        Outcome::Ok,
        Outcome::UnexpectedStatus,
        Outcome::CheckFailed,
        Outcome::Timeout,
        Outcome::DnsError,
        Outcome::ConnectError,
        Outcome::TlsError,
        Outcome::ConnectionClosed,
        Outcome::ProtocolError,
        Outcome::ResponseTooLarge,
        Outcome::GeneratorError,
        Outcome::Unfinished,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::UnexpectedStatus => "unexpected_status",
            Outcome::CheckFailed => "check_failed",
            Outcome::Timeout => "timeout",
            Outcome::DnsError => "dns_error",
            Outcome::ConnectError => "connect_error",
            Outcome::TlsError => "tls_error",
            Outcome::ConnectionClosed => "connection_closed",
            Outcome::ProtocolError => "protocol_error",
            Outcome::ResponseTooLarge => "response_too_large",
            Outcome::GeneratorError => "generator_error",
            Outcome::Unfinished => "unfinished",
        }
    }

    /// True for a full response.
    #[must_use]
    pub fn is_full_response(self) -> bool {
        matches!(self, Outcome::Ok | Outcome::UnexpectedStatus | Outcome::CheckFailed)
    }

    /// True if it counts as a failure of the target.
    #[must_use]
    pub fn is_failure(self) -> bool {
        !matches!(self, Outcome::Ok | Outcome::GeneratorError | Outcome::Unfinished)
    }
}

/// How an iteration ended. Each started iteration has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IterationEnd {
    /// Every step had a full response.
    Completed,
    /// A step had no full response.
    Failed,
    /// The run ended during the iteration.
    Unfinished,
}

/// Why no further request was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// `total_requests` was reached.
    Total,
    /// `duration` was over.
    Duration,
    /// The stages were over.
    Stages,
    /// Stop was requested.
    Stopped,
    /// Cancel was requested.
    Cancelled,
    /// A load thread died.
    Failed,
}

impl StopReason {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            StopReason::Total => "total",
            StopReason::Duration => "duration",
            StopReason::Stages => "stages",
            StopReason::Stopped => "stopped",
            StopReason::Cancelled => "cancelled",
            StopReason::Failed => "failed",
        }
    }
}
