//! The open model: arrivals at their planned times, and the rules for saturation and late arrivals.

use std::collections::VecDeque;

use super::sending::Sending;
use super::timetable::{Arrival, Next, Timetable};
use crate::plan::{CatchUp, Load, Saturation};

/// An arrival noticed later than this is skipped with `catch_up: none`.
const LATE: u64 = 10_000_000;

/// The open model's schedule of one thread.
#[derive(Debug)]
pub(super) struct OpenSchedule {
    on_saturation: Saturation,
    /// An arrival noticed later than this is skipped.
    most_late: u64,
    /// When the next arrival is due.
    next_due: u64,
    /// Arrivals waiting for a user.
    waiting: VecDeque<Arrival>,
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
    pub(super) fn new(load: &Load) -> OpenSchedule {
        OpenSchedule {
            on_saturation: load.on_saturation,
            most_late: if load.catch_up == CatchUp::None { LATE } else { load.catch_up_max_ns },
            next_due: u64::MAX,
            waiting: VecDeque::new(),
        }
    }

    #[inline]
    pub(super) fn next_due(&self) -> u64 {
        self.next_due
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Computes the next arrival.
    pub(super) fn look_ahead(&mut self, timetable: &mut Timetable, sending: &mut Sending) {
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
    pub(super) fn take(&mut self, timetable: &mut Timetable, sending: &mut Sending) -> Option<Arrival> {
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
