//! What comes next in the open model: an arrival, or the end of a leg or of the load.

use crate::outcome::StopReason;

/// An iteration that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// 1-based in its lane, over warm-up and measured load.
    pub number: u64,
    /// Its intended start.
    pub intended: u64,
    /// It belongs to warm-up.
    pub warm_up: bool,
}

/// The next event in the open model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// An arrival.
    Arrival(Arrival),
    /// The leg's last arrival has been taken; the leg ends at this time.
    LegOver(u64),
    /// The load's last arrival has been taken; sending ends at this time, for this reason.
    Over(u64, StopReason),
}
