//! Lanes, the load model of each, its level over time, and the rules for late arrivals.

use serde::Deserialize;

/// A linear segment of a load profile.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Segment {
    /// Users or arrivals per second at its start.
    pub start: f64,
    /// At its end.
    pub end: f64,
    /// None for the last segment of an endless profile.
    pub duration_ns: Option<u64>,
}

/// Closed or open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// Users.
    Closed,
    /// Arrivals.
    Open,
}

/// How arrivals are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// Evenly.
    Even,
    /// As a Poisson process.
    Poisson,
}

/// What to do with an arrival that finds no free user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Saturation {
    /// Queue it.
    Queue,
    /// Drop it; it counts as missed.
    Drop,
}

/// What to do with arrivals that the generator noticed late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// Start them late.
    Full,
    /// Skip them.
    None,
}

/// The load model and its level over time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Load {
    /// Closed or open.
    pub model: Model,
    /// At least one; warm-up is separate.
    pub segments: Vec<Segment>,
    /// Runs before the segments.
    pub warm_up_ns: u64,
    /// Users or arrivals per second during warm-up.
    pub warm_up_level: f64,
    /// Open model: spacing.
    pub arrival: Spacing,
    /// Open model: arrivals without a free user.
    pub on_saturation: Saturation,
    /// Open model: late arrivals.
    pub catch_up: CatchUp,
    /// Open model, `catch_up` full: arrivals later than this are missed.
    pub catch_up_max_ns: u64,
    /// Open model: limit of requests in flight; None = the engine's maximum.
    pub max_in_flight: Option<u64>,
    /// Closed model: maximum starts per second of all users together.
    pub max_rate: Option<f64>,
}

/// How iterations are distributed among the flows of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// In turn.
    RoundRobin,
    /// By weight.
    Weighted,
    /// One after the other, separated by barriers.
    Sequential,
}

/// Open model: the users of a lane whose flow has a `before_user`, kept prepared in the background.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct PreparedUsers {
    /// Their number, which is the limit of iterations in flight.
    pub users: u64,
    /// How many begin to prepare per second, at most.
    pub rate: f64,
    /// The first one begins this long before the lane's time zero.
    #[serde(default)]
    pub lead_ns: u64,
}

/// Flows with a load of their own; the lanes of a plan run side by side.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Lane {
    /// For messages and the report.
    pub name: String,
    /// Indices into the plan's flows; each flow belongs to exactly one lane.
    pub flows: Vec<usize>,
    /// How iterations are distributed among them.
    pub selection: Selection,
    /// The load.
    pub load: Load,
    /// Measured arrivals or starts after which sending ends.
    pub total: Option<u64>,
    /// The length of the measured load.
    pub duration_ns: Option<u64>,
    /// The lane's own time zero, since the start of the run.
    #[serde(default)]
    pub start_ns: u64,
    /// Open model: the users of a flow with a `before_user`.
    #[serde(default)]
    pub prepared: Option<PreparedUsers>,
    /// Closed model: no iteration has a number above it, warm-up included.
    #[serde(default)]
    pub last_number: Option<u64>,
}

impl Lane {
    /// The end of its warm-up, since the start of the run.
    #[must_use]
    pub fn measured_from(&self) -> u64 {
        self.start_ns + self.load.warm_up_ns
    }
}
