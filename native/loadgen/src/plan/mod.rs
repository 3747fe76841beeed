//! The load plan as `atm.plan.load_plan` writes it (`format` 1), read and checked: after [`Plan::from_bytes`] nothing in it
//! can make the engine panic, send a header that the plan does not hold, or allocate without bound.
//!
//! `request.rs` holds what is sent, `load.rs` how much of it and when, `connections.rs` over what, `targets.rs` whereto at
//! most; `check.rs` checks it all.

mod check;
mod connections;
mod load;
mod request;
mod targets;

use std::fmt;

use serde::Deserialize;

pub use check::{is_header_text, is_target_text};
pub use connections::{Connections, HttpVersion, Origin, Proxy, Scheme, Tls};
pub use load::{CatchUp, Load, Model, Saturation, Segment, Spacing};
pub use request::{BodyCheck, CheckKind, Encoding, Flow, Header, Part, Step, StepId, Template, Variable};
pub use targets::TargetRules;

/// The plan format that this engine reads.
pub const PLAN_FORMAT: u32 = 1;

/// Why bytes are not a plan that this engine can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// Not JSON, or not of the plan's shape.
    Unreadable(String),
    /// Written for another version of the engine.
    Format(u32),
    /// Well-formed, but impossible: where, and why.
    Invalid(String, String),
    /// A secret that the plan needs: its slot, and what is wrong with it.
    Secret(String, &'static str),
    /// Possible, but not with this engine: the capability's name.
    Unsupported(String),
}

/// What is wrong with a secret that is not there.
pub const MISSING: &str = "and it was not given";

impl fmt::Display for PlanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::Unreadable(why) => write!(formatter, "not a load plan: {why}"),
            PlanError::Format(found) => {
                write!(formatter, "the plan has format {found}, this engine reads format {PLAN_FORMAT}")
            }
            PlanError::Invalid(path, why) => write!(formatter, "{path}: {why}"),
            PlanError::Secret(slot, MISSING) => write!(formatter, "the plan needs the secret \"{slot}\", {MISSING}"),
            PlanError::Secret(slot, why) => write!(formatter, "the secret \"{slot}\" {why}"),
            PlanError::Unsupported(feature) => write!(formatter, "the native engine cannot do this: {feature}"),
        }
    }
}

impl std::error::Error for PlanError {}

/// How many requests are kept whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// The first so many of each endpoint.
    pub first_per_endpoint: u64,
    /// The first so many of each (endpoint, outcome).
    pub failures_per_kind: u64,
    /// The slowest so many.
    pub slowest: usize,
    /// Bodies are cut here.
    pub body_bytes: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { first_per_endpoint: 2, failures_per_kind: 3, slowest: 10, body_bytes: 10_240 }
    }
}

/// How requests choose their flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// In turn.
    RoundRobin,
    /// By weight.
    Weighted,
    /// One after the other, with a barrier between.
    Sequential,
}

/// What the engine runs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Plan {
    /// For messages.
    pub name: String,
    /// Of every random decision.
    pub seed: u64,
    /// Display names.
    pub endpoints: Vec<String>,
    /// Where connections go.
    pub origins: Vec<Origin>,
    /// What is sent.
    pub flows: Vec<Flow>,
    /// Which flow when.
    pub selection: Selection,
    /// How much.
    pub load: Load,
    /// Measured arrivals or starts after which sending ends.
    pub total_requests: Option<u64>,
    /// The length of the measured window.
    pub duration_ns: Option<u64>,
    /// How long what is in flight may take after the end of sending.
    pub graceful_stop_ns: u64,
    /// How connections are made.
    #[serde(default)]
    pub connections: Connections,
    /// What is kept whole.
    #[serde(default)]
    pub sampling: Sampling,
    /// Capabilities beyond plain HTTP/1.1.
    #[serde(default)]
    pub needs: Vec<String>,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

/// What a plan may need and this engine can do.
pub const CAPABILITIES: &[&str] = &[
    "tls",
    "client_certificate",
    "proxy",
    "redirects",
    "body_checks",
    "source_addresses",
    "re_resolution",
    "http2",
    "target_rules",
    "multi_step",
];

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// [`PlanError`] for anything that is not a plan which this engine can run.
    pub fn from_bytes(bytes: &[u8]) -> Result<Plan, PlanError> {
        let unreadable = |error: serde_json::Error| PlanError::Unreadable(error.to_string());
        // The format is looked at first: a plan from the future may not have today's shape.
        let format = serde_json::from_slice::<FormatOnly>(bytes).map_err(unreadable)?.format;
        if format != PLAN_FORMAT {
            return Err(PlanError::Format(format));
        }
        let plan: Plan = serde_json::from_slice(bytes).map_err(unreadable)?;
        plan.check()?;
        Ok(plan)
    }

    /// The steps of all flows, one flow after the other. Where steps are numbered, this is the order.
    pub fn steps(&self) -> impl Iterator<Item = (StepId, &Step)> {
        // A plan has at most 100,000 flows and as many steps.
        let number = |index| u32::try_from(index).unwrap_or(u32::MAX);
        self.flows.iter().enumerate().flat_map(move |(flow, of)| {
            let id = move |position| StepId { flow: number(flow), position: number(position) };
            of.steps.iter().enumerate().map(move |(position, step)| (id(position), step))
        })
    }

    /// One step.
    #[must_use]
    pub fn step(&self, id: StepId) -> &Step {
        &self.flows[id.flow as usize].steps[id.position as usize]
    }

    /// True where a flow has more than one step.
    #[must_use]
    pub fn is_multi_step(&self) -> bool {
        self.flows.iter().any(|flow| flow.steps.len() > 1)
    }

    /// Names of all secret slots that the plan refers to.
    #[must_use]
    pub fn secret_slots(&self) -> Vec<&str> {
        let mut slots: Vec<&str> = self
            .steps()
            .flat_map(|(_, step)| {
                let headers = step.headers.iter().flat_map(|header| &header.value);
                step.target.iter().chain(headers).chain(step.body.iter().flatten())
            })
            .filter_map(|part| if let Part::Secret { slot, .. } = part { Some(slot.as_str()) } else { None })
            .collect();
        if !self.connections.tls.key_slot.is_empty() {
            slots.push(&self.connections.tls.key_slot);
        }
        if let Some(proxy) = &self.connections.proxy
            && !proxy.authorization_slot.is_empty()
        {
            slots.push(&proxy.authorization_slot);
        }
        slots.sort_unstable();
        slots.dedup();
        slots
    }
}
