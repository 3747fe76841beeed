//! State that all threads of a run share: the plan, a few counters, and commands. Nothing here is locked on the path of
//! a request.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::clock;
use crate::counters::{Counters, Turns};
use crate::data::Data;
use crate::plan::Plan;
use crate::poller::Waker;
use crate::secrets::SecretStore;
use crate::transport::tls::TlsSettings;

/// State that all threads share.
#[derive(Debug)]
pub struct Shared {
    /// The plan of the run.
    pub plan: Plan,
    /// By lane: counters of the closed model.
    pub counters: Vec<Arc<Counters>>,
    /// The rotation of addresses.
    pub turns: Arc<Turns>,
    /// Test data.
    pub data: Arc<Data>,
    /// TLS settings, if there are https origins.
    pub tls: Option<TlsSettings>,
    /// The monotonic time of the start of the run.
    pub zero: u64,
    /// Number of commands so far; threads check it once per turn of their loop.
    pub signal: AtomicU32,
    stop_at: AtomicU64,
    cancelled: AtomicBool,
    secrets: Mutex<SecretStore>,
    wakers: Mutex<Vec<Waker>>,
}

impl Shared {
    /// Shares `plan`; the run begins at monotonic time `zero`.
    #[must_use]
    pub fn new(plan: Plan, secrets: SecretStore, tls: Option<TlsSettings>, zero: u64) -> Shared {
        let turns = Arc::new(Turns::new(plan.origins.len()));
        let counters = plan.lanes.iter().map(|_| Arc::default()).collect();
        Shared {
            plan,
            counters,
            turns,
            data: Arc::default(),
            tls,
            zero,
            signal: AtomicU32::new(0),
            stop_at: AtomicU64::new(u64::MAX),
            cancelled: AtomicBool::new(false),
            secrets: Mutex::new(secrets),
            wakers: Mutex::new(Vec::new()),
        }
    }

    /// Shares test data too.
    #[must_use]
    pub fn with_data(mut self, data: Data) -> Shared {
        self.data = Arc::new(data);
        self
    }

    /// Nanoseconds since the start of the run; 0 before it.
    #[inline]
    pub fn now(&self) -> u64 {
        clock::monotonic_ns().saturating_sub(self.zero)
    }

    /// Starts no more iterations from now on.
    pub fn stop(&self) {
        self.stop_from(self.now());
    }

    /// Starts no more iterations from `at` on, which has passed.
    pub fn stop_from(&self, at: u64) {
        self.stop_at.fetch_min(at, Ordering::AcqRel);
        self.announce();
    }

    /// Starts no more iterations, and closes every connection at once.
    pub fn cancel(&self) {
        self.stop_at.fetch_min(self.now(), Ordering::AcqRel);
        self.cancelled.store(true, Ordering::Release);
        self.announce();
    }

    /// When a stop or cancel was requested; `u64::MAX` before that.
    pub fn stop_at(&self) -> u64 {
        self.stop_at.load(Ordering::Acquire)
    }

    /// True after a cancel.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Uses `value` in `slot` for requests rendered from now on.
    pub fn set_secret(&self, slot: &str, value: &str) {
        self.with_secrets(|secrets| secrets.set(slot, value));
        self.announce();
    }

    /// Calls `look` with the secrets, under their lock.
    pub fn with_secrets<T>(&self, look: impl FnOnce(&mut SecretStore) -> T) -> T {
        // A thread that died with the lock held left whole values behind.
        look(&mut self.secrets.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Registers a thread to be woken by commands.
    pub fn listen(&self, waker: Waker) {
        self.wakers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(waker);
    }

    fn announce(&self) {
        self.signal.fetch_add(1, Ordering::Release);
        for waker in self.wakers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
            waker.wake();
        }
    }
}
