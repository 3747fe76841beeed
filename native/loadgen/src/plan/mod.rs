//! The load plan in the format of `atm.plan.load_plan` (`format` 2), parsed and validated: after [`Plan::from_bytes`]
//! nothing in it can make the engine panic, send a header that is not in the plan, or allocate without bound.
//!
//! `request.rs` holds requests, `load.rs` lanes and their loads, `share.rs` the part of them that this engine sends,
//! `program.rs` scenarios, `connections.rs` connection settings, `targets.rs` the allowed
//! targets; `check.rs` and `flow_check.rs` validate them.

mod check;
mod connections;
mod flow_check;
mod load;
pub mod program;
mod request;
mod share;
mod targets;

use std::fmt;

use serde::Deserialize;

use crate::random::{self, Stream};

pub use check::{is_header_text, is_target_text};
pub use connections::{Connections, HttpVersion, Origin, Proxy, Scheme, Tls};
pub use load::{CatchUp, Lane, Load, Model, PreparedUsers, Saturation, Segment, Selection, Spacing};
pub use request::{
    BodyCheck, CheckKind, Encoding, Filter, FilterName, Flow, Header, NowFormat, Part, Source, Step, StepId, Template,
    Variable,
};
pub use share::Share;
pub use targets::TargetRules;

/// The plan format that this engine reads.
pub const PLAN_FORMAT: u32 = 2;

/// Why bytes are not a plan that this engine can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// Not JSON, or not of the plan's shape.
    Unreadable(String),
    /// Written for another version of the engine.
    Format(u32),
    /// Well-formed but invalid: the path and the reason.
    Invalid(String, String),
    /// A secret that the plan needs: its slot, and the problem.
    Secret(String, &'static str),
    /// Not supported by this engine: the capability's name.
    Unsupported(String),
}

/// The problem of a missing secret.
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

/// How many requests are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Number of first requests of each endpoint.
    pub first_per_endpoint: u64,
    /// Number of failures of each (endpoint, outcome).
    pub failures_per_kind: u64,
    /// Number of the slowest requests.
    pub slowest: usize,
    /// Bodies are truncated to this length.
    pub body_bytes: usize,
    /// Number of first iterations of each flow with a program.
    pub first_iterations: u64,
    /// Number of iterations of each of these that failed, or had a failed request.
    pub failed_iterations: u64,
    /// Number of the slowest iterations of each of these.
    pub slowest_iterations: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling {
            first_per_endpoint: 2,
            failures_per_kind: 3,
            slowest: 10,
            body_bytes: 10_240,
            first_iterations: 2,
            failed_iterations: 3,
            slowest_iterations: 5,
        }
    }
}

/// The complete input of the engine, apart from secrets.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Plan {
    /// For messages.
    pub name: String,
    /// Seed of random decisions.
    pub seed: u64,
    /// Display names.
    pub endpoints: Vec<String>,
    /// Destinations of connections.
    pub origins: Vec<Origin>,
    /// Flows with their requests.
    pub flows: Vec<Flow>,
    /// Loads that run side by side.
    pub lanes: Vec<Lane>,
    /// How long requests in flight may take after the end of sending.
    pub graceful_stop_ns: u64,
    /// Connection settings.
    #[serde(default)]
    pub connections: Connections,
    /// How many requests are sampled.
    #[serde(default)]
    pub sampling: Sampling,
    /// The checks of all steps.
    #[serde(default)]
    pub checks: Vec<program::CheckName>,
    /// Test data.
    #[serde(default)]
    pub data: Vec<program::DataTable>,
    /// Required capabilities beyond plain HTTP/1.1.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The part of the load that this engine sends.
    #[serde(default)]
    pub share: Share,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

/// The capabilities of this engine.
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
    "scenarios",
    "before_user",
];

impl Plan {
    /// Parses and validates a plan.
    ///
    /// # Errors
    /// [`PlanError`] for anything that is not a plan that this engine can run.
    pub fn from_bytes(bytes: &[u8]) -> Result<Plan, PlanError> {
        let unreadable = |error: serde_json::Error| PlanError::Unreadable(error.to_string());
        // Check the format first: a plan of a newer version may have another shape.
        let format = serde_json::from_slice::<FormatOnly>(bytes).map_err(unreadable)?.format;
        if format != PLAN_FORMAT {
            return Err(PlanError::Format(format));
        }
        let mut plan: Plan = serde_json::from_slice(bytes).map_err(unreadable)?;
        plan.prepare_values();
        plan.check()?;
        Ok(plan)
    }

    /// Marks the values of secret variables, so that they are masked, and encodes raw ones for the line that they are in:
    /// none may end it.
    fn prepare_values(&mut self) {
        for Flow { steps, slots, .. } in &mut self.flows {
            for Step { target, headers, .. } in steps.iter_mut() {
                for part in target.iter_mut() {
                    part.encode_raw(Encoding::Target);
                }
                for part in headers.iter_mut().flat_map(|header| &mut header.value) {
                    part.encode_raw(Encoding::Header);
                }
            }
            let in_steps = steps.iter_mut().flat_map(|Step { target, headers, body, .. }| {
                let headers = headers.iter_mut().flat_map(|header| &mut header.value);
                target.iter_mut().chain(headers).chain(body.iter_mut().flatten())
            });
            for part in in_steps {
                if let Part::Value { source: Source::Slot { slot }, is_secret, .. } = part {
                    *is_secret |= slots.get(*slot).is_some_and(|slot| slot.is_secret);
                }
            }
        }
    }

    /// The steps of all flows, flow by flow. Step numbers follow this order.
    pub fn steps(&self) -> impl Iterator<Item = (StepId, &Step)> {
        // A plan has at most 100,000 flows, and as many steps.
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

    /// True if iterations are counted: a flow has a program or several steps.
    #[must_use]
    pub fn counts_iterations(&self) -> bool {
        self.flows.iter().any(|flow| flow.steps.len() > 1 || !flow.program.is_empty())
    }

    /// True if an iteration may be more than a request: a flow has a program or several steps, or a response has named
    /// checks or values to extract.
    #[must_use]
    pub fn has_journeys(&self) -> bool {
        self.flows.iter().any(|flow| {
            let is_judged = |step: &Step| !step.named_checks.is_empty() || !step.extracts.is_empty();
            flow.steps.len() > 1 || !flow.program.is_empty() || flow.uses_cookies || flow.steps.iter().any(is_judged)
        })
    }

    /// The seed of a lane's arrivals and selections, as `atm.plan.randomness.lane_seed`.
    #[must_use]
    pub fn lane_seed(&self, lane: usize) -> u64 {
        if lane == 0 { self.seed } else { random::draw(self.seed, lane as u64, Stream::Lane) }
    }

    /// Names of all secret slots that the plan refers to.
    #[must_use]
    pub fn secret_slots(&self) -> Vec<&str> {
        let mut slots: Vec<&str> = self.flows.iter().flat_map(Flow::parts).flat_map(Part::secret_slots).collect();
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
