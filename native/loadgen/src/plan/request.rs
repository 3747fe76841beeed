//! What is sent, and which answers are ok: templates, steps, flows.

use serde::Deserialize;

/// How a value is written into its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As it is.
    Raw,
    /// RFC 3986, everything but unreserved characters.
    Percent,
    /// The inside of a JSON string.
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

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "part", rename_all = "lowercase")]
pub enum Part {
    /// Sent as it is.
    Literal {
        /// The text.
        text: String,
    },
    /// Differs per request.
    Variable {
        /// Which value.
        name: Variable,
        /// How it is written.
        encoding: Encoding,
    },
    /// A secret slot.
    Secret {
        /// The slot's name.
        slot: String,
        /// How it is written.
        encoding: Encoding,
    },
}

/// Parts in order; none is the empty string.
pub type Template = Vec<Part>;

/// One header line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Header {
    /// As written.
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
    /// True where a part of its value is a secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.value.iter().any(Part::is_secret)
    }
}

/// What a check looks for.
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
    /// What must be found.
    pub pattern: String,
}

/// One request of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Step {
    /// Where its figures are counted.
    pub endpoint: usize,
    /// Index into the plan's origins.
    pub origin: usize,
    /// A token.
    pub method: String,
    /// Path and query.
    pub target: Template,
    /// In order, Host first.
    pub headers: Vec<Header>,
    /// None = no body.
    pub body: Option<Template>,
    /// Inclusive ranges of statuses that are ok.
    pub expected_statuses: Vec<(u16, u16)>,
    /// All must hold.
    pub checks: Vec<BodyCheck>,
    /// From the actual start to the last byte.
    pub timeout_ns: u64,
}

impl Step {
    /// Content-Length is sent where there is a body, or where the method means that there could be one.
    #[must_use]
    pub fn sends_length(&self) -> bool {
        self.body.is_some() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH")
    }
}

/// A journey of one user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Flow {
    /// For messages.
    pub name: String,
    /// For weighted selection.
    pub weight: u64,
    /// In order; at least one.
    pub steps: Vec<Step>,
}

/// Which step of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepId {
    /// Index into the plan's flows.
    pub flow: u32,
    /// Index into the flow's steps.
    pub position: u32,
}
