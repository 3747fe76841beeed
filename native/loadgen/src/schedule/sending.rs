//! Whether iterations may be started: the end of a leg, the barrier after it, the end of sending, and what ended it.

use crate::outcome::StopReason;

/// Where sending stands. Times are ns since the start of the run; `u64::MAX` is one that never comes.
#[derive(Debug)]
pub(super) struct Sending {
    /// When this leg's sending ends.
    pub(super) leg_end: u64,
    /// A leg is over and the next has not opened yet; what was its planned end.
    pub(super) barrier: Option<u64>,
    /// When sending ends.
    pub(super) end: u64,
    pub(super) is_over: bool,
    /// Closed model: the total was sent, so the last finish ends sending.
    pub(super) total_reached: bool,
    pub(super) reason: StopReason,
    /// How long what is in flight may take after the end of sending.
    graceful_stop: u64,
    /// A stop after the total was reached: how long what is in flight may still take.
    give_up_at: u64,
}

impl Sending {
    pub(super) fn new(graceful_stop: u64) -> Sending {
        Sending {
            leg_end: u64::MAX,
            barrier: None,
            end: u64::MAX,
            is_over: false,
            total_reached: false,
            reason: StopReason::Total,
            graceful_stop,
            give_up_at: u64::MAX,
        }
    }

    /// When time ends this leg or all sending.
    #[inline]
    pub(super) fn ends_at(&self) -> u64 {
        self.end.min(self.leg_end)
    }

    /// When what is still in flight is given up.
    pub(super) fn drain_end(&self) -> u64 {
        if self.total_reached { self.give_up_at } else { self.end.saturating_add(self.graceful_stop) }
    }

    /// From when on what ends has ended after the end of sending.
    #[inline]
    pub(super) fn drains_from(&self) -> u64 {
        if self.total_reached { u64::MAX } else { self.end }
    }

    /// Closed model: the total is sent, and sending ends with the last finish.
    pub(super) fn reach_total(&mut self) {
        if !self.total_reached && !self.is_over {
            self.total_reached = true;
            self.reason = StopReason::Total;
            self.end = u64::MAX;
        }
    }

    /// True where a stop changes something about why sending ends.
    pub(super) fn can_be_stopped(&self) -> bool {
        !self.is_over && !self.total_reached
    }

    /// A stop was asked for at `at`.
    pub(super) fn stop(&mut self, at: u64) {
        if self.can_be_stopped() {
            self.end = self.end.min(at);
            self.leg_end = u64::MAX;
            self.barrier = None;
            self.reason = StopReason::Stopped;
        } else if self.total_reached {
            // All was sent, and the last finish was awaited without a limit.
            self.give_up_at = self.give_up_at.min(at.saturating_add(self.graceful_stop));
        }
    }

    /// A cancel was asked for at `at`.
    pub(super) fn cancel(&mut self, at: u64) {
        self.reason = StopReason::Cancelled;
        self.is_over = true;
        self.total_reached = false;
        self.end = self.end.min(at);
    }
}
