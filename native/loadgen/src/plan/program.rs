//! The program of a scenario, in the format of `atm.plan.program`, which defines every operation, condition and value.

use serde::Deserialize;

use super::request::{Part, Template};

/// Which of several headers or matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Pick {
    /// The first.
    #[default]
    First,
    /// The last.
    Last,
    /// One, drawn at a place.
    Random,
    /// All, as a JSON array.
    All,
    /// Their number.
    Count,
}

/// Type of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// Status code.
    Status,
    /// Response time in ns.
    Time,
    /// Length of the body in bytes.
    Size,
    /// A response header.
    Header,
    /// A cookie set by the response.
    Cookie,
    /// The decoded text of the body.
    Body,
    /// A `JSONPath`.
    Json,
    /// A regular expression.
    Regex,
    /// A value of the user.
    Value,
}

/// What a condition compares or an extract reads.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Subject {
    /// Its type.
    pub kind: SubjectKind,
    /// Header, cookie, `JSONPath` or regular expression.
    #[serde(default)]
    pub text: String,
    /// Which match.
    #[serde(default)]
    pub pick: Pick,
    /// For `random`.
    #[serde(default)]
    pub place: u64,
    /// For `value`: a [`Part::Value`].
    #[serde(default)]
    pub value: Option<Box<Part>>,
}

/// Operator of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it
pub enum Operator {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
    Exists,
    Missing,
    Contains,
    NotContains,
    Matches,
    NotMatches,
    Conforms,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "condition", rename_all = "lowercase")]
pub enum Condition {
    /// Compares one subject.
    Comparison {
        /// The subject.
        subject: Subject,
        /// The operator.
        operator: Operator,
        /// A JSON value.
        #[serde(default)]
        operand: serde_json::Value,
        /// A text with values, instead.
        #[serde(default)]
        template: Option<Template>,
    },
    /// True if every part is.
    All {
        /// The parts.
        parts: Vec<Condition>,
    },
    /// True if at least one part is.
    Either {
        /// The parts.
        parts: Vec<Condition>,
    },
    /// True if its part is not.
    Negation {
        /// The part.
        part: Box<Condition>,
    },
}

impl Condition {
    /// Appends the parts of its subjects and templates.
    pub(super) fn append_parts<'a>(&'a self, parts: &mut Vec<&'a Part>) {
        match self {
            Condition::Comparison { subject, template, .. } => {
                parts.extend(subject.value.as_deref());
                parts.extend(template.iter().flatten());
            }
            Condition::All { parts: conditions } | Condition::Either { parts: conditions } => {
                for condition in conditions {
                    condition.append_parts(parts);
                }
            }
            Condition::Negation { part } => part.append_parts(parts),
        }
    }
}

/// A named condition on a response.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NamedCheck {
    /// Index into the plan's checks.
    pub check: usize,
    /// The condition.
    pub condition: Condition,
    /// As written.
    pub text: String,
    /// A failure does not fail the request.
    #[serde(default)]
    pub counts_only: bool,
}

/// Puts a value of a response into a slot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Extract {
    /// The slot.
    pub slot: usize,
    /// The source.
    pub subject: Subject,
    /// As written.
    pub text: String,
    /// Whether `default` is used.
    #[serde(default)]
    pub has_default: bool,
    /// The value without one in the response.
    #[serde(default)]
    pub default: serde_json::Value,
}

/// A variable of a user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Masked in samples.
    #[serde(default)]
    pub is_secret: bool,
}

/// How a failed request affects its iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFail {
    /// Continue.
    Continue,
    /// The iteration has failed.
    EndIteration,
    /// The iteration has failed, and the user starts no other (closed model).
    StopUser,
    /// The iteration has failed, and no iteration starts any more.
    StopRun,
}

/// Distribution of think times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the names say it
pub enum Distribution {
    Fixed,
    Uniform,
    Exponential,
    Normal,
}

/// An operation of a program.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Op {
    /// Send a step of the flow.
    Request {
        /// Index into the flow's steps.
        step: u32,
        /// Without a full response, or with an extract missing.
        on_error: OnFail,
        /// With a full response that failed otherwise.
        on_fail: OnFail,
    },
    /// Wait.
    Think {
        /// The distribution.
        distribution: Distribution,
        /// Its first parameter.
        first_ns: u64,
        /// Its second parameter.
        second_ns: u64,
        /// Its draws.
        place: u64,
    },
    /// Continue later in the program.
    Jump {
        /// Where.
        to: u32,
    },
    /// Continue later in the program, unless the condition is true.
    Unless {
        /// The condition.
        condition: Condition,
        /// Where.
        to: u32,
    },
    /// Jump back until a counter has reached a number.
    Loop {
        /// The counter.
        counter: u32,
        /// The number.
        times: u64,
        /// Where.
        to: u32,
    },
    /// Continue at one of several later operations.
    Choose {
        /// Their weights.
        weights: Vec<u64>,
        /// Where.
        to: Vec<u32>,
        /// The draw.
        place: u64,
    },
}

/// A check of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CheckName {
    /// Its name.
    pub name: String,
    /// The endpoint whose responses it judges.
    pub endpoint: usize,
}

/// Whose number selects a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the names say it
pub enum Per {
    User,
    Iteration,
    Use,
}

/// How a row is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it
pub enum RowPick {
    InOrder,
    Shuffled,
    Random,
}

/// Rows of test data.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DataTable {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// Number of rows.
    pub rows: u64,
    /// Whose number selects a row.
    pub per: Per,
    /// How.
    pub pick: RowPick,
    /// The table file.
    pub path: String,
}
