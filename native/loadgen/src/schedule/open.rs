//! The open model: arrivals at their times, and what becomes of one that finds no free user or was noticed late.

use std::collections::VecDeque;

use super::sending::Sending;
use super::timetable::{Arrival, Next, Timetable};
use crate::plan::{CatchUp, Load, Saturation};

/// An arrival noticed later than this is one that `catch_up: none` skips.
const LATE: u64 = 10_000_000;

/// The arrivals of a thread.
#[derive(Debug)]
pub(super) struct OpenSchedule {
    on_saturation: Saturation,
    /// An arrival noticed later than this is skipped.
    most_late: u64,
    /// When the next arrival is due.
    next_due: u64,
    /// Arrivals that wait for a user.
    waiting: VecDeque<Arrival>,
}

/// What becomes of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The user starts it.
    Start,
    /// It was noticed too late.
    Skip,
    /// No user was free.
    Drop,
    /// No user is free: it waits for one.
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

    /// Looks at what comes next.
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

    /// No further arrival, until the schedule looks ahead again.
    pub(super) fn hold(&mut self) {
        self.next_due = u64::MAX;
    }

    /// The next arrival.
    pub(super) fn take(&mut self, timetable: &mut Timetable, sending: &mut Sending) -> Option<Arrival> {
        let Next::Arrival(arrival) = timetable.peek() else { return None };
        timetable.advance();
        self.look_ahead(timetable, sending);
        Some(arrival)
    }

    /// What becomes of an arrival that was noticed this late.
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

    /// The arrival that has waited longest.
    pub(super) fn take_waiting(&mut self) -> Option<Arrival> {
        self.waiting.pop_front()
    }

    /// Sending is over: what still waits is missed.
    pub(super) fn end(&mut self) -> VecDeque<Arrival> {
        self.next_due = u64::MAX;
        std::mem::take(&mut self.waiting)
    }
}
