//! The open model: arrivals at their planned times, and the rules for saturation and late arrivals.

use std::collections::VecDeque;
use std::sync::Arc;

use super::arrival::{Arrival, Next};
use super::send_phase::SendPhase;
use super::shard::Shard;
use super::timetable::Timetable;
use crate::counters::Counters;
use crate::plan::{CatchUp, Lane, Saturation, Spacing};

/// An arrival noticed later than this is skipped with `catch_up: none`.
const LATE: u64 = 10_000_000;
/// Even arrivals this close start in pairs, the second one early, so that the thread wakes up once for both. That is how
/// late the timer wakes a thread anyway (p99 of the schedule lag at 5,000/s), so the load is no less even for it.
const PAIR: u64 = 50_000;

/// The open model's schedule of one thread.
#[derive(Debug)]
pub(super) struct OpenSchedule {
    on_saturation: Saturation,
    /// An arrival noticed later than this is skipped.
    most_late: u64,
    /// Longest gap of two arrivals that start together; None if each starts at its own time.
    pairs_within: Option<u64>,
    /// When the next arrival is due.
    next_due: u64,
    /// Arrivals waiting for a user.
    waiting: VecDeque<Arrival>,
    preparation: Option<Preparation>,
}

/// When users prepare in the background.
#[derive(Debug)]
struct Preparation {
    counters: Arc<Counters>,
    /// Number of users of this thread.
    users: usize,
    /// When the first one of all threads begins.
    from: u64,
    /// ns between the beginnings of two, over all threads.
    gap: u64,
}

impl Preparation {
    fn new(lane: &Lane, shard: &Shard, counters: Arc<Counters>) -> Option<Preparation> {
        let prepared = lane.prepared?;
        let users = usize::try_from(prepared.users).unwrap_or(usize::MAX);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rates are within 0 to 1e7
        let gap = (1e9 / (prepared.rate * shard.part())).round().min(1e18) as u64;
        Some(Preparation {
            counters,
            users: shard.users_of(users),
            from: lane.start_ns.saturating_sub(prepared.lead_ns),
            gap,
        })
    }
}

/// What to do with an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Start it.
    Start,
    /// Skip it, because it was noticed too late.
    Skip,
    /// Drop it, because no user is free.
    Drop,
    /// Queue it until a user is free.
    Wait,
}

impl OpenSchedule {
    pub(super) fn new(lane: &Lane, shard: &Shard, counters: Arc<Counters>) -> OpenSchedule {
        let load = &lane.load;
        OpenSchedule {
            preparation: Preparation::new(lane, shard, counters),
            on_saturation: load.on_saturation,
            most_late: if load.catch_up == CatchUp::None { LATE } else { load.catch_up_max_ns },
            // The gaps of a Poisson process are part of the load.
            pairs_within: (load.arrival == Spacing::Even).then_some(PAIR),
            next_due: u64::MAX,
            waiting: VecDeque::new(),
        }
    }

    #[inline]
    pub(super) fn next_due(&self) -> u64 {
        self.next_due
    }

    #[inline]
    pub(super) fn pairs_within(&self) -> Option<u64> {
        self.pairs_within
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Number of this thread's prepared users; 0 without any.
    pub(super) fn users_to_prepare(&self) -> usize {
        self.preparation.as_ref().map_or(0, |preparation| preparation.users)
    }

    /// Takes the time at which a user who is ready at `due` may begin to prepare.
    pub(super) fn preparation_token(&self, due: u64) -> u64 {
        self.preparation.as_ref().map_or(due, |preparation| {
            preparation.counters.next_preparation.reserve(due.max(preparation.from), preparation.gap)
        })
    }

    /// Computes the next arrival.
    pub(super) fn look_ahead(&mut self, timetable: &mut Timetable, sending: &mut SendPhase) {
        self.next_due = u64::MAX;
        match timetable.peek() {
            Next::Arrival(arrival) => self.next_due = arrival.intended,
            Next::LegOver(at) => sending.leg_end = at,
            Next::Over(at, reason) => {
                sending.end = at;
                sending.reason = reason;
            }
        }
    }

    /// Takes no further arrival until the schedule looks ahead again.
    pub(super) fn hold(&mut self) {
        self.next_due = u64::MAX;
    }

    /// Takes the next arrival.
    pub(super) fn take(&mut self, timetable: &mut Timetable, sending: &mut SendPhase) -> Option<Arrival> {
        let Next::Arrival(arrival) = timetable.peek() else { return None };
        timetable.advance();
        self.look_ahead(timetable, sending);
        Some(arrival)
    }

    /// What to do with an arrival noticed `late` ns late.
    pub(super) fn admit(&mut self, arrival: Arrival, late: u64, has_user: bool) -> Admission {
        if has_user {
            return if late > self.most_late { Admission::Skip } else { Admission::Start };
        }
        if self.on_saturation == Saturation::Drop {
            return Admission::Drop;
        }
        self.waiting.push_back(arrival);
        Admission::Wait
    }

    /// Takes the longest waiting arrival.
    pub(super) fn take_waiting(&mut self) -> Option<Arrival> {
        self.waiting.pop_front()
    }

    /// Ends sending; returns the waiting arrivals, which are missed.
    pub(super) fn end(&mut self) -> VecDeque<Arrival> {
        self.next_due = u64::MAX;
        std::mem::take(&mut self.waiting)
    }
}
