//! Samples as raw data. They are formatted and masked when their second is reported.

use crate::message::Message;
use crate::outcome::Outcome;
use crate::plan::StepId;
use crate::response::Expect;
use crate::template::Values;

/// Why a request is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Among the first of its endpoint.
    First,
    /// Among the first failures of its kind.
    Failure,
    /// Among the slowest.
    Slowest,
}

impl Reason {
    /// Its name in a sample.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::First => "first",
            Reason::Failure => "failure",
            Reason::Slowest => "slowest",
        }
    }
}

/// A sampled request.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // as atm.metrics.interval.Sample
pub struct RawSample {
    pub reason: Reason,
    pub step: StepId,
    pub warm_up: bool,
    pub outcome: Outcome,
    pub message: Message,
    pub values: Values,
    pub intended_ns: u64,
    pub actual_ns: u64,
    pub finish_ns: u64,
    pub first_byte_ns: Option<u64>,
    pub expect: Expect,
    /// The start of the response, as received.
    pub response: Vec<u8>,
    /// Length of the whole body, without its framing.
    pub body_bytes: u64,
    /// After redirects: the origin and the request of the last hop.
    pub hop: Option<Box<(String, Vec<u8>)>>,
    /// It was sent over HTTP/2.
    pub http2: bool,
    /// The request with secrets masked, if it held values of its user, which have changed since.
    pub request: Option<Vec<u8>>,
    /// Further texts to mask.
    pub hidden: Vec<String>,
}

/// A sampled iteration.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // as atm.metrics.interval.IterationSample
pub struct RawIteration {
    pub reason: Reason,
    pub flow: usize,
    pub number: u64,
    pub user: u64,
    pub is_completed: bool,
    pub intended_ns: u64,
    pub finish_ns: u64,
    pub think_ns: u64,
    pub steps: Vec<RawStep>,
    pub left_out: u64,
}

/// A step of a sampled iteration.
#[derive(Debug, Clone)]
pub struct RawStep {
    /// Its request.
    pub sample: RawSample,
    /// The checks of the plan that judged the response, and whether each passed.
    pub checks: Vec<(usize, bool)>,
    /// The variables that the response set: text without secrets, or None if it had no value.
    pub values: Vec<(usize, Option<String>)>,
}

impl RawIteration {
    /// Its time without think time.
    #[must_use]
    pub fn active_ns(&self) -> u64 {
        (self.finish_ns - self.intended_ns).saturating_sub(self.think_ns)
    }
}

#[cfg(test)]
impl RawIteration {
    /// An iteration of flow 0 without steps and times.
    pub(crate) fn ended(reason: Reason) -> RawIteration {
        RawIteration {
            reason,
            flow: 0,
            number: 1,
            user: 1,
            is_completed: true,
            intended_ns: 0,
            finish_ns: 0,
            think_ns: 0,
            steps: Vec::new(),
            left_out: 0,
        }
    }
}
