//! What a load thread sends to the collector.

use super::Second;
use crate::outcome::StopReason;

/// What a thread tells the collector.
#[derive(Debug)]
pub enum Note {
    /// A second is over.
    Second {
        /// Whose.
        thread: usize,
        /// Which second of the run.
        number: u64,
        /// What happened in it.
        second: Box<Second>,
    },
    /// A thread has ended.
    End {
        /// Which.
        thread: usize,
        /// How.
        ending: Ending,
    },
    /// A thread has died.
    Lost {
        /// Which.
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
    /// The last finish, or the moment of cancel.
    pub last_finish: u64,
    /// When the thread itself ended.
    pub at: u64,
    /// Time at barriers.
    pub barrier_ns: u64,
    /// Why sending ended.
    pub reason: StopReason,
}
