//! Requests and expected responses: templates, steps, flows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, de};

use super::program::{Extract, NamedCheck, Op, Slot};

/// How a value is encoded at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Unchanged.
    Raw,
    /// RFC 3986, all but unreserved characters.
    Percent,
    /// The content of a JSON string.
    Json,
    /// The value as JSON, a text with its quotes.
    JsonValue,
    /// Without control characters.
    Header,
    /// Control characters, spaces and non-ASCII bytes as %XX.
    Target,
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
    /// Sent unchanged, and not text; in bodies only.
    Bytes {
        /// The bytes, as base64 in the plan.
        #[serde(rename = "base64", deserialize_with = "from_base64")]
        bytes: Vec<u8>,
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
    /// A value of the user, of test data or of a function.
    Value {
        /// Its source.
        source: Source,
        /// Conversions in order.
        #[serde(default)]
        filters: Vec<Filter>,
        /// Its encoding.
        encoding: Encoding,
        /// Masked in samples.
        #[serde(default)]
        is_secret: bool,
    },
}

/// Where a value comes from, see `atm.plan.template_parts`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
#[allow(missing_docs)] // defined in `atm.plan.template_parts`
pub enum Source {
    Slot {
        slot: usize,
    },
    Data {
        table: usize,
        column: usize,
        #[serde(default)]
        place: u64,
    },
    User {},
    Iteration {},
    Uuid {
        place: u64,
    },
    RandomInt {
        low: i64,
        high: i64,
        place: u64,
    },
    RandomString {
        length: u64,
        place: u64,
    },
    RandomChoice {
        choices: Vec<String>,
        place: u64,
    },
    Now {
        offset_ns: i64,
        format: NowFormat,
    },
    Text {
        text: String,
        secret_slot: String,
    },
}

/// How a wall time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // defined in `atm.plan.template_parts`
pub enum NowFormat {
    Iso,
    Unix,
    UnixMs,
    Date,
    Time,
}

/// A conversion of a value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Filter {
    /// Which one.
    pub name: FilterName,
    /// The key of an HMAC.
    #[serde(default)]
    pub key: String,
    /// The secret slot that holds the key, instead.
    #[serde(default)]
    pub key_slot: String,
}

/// The conversions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)] // defined in `atm.plan.template_parts`
pub enum FilterName {
    #[serde(rename = "base64")]
    Base64,
    #[serde(rename = "base64url")]
    Base64Url,
    #[serde(rename = "sha256")]
    Sha256,
    #[serde(rename = "hmac_sha256")]
    HmacSha256,
    #[serde(rename = "url")]
    Url,
    #[serde(rename = "lower")]
    Lower,
    #[serde(rename = "upper")]
    Upper,
    #[serde(rename = "json")]
    Json,
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
        matches!(self, Part::Secret { .. } | Part::Value { is_secret: true, .. })
    }

    /// Gives a raw value this encoding.
    pub(super) fn encode_raw(&mut self, safe: Encoding) {
        if let Part::Value { encoding, .. } = self
            && *encoding == Encoding::Raw
        {
            *encoding = safe;
        }
    }

    /// The secret slots that it is rendered from.
    pub fn secret_slots(&self) -> impl Iterator<Item = &str> {
        let (slot, filters): (&str, &[Filter]) = match self {
            Part::Secret { slot, .. } => (slot, &[]),
            Part::Value { source: Source::Text { secret_slot, .. }, filters, .. } => (secret_slot, filters),
            Part::Value { filters, .. } => ("", filters),
            Part::Literal { .. } | Part::Bytes { .. } | Part::Variable { .. } => ("", &[]),
        };
        let keys = filters.iter().map(|filter| filter.key_slot.as_str());
        std::iter::once(slot).chain(keys).filter(|slot| !slot.is_empty())
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
    /// Judged after `checks`.
    #[serde(default)]
    pub named_checks: Vec<NamedCheck>,
    /// Applied after the checks.
    #[serde(default)]
    pub extracts: Vec<Extract>,
    /// The body is sent compressed with gzip.
    #[serde(default)]
    pub compresses: bool,
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
}

impl Step {
    /// All parts of the request.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        let headers = self.headers.iter().flat_map(|header| &header.value);
        self.target.iter().chain(headers).chain(self.body.iter().flatten())
    }

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
    /// What an iteration does; empty: the steps in order.
    #[serde(default)]
    pub program: Vec<Op>,
    /// The variables of a user.
    #[serde(default)]
    pub slots: Vec<Slot>,
    /// Number of loop counters.
    #[serde(default)]
    pub counters: u32,
    /// Users keep cookies.
    #[serde(default)]
    pub uses_cookies: bool,
    /// Slots and cookies stay with the user.
    #[serde(default)]
    pub keeps_session: bool,
    /// Closed model: least time between the starts of a user's iterations; 0 for none.
    #[serde(default)]
    pub pace_ns: u64,
    /// What a user does once, before its first iteration.
    #[serde(default)]
    pub before_user: Vec<Op>,
}

impl Flow {
    /// The parts of all requests and conditions.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        let mut parts = Vec::new();
        for step in &self.steps {
            parts.extend(&step.target);
            parts.extend(step.headers.iter().flat_map(|header| &header.value));
            parts.extend(step.body.iter().flatten());
            parts.extend(step.extracts.iter().filter_map(|extract| extract.subject.value.as_deref()));
            for check in &step.named_checks {
                check.condition.append_parts(&mut parts);
            }
        }
        for op in self.before_user.iter().chain(&self.program) {
            if let Op::Unless { condition, .. } = op {
                condition.append_parts(&mut parts);
            }
        }
        parts.into_iter()
    }
}

/// Identifies a step of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepId {
    /// Index into the plan's flows.
    pub flow: u32,
    /// Index into the flow's steps.
    pub position: u32,
}
