//! What all threads of a run share: the plan, a few counters, and what the outside asks for. Nothing here is locked on the
//! path of a request.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::clock;
use crate::counters::{Counters, Turns};
use crate::plan::Plan;
use crate::poller::Waker;
use crate::secrets::SecretStore;
use crate::transport::tls::TlsSettings;

/// What all threads share.
#[derive(Debug)]
pub struct Shared {
    /// What is run.
    pub plan: Plan,
    /// What the closed model's threads count together.
    pub counters: Arc<Counters>,
    /// For taking addresses in turn.
    pub turns: Arc<Turns>,
    /// Where there are https origins.
    pub tls: Option<TlsSettings>,
    /// The monotonic time of the start of the run.
    pub zero: u64,
    /// Counts what was asked for from outside; threads look here once per turn of their loop.
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
        Shared {
            plan,
            counters: Arc::default(),
            turns,
            tls,
            zero,
            signal: AtomicU32::new(0),
            stop_at: AtomicU64::new(u64::MAX),
            cancelled: AtomicBool::new(false),
            secrets: Mutex::new(secrets),
            wakers: Mutex::new(Vec::new()),
        }
    }

    /// Nanoseconds since the start of the run; 0 before it.
    #[inline]
    pub fn now(&self) -> u64 {
        clock::monotonic_ns().saturating_sub(self.zero)
    }

    /// No new starts from now on.
    pub fn stop(&self) {
        self.stop_at.fetch_min(self.now(), Ordering::AcqRel);
        self.announce();
    }

    /// No new starts, and every connection closed at once.
    pub fn cancel(&self) {
        self.stop_at.fetch_min(self.now(), Ordering::AcqRel);
        self.cancelled.store(true, Ordering::Release);
        self.announce();
    }

    /// When a stop or cancel was asked for; `u64::MAX` while none was.
    pub fn stop_at(&self) -> u64 {
        self.stop_at.load(Ordering::Acquire)
    }

    /// True after a cancel.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Requests rendered from now on use `value` in `slot`.
    pub fn set_secret(&self, slot: &str, value: &str) {
        self.with_secrets(|secrets| secrets.set(slot, value));
        self.announce();
    }

    /// A look at the secrets, under their lock.
    pub fn with_secrets<T>(&self, look: impl FnOnce(&mut SecretStore) -> T) -> T {
        // A thread that died while it held the lock left whole values behind.
        look(&mut self.secrets.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// A thread that wants to be woken by what is asked from outside.
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
