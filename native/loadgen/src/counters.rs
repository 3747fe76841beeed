//! Counters that the threads of a run share, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter on its own cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one, and returns the previous value.
    #[inline]
    pub fn take(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// The current value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Raises to at least `least` and then by `step`; returns the value before the step.
    pub fn reserve(&self, least: u64, step: u64) -> u64 {
        let mut before = self.0.load(Ordering::Relaxed);
        loop {
            let mine = before.max(least);
            match self.0.compare_exchange_weak(before, mine.saturating_add(step), Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return mine,
                Err(now) => before = now,
            }
        }
    }
}

/// Counters that the threads of a lane share.
#[derive(Debug, Default)]
pub struct Counters {
    /// Closed model: iteration numbers given out.
    pub numbers: Counter,
    /// Closed model with a total: tickets of measured iterations given out.
    pub tickets: Counter,
    /// With `max_rate`: the time of the next start.
    pub next_token: Counter,
    /// With prepared users: when the next one may begin to prepare.
    pub next_preparation: Counter,
}

/// The rotation of addresses, over all threads.
#[derive(Debug)]
pub struct Turns {
    /// Connections dialled, by origin; the last counter is for all other origins and the proxy.
    addresses: Vec<Counter>,
    sources: Counter,
}

impl Turns {
    pub(crate) fn new(origins: usize) -> Turns {
        Turns { addresses: (0..=origins).map(|_| Counter::default()).collect(), sources: Counter::default() }
    }

    /// Index of the address for the next connection to `origin`; grows without limit.
    #[must_use]
    pub fn next_address(&self, origin: usize) -> usize {
        usize::try_from(self.addresses[origin.min(self.addresses.len() - 1)].take()).unwrap_or(0)
    }

    /// Index of the source address for the next connection; grows without limit.
    #[must_use]
    pub fn next_source(&self) -> usize {
        usize::try_from(self.sources.take()).unwrap_or(0)
    }
}
