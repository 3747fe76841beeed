//! What the threads of a run count together, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter that shares its cache line with nothing else.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one, and returns how many there were before.
    #[inline]
    pub fn take(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Raises to at least `least` and then by `step`; returns the value before the step.
    pub fn reserve(&self, least: u64, step: u64) -> u64 {
        let mut before = self.0.load(Ordering::Relaxed);
        loop {
            let mine = before.max(least);
            match self.0.compare_exchange_weak(before, mine + step, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return mine,
                Err(now) => before = now,
            }
        }
    }
}

/// What the closed model's threads count together.
#[derive(Debug, Default)]
pub struct Counters {
    /// Numbers of iterations given out.
    pub numbers: Counter,
    /// With a total: tickets of measured iterations given out.
    pub tickets: Counter,
    /// With `max_rate`: the time of the next start.
    pub next_token: Counter,
}

/// Whose turn it is, over all threads, where connections take addresses in turn.
#[derive(Debug)]
pub struct Turns {
    /// By origin, connections begun; the last counter is that of all others and of the proxy.
    addresses: Vec<Counter>,
    sources: Counter,
}

impl Turns {
    pub(crate) fn new(origins: usize) -> Turns {
        Turns { addresses: (0..=origins).map(|_| Counter::default()).collect(), sources: Counter::default() }
    }

    /// Which of its addresses a connection for `origin` takes, counted on without end.
    #[must_use]
    pub fn next_address(&self, origin: usize) -> usize {
        usize::try_from(self.addresses[origin.min(self.addresses.len() - 1)].take()).unwrap_or(0)
    }

    /// Which source address a connection takes, counted on without end.
    #[must_use]
    pub fn next_source(&self) -> usize {
        usize::try_from(self.sources.take()).unwrap_or(0)
    }
}
