//! Iteration books. If an iteration is one request, they would equal the books of requests, so they are counted in plans
//! with journeys only.

use crate::histogram::Histogram;
use crate::outcome::IterationEnd;

/// Iterations of one flow in one second, warm-up or measured. Over a run, `started = completed + failed + unfinished`.
#[derive(Debug, Default)]
pub struct IterationBooks {
    /// Started in this second.
    pub started: u64,
    /// Came to the end of their program in this second.
    pub completed: u64,
    /// Ended in this second by a step.
    pub failed: u64,
    /// In progress when the run ended.
    pub unfinished: u64,
    /// Of completed ones: ended after the end of sending.
    pub drained: u64,
    /// Of completed ones: from the intended start to the end of the last operation.
    pub time: Histogram,
    /// The same without think time.
    pub active_time: Histogram,
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
        self.drained += other.drained;
        self.time.merge(&other.time);
        self.active_time.merge(&other.active_time);
    }

    /// Clears everything and keeps the memory.
    pub(super) fn clear(&mut self) {
        (self.started, self.completed, self.failed, self.unfinished, self.drained) = (0, 0, 0, 0, 0);
        self.time.clear();
        self.active_time.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.started + self.completed + self.failed + self.unfinished == 0
    }
}
