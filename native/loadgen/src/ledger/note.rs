//! Messages from a load thread to the collector.

use super::Second;
use crate::outcome::StopReason;

/// A message from a thread to the collector.
#[derive(Debug)]
pub enum Note {
    /// A second has ended.
    Second {
        /// The thread.
        thread: usize,
        /// Which second of the run.
        number: u64,
        /// Its figures.
        second: Box<Second>,
    },
    /// A thread has ended.
    End {
        /// The thread.
        thread: usize,
        /// How it ended.
        ending: Ending,
    },
    /// A thread has died.
    Lost {
        /// The thread.
        thread: usize,
        /// The message of its panic.
        message: String,
    },
}

/// How a thread ended. Times are ns since the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The end of sending; None in the closed model with a total, where it is the last finish of all threads.
    pub end_of_sending: Option<u64>,
    /// The last finish, or the time of the cancel.
    pub last_finish: u64,
    /// When the thread itself ended.
    pub at: u64,
    /// Barrier time.
    pub barrier_ns: u64,
    /// Why sending ended.
    pub reason: StopReason,
}
