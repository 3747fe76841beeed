//! The report at the end of a run, from the endings of its lanes.

use serde::Serialize;

use crate::ledger::Ending;
use crate::outcome::StopReason;
use crate::plan::{Lane, Plan};

/// Endings that were not planned; each of them is the ending of the whole run.
const DISTURBANCES: [StopReason; 3] = [StopReason::Failed, StopReason::Cancelled, StopReason::Stopped];

/// The end of one lane. Times are ns since the start of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneReport {
    /// Its name in the plan.
    pub name: String,
    /// The end of its warm-up.
    pub window_start_ns: u64,
    /// The end of its sending.
    pub window_end_ns: u64,
    /// Its barrier time.
    pub barrier_ns: u64,
    /// `total`, `duration`, …
    pub stop_reason: &'static str,
}

/// The engine's final report. Times are ns since the start of the run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Wall time of the start of the run, ns since 1970.
    pub started_at_ns: u64,
    /// That of the lane that ended last; after a stop, cancel or failure, that.
    pub stop_reason: &'static str,
    /// The first end of a lane's warm-up.
    pub window_start_ns: u64,
    /// The last end of a lane's sending.
    pub window_end_ns: u64,
    /// The last finish, or the time of the cancel.
    pub last_finish_ns: u64,
    /// Barrier time; 0 with several lanes, of which each has its own.
    pub barrier_ns: u64,
    /// By lane.
    pub lanes: Vec<LaneReport>,
    /// The message of a load thread that died; empty if none did.
    pub worker_lost: String,
    /// Number of load threads.
    pub threads: usize,
}

impl Report {
    /// The report of a run whose lanes ended like this, in the order of the plan.
    pub(super) fn new(
        plan: &Plan,
        endings: &[Ending],
        started_at_ns: u64,
        worker_lost: String,
        threads: usize,
    ) -> Report {
        let lanes = plan.lanes.iter().zip(endings).map(|(lane, ending)| LaneReport {
            name: lane.name.clone(),
            window_start_ns: lane.measured_from().min(ending.at),
            window_end_ns: ending.at,
            barrier_ns: ending.barrier_ns,
            stop_reason: ending.reason.name(),
        });
        let lanes: Vec<LaneReport> = lanes.collect();
        let window_end = endings.iter().map(|ending| ending.at).max().unwrap_or(0);
        let last = endings.iter().find(|ending| ending.at == window_end).map(|ending| ending.reason);
        let reason = first_of(&DISTURBANCES, endings).or(last).unwrap_or(StopReason::Total);
        let measured_from = plan.lanes.iter().map(Lane::measured_from).min().unwrap_or(0);
        Report {
            started_at_ns,
            stop_reason: reason.name(),
            window_start_ns: measured_from.min(window_end),
            window_end_ns: window_end,
            last_finish_ns: endings.iter().map(|ending| ending.last_finish).max().unwrap_or(0),
            barrier_ns: if lanes.len() == 1 { lanes[0].barrier_ns } else { 0 },
            lanes,
            worker_lost,
            threads,
        }
    }
}

/// How a lane ended: its threads together.
pub(super) fn lane_ending(endings: &[Ending]) -> Ending {
    let last_finish = endings.iter().map(|ending| ending.last_finish).max().unwrap_or(0);
    let by_time = endings.iter().map(|ending| ending.end_of_sending).collect::<Option<Vec<u64>>>();
    let end = by_time.and_then(|ends| ends.into_iter().max()).unwrap_or(last_finish);
    let reason = first_of(&DISTURBANCES, endings)
        .or_else(|| first_of(&[StopReason::Duration, StopReason::Stages], endings))
        .unwrap_or(StopReason::Total);
    let barrier_ns = endings.iter().map(|ending| ending.barrier_ns).max().unwrap_or(0);
    Ending { end_of_sending: Some(end), last_finish, at: end, barrier_ns, reason }
}

/// The first of `reasons` that one of `endings` has.
fn first_of(reasons: &[StopReason], endings: &[Ending]) -> Option<StopReason> {
    reasons.iter().copied().find(|reason| endings.iter().any(|ending| ending.reason == *reason))
}
