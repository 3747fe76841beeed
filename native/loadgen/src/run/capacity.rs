//! How many load threads and users each lane of a plan gets: cores and file descriptors are shared over the lanes.

use std::thread;

use crate::ledger::health;
use crate::plan::{Lane, Model, Plan, Selection};
use crate::schedule::{Shard, Timetable};

/// Limit in the open model: more requests in flight are not needed to detect that a target is overloaded.
const CEILING: u64 = 10_000;
/// Users per thread that cause little load; measured, see docs/benchmarks.md.
const USERS_PER_THREAD: usize = 256;
const ARRIVALS_PER_THREAD: f64 = 20_000.0;
const MOST_THREADS: usize = 256;

/// How many load threads a run gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// This many for each lane that may have several.
    PerLane(usize),
    /// As many as the load needs, at most this many together; each lane has one.
    AtMost(usize),
}

impl Default for Threads {
    /// The other half of the machine is for the target's side of the connections, and for observers.
    fn default() -> Threads {
        Threads::AtMost(thread::available_parallelism().map_or(1, std::num::NonZero::get) / 2)
    }
}

/// What a lane gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capacity {
    pub(super) threads: usize,
    /// Open model: the most users of each thread.
    pub(super) most_users: usize,
}

/// By lane. Raises the process's limit of file descriptors, which users of either model need.
pub(super) fn capacities(plan: &Plan, threads: Threads) -> Vec<Capacity> {
    let peak_users = |lane| Timetable::new(plan, Shard::all(plan, lane)).peak_users().max(1);
    let peaks: Vec<usize> = (0..plan.lanes.len()).map(peak_users).collect();
    let lanes = || plan.lanes.iter().zip(&peaks);
    let part = plan.share.part();
    let of_lane = |(lane, peak): (&Lane, &usize)| {
        let number = match threads {
            Threads::PerLane(wanted) => wanted_threads(lane, *peak, wanted),
            Threads::AtMost(_) => useful_threads(lane, *peak, part),
        };
        number.min(prepared_users(plan, lane))
    };
    let of_lanes = lanes().map(of_lane).collect();
    let threads = match threads {
        Threads::PerLane(_) => of_lanes,
        Threads::AtMost(most) => at_most(of_lanes, most),
    };
    let users = most_users(plan, &peaks, health::descriptors_for_connections());
    let per_thread = |(threads, users): (usize, u64)| {
        let most_users = usize::try_from(users).unwrap_or(usize::MAX).div_ceil(threads).max(1);
        Capacity { threads, most_users }
    };
    threads.into_iter().zip(users).map(per_thread).collect()
}

/// Barriers and an explicit limit in flight are exact only with a single thread. Each thread has its part of prepared
/// users, so they do not need one.
fn needs_one_thread(lane: &Lane) -> bool {
    let is_limited = lane.load.model == Model::Open && lane.load.max_in_flight.is_some() && lane.prepared.is_none();
    lane.selection == Selection::Sequential || is_limited
}

fn wanted_threads(lane: &Lane, peak_users: usize, wanted: usize) -> usize {
    if needs_one_thread(lane) {
        return 1;
    }
    let most = if lane.load.model == Model::Open { MOST_THREADS } else { peak_users };
    wanted.clamp(1, MOST_THREADS).min(most)
}

fn useful_threads(lane: &Lane, peak_users: usize, part: f64) -> usize {
    let load = &lane.load;
    if needs_one_thread(lane) {
        return 1;
    }
    if load.model == Model::Closed {
        return peak_users.div_ceil(USERS_PER_THREAD);
    }
    let rate = load.segments.iter().fold(load.warm_up_level, |peak, segment| peak.max(segment.start).max(segment.end));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rates are at most 10 million
    let threads = (rate * part / ARRIVALS_PER_THREAD).ceil() as usize;
    threads.max(1)
}

/// The share's prepared users, each of whom belongs to one thread; without any, no limit.
fn prepared_users(plan: &Plan, lane: &Lane) -> usize {
    let users = lane.prepared.map_or(u64::MAX, |prepared| plan.share.count(prepared.users).max(1));
    usize::try_from(users).unwrap_or(usize::MAX)
}

/// Takes threads from the lanes with the most until there are `most` together, or one each.
fn at_most(mut threads: Vec<usize>, most: usize) -> Vec<usize> {
    while threads.iter().sum::<usize>() > most.max(threads.len()) {
        if let Some(largest) = threads.iter_mut().max() {
            *largest -= 1;
        }
    }
    threads
}

/// Open model, by lane: the most users. Lanes without a limit share what is left of `descriptors`.
fn most_users(plan: &Plan, peaks: &[usize], descriptors: u64) -> Vec<u64> {
    let is_open = |lane: &Lane| lane.load.model == Model::Open;
    let fixed = |(lane, peak): (&Lane, &usize)| {
        if is_open(lane) { lane.load.max_in_flight.unwrap_or(0) } else { *peak as u64 }
    };
    let taken = plan.lanes.iter().zip(peaks).map(fixed).fold(0, u64::saturating_add);
    let unlimited = plan.lanes.iter().filter(|lane| is_open(lane) && lane.load.max_in_flight.is_none()).count();
    let left = CEILING.min(descriptors.saturating_sub(taken)) / (unlimited.max(1) as u64);
    plan.lanes.iter().map(|lane| lane.load.max_in_flight.unwrap_or(left.max(1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use serde_json::json;

    #[test]
    fn lanes_share_cores_and_descriptors() {
        assert_eq!(at_most(vec![3, 9, 1], 8), [3, 4, 1]);
        assert_eq!(at_most(vec![5, 5, 5], 2), [1, 1, 1]);
        let plan = fixtures::plan(|document| {
            fixtures::lanes(document, 4);
            for (lane, limit) in [(0, json!(null)), (1, json!(50)), (2, json!(null))] {
                document["lanes"][lane]["load"]["model"] = "open".into();
                document["lanes"][lane]["load"]["max_in_flight"] = limit;
            }
            document["lanes"][3]["load"]["segments"][0] = json!({"start": 600, "end": 600, "duration_ns": null});
        });
        assert_eq!(most_users(&plan, &[1, 1, 1, 600], 1650), [500, 50, 500, 500]);
        assert_eq!(most_users(&plan, &[1, 1, 1, 600], 100), [1, 50, 1, 1]);
        assert_eq!(most_users(&plan, &[1, 1, 1, 600], 100_000), [5000, 50, 5000, 5000]);
        let threads =
            |wanted| -> Vec<usize> { capacities(&plan, wanted).into_iter().map(|capacity| capacity.threads).collect() };
        assert_eq!(threads(Threads::PerLane(2)), [2, 1, 2, 2]);
        assert_eq!(threads(Threads::AtMost(100)), [1, 1, 1, 3]);
        assert_eq!(threads(Threads::AtMost(5)), [1, 1, 1, 2]);
        assert_eq!(threads(Threads::AtMost(1)), [1, 1, 1, 1]);
    }
}
