//! What is ready for the caller.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::report::Report;

/// Intervals and the report, ready for the caller.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) intervals: VecDeque<Vec<u8>>,
    pub(super) report: Option<Report>,
}

/// The outbox, and the signal that it has changed.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    outbox: Mutex<Outbox>,
    pub(super) changed: Condvar,
}

impl Delivery {
    pub(super) fn lock(&self) -> MutexGuard<'_, Outbox> {
        // The outbox is consistent between any two statements, so a panic elsewhere cannot corrupt it.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
