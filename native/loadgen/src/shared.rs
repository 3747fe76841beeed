//! What all threads of a run share: the plan, a few counters, and what the outside asks for. Nothing here is locked on the
//! path of a request.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::clock;
use crate::plan::{Encoding, Plan};
use crate::poller::Waker;
use crate::template::{self, Secrets};
use crate::tls::TlsSettings;

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

/// Secrets as they are now, and every value that they ever had (for masking).
#[derive(Debug, Default, Clone)]
pub struct SecretStore {
    /// By slot.
    pub current: Secrets,
    /// Values of four characters and more, longest first.
    pub known: Vec<String>,
}

impl SecretStore {
    /// Sets a slot.
    pub fn set(&mut self, slot: &str, value: &str) {
        self.current.insert(slot.to_owned(), value.to_owned());
        let mut forms =
            [Encoding::Raw, Encoding::Percent, Encoding::Json].map(|each| template::encoded(value, each)).to_vec();
        // A body that is echoed inside of JSON is escaped twice.
        forms.push(template::encoded(&forms[2], Encoding::Json));
        for form in forms {
            if form.chars().count() >= 4 && !self.known.contains(&form) {
                self.known.push(form);
            }
        }
        // A secret may contain another one: the longer is masked first.
        self.known.sort_by_key(|known| std::cmp::Reverse(known.len()));
    }
}

/// What all threads share.
#[derive(Debug)]
pub struct Shared {
    /// What is run.
    pub plan: Plan,
    /// Request numbers given out in the closed model.
    pub numbers: Counter,
    /// Measured requests of the closed model with a total: tickets given out.
    pub tickets: Counter,
    /// Closed model with `max_rate`: the time of the next start.
    pub next_token: Counter,
    /// For each origin (the proxy comes last): connections begun, for taking addresses in turn.
    pub dials: Vec<Counter>,
    /// Connections begun, for taking source addresses in turn.
    pub sources: Counter,
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
        let dials = (0..=plan.origins.len()).map(|_| Counter::default()).collect();
        Shared {
            plan,
            numbers: Counter::default(),
            tickets: Counter::default(),
            next_token: Counter::default(),
            dials,
            sources: Counter::default(),
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
