//! Whether iterations may start: the end of a leg, the barrier after it, the end of sending, and its reason.

use crate::outcome::StopReason;

/// The state of sending. Times are ns since the start of the run; `u64::MAX` means never.
#[derive(Debug)]
pub(super) struct SendPhase {
    /// When this leg's sending ends.
    pub(super) leg_end: u64,
    /// Between a leg and the next one: the planned end of the leg.
    pub(super) barrier: Option<u64>,
    /// When sending ends.
    pub(super) end: u64,
    pub(super) is_over: bool,
    /// Closed model: the total was sent, so sending ends with the last finish.
    pub(super) total_reached: bool,
    pub(super) reason: StopReason,
    /// How long requests in flight may take after the end of sending.
    graceful_stop: u64,
    /// After a stop once the total was sent: when requests in flight are abandoned.
    give_up_at: u64,
}

impl SendPhase {
    pub(super) fn new(graceful_stop: u64) -> SendPhase {
        SendPhase {
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

    /// When requests still in flight are abandoned.
    pub(super) fn drain_end(&self) -> u64 {
        if self.total_reached { self.give_up_at } else { self.end.saturating_add(self.graceful_stop) }
    }

    /// Requests that end after this time are drained.
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

    /// True if a stop changes why sending ends.
    pub(super) fn can_be_stopped(&self) -> bool {
        !self.is_over && !self.total_reached
    }

    /// Handles a stop requested at `at`.
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

    /// Handles a cancel requested at `at`.
    pub(super) fn cancel(&mut self, at: u64) {
        self.reason = StopReason::Cancelled;
        self.is_over = true;
        self.total_reached = false;
        self.end = self.end.min(at);
    }
}
