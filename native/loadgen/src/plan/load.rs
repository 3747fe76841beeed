//! How much load, in which model, and what becomes of arrivals that cannot leave in time.

use serde::Deserialize;

/// A linear piece of a load profile.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Segment {
    /// Users or arrivals per second at its begin.
    pub start: f64,
    /// At its end.
    pub end: f64,
    /// None for a last one without an end.
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

/// What becomes of an arrival that finds no free user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Saturation {
    /// Wait.
    Queue,
    /// Be missed.
    Drop,
}

/// What happens to arrivals that the generator itself noticed late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// Start them late.
    Full,
    /// Skip them.
    None,
}

/// How much load, in which model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Load {
    /// Closed or open.
    pub model: Model,
    /// At least one; warm-up is not among them.
    pub segments: Vec<Segment>,
    /// Runs before the segments.
    pub warm_up_ns: u64,
    /// Users or arrivals per second during warm-up.
    pub warm_up_level: f64,
    /// Open model.
    pub arrival: Spacing,
    /// Open model.
    pub on_saturation: Saturation,
    /// Open model.
    pub catch_up: CatchUp,
    /// Open model, `catch_up` full: later than this is missed.
    pub catch_up_max_ns: u64,
    /// Open model; None = the engine's ceiling.
    pub max_in_flight: Option<u64>,
    /// Closed model: starts per second of all users together.
    pub max_rate: Option<f64>,
}
