//! The books of iterations. Of a flow with one step they are those of its requests, so they are kept for others only.

use crate::outcome::IterationEnd;

/// Iterations of one flow in one second, warm-up or measured. Over a run, `started = completed + failed + unfinished`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IterationBooks {
    /// Begun in this second.
    pub started: u64,
    /// Ended in this second, after a full response to every step.
    pub completed: u64,
    /// Ended in this second by a step without a full response.
    pub failed: u64,
    /// Under way when the run ended.
    pub unfinished: u64,
}

impl IterationBooks {
    /// Counts one that has ended.
    pub fn count(&mut self, end: IterationEnd) {
        match end {
            IterationEnd::Completed => self.completed += 1,
            IterationEnd::Failed => self.failed += 1,
            IterationEnd::Unfinished => self.unfinished += 1,
        }
    }

    /// Adds those of another thread.
    pub(super) fn merge(&mut self, other: &IterationBooks) {
        self.started += other.started;
        self.completed += other.completed;
        self.failed += other.failed;
        self.unfinished += other.unfinished;
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == IterationBooks::default()
    }
}
