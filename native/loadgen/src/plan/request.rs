//! Requests and expected responses: templates, steps, flows.

use serde::Deserialize;

/// How a value is encoded at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Unchanged.
    Raw,
    /// RFC 3986, all but unreserved characters.
    Percent,
    /// The content of a JSON string.
    Json,
}

/// A value that differs per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variable {
    /// UUID version 4 of the request.
    Uuid,
    /// Wall time with microseconds.
    Timestamp,
    /// Wall time in whole seconds.
    TimestampUnix,
    /// 1-based.
    RequestNumber,
    /// 0 to 999,999.
    RandomInt,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "part", rename_all = "lowercase")]
pub enum Part {
    /// Sent unchanged.
    Literal {
        /// The text.
        text: String,
    },
    /// Differs per request.
    Variable {
        /// The value.
        name: Variable,
        /// Its encoding.
        encoding: Encoding,
    },
    /// A secret slot.
    Secret {
        /// The slot's name.
        slot: String,
        /// Its encoding.
        encoding: Encoding,
    },
}

/// Parts in order; none is the empty string.
pub type Template = Vec<Part>;

/// One header line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Header {
    /// Name as written.
    pub name: String,
    /// Its value.
    pub value: Template,
}

impl Part {
    /// True for a secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self, Part::Secret { .. })
    }
}

impl Header {
    /// True if a part of its value is a secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.value.iter().any(Part::is_secret)
    }
}

/// Type of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckKind {
    /// A substring.
    Contains,
    /// A regular expression.
    Regex,
}

/// A condition on the response body.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BodyCheck {
    /// Substring or regular expression.
    pub kind: CheckKind,
    /// The text or expression to find.
    pub pattern: String,
}

/// One request of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Step {
    /// The endpoint under which it is counted.
    pub endpoint: usize,
    /// Index into the plan's origins.
    pub origin: usize,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub target: Template,
    /// In order, Host first.
    pub headers: Vec<Header>,
    /// None = no body.
    pub body: Option<Template>,
    /// Inclusive ranges of expected status codes.
    pub expected_statuses: Vec<(u16, u16)>,
    /// All must pass.
    pub checks: Vec<BodyCheck>,
    /// From the actual start to the last byte.
    pub timeout_ns: u64,
}

impl Step {
    /// True if Content-Length is sent: with a body, or for a method that allows one.
    #[must_use]
    pub fn sends_length(&self) -> bool {
        self.body.is_some() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH")
    }
}

/// An ordered journey of one user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Flow {
    /// For messages.
    pub name: String,
    /// For weighted selection.
    pub weight: u64,
    /// In order; at least one.
    pub steps: Vec<Step>,
}

/// Identifies a step of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepId {
    /// Index into the plan's flows.
    pub flow: u32,
    /// Index into the flow's steps.
    pub position: u32,
}
