//! Iteration books. For flows with one step they would equal those of its requests, so they are counted for others
//! only.

use crate::outcome::IterationEnd;

/// Iterations of one flow in one second, warm-up or measured. Over a run, `started = completed + failed + unfinished`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IterationBooks {
    /// Started in this second.
    pub started: u64,
    /// Ended in this second, with a full response to every step.
    pub completed: u64,
    /// Ended in this second by a step without a full response.
    pub failed: u64,
    /// In progress when the run ended.
    pub unfinished: u64,
}

impl IterationBooks {
    /// Counts an iteration that has ended.
    pub fn count(&mut self, end: IterationEnd) {
        match end {
            IterationEnd::Completed => self.completed += 1,
            IterationEnd::Failed => self.failed += 1,
            IterationEnd::Unfinished => self.unfinished += 1,
        }
    }

    /// Adds the books of another thread.
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
