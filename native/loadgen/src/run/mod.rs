//! A run from its plan to its report: load threads, and a collector thread that merges their seconds and queues
//! intervals for the caller.

mod capacity;
mod collector;
mod delivery;
mod report;

use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock;
use crate::data::Data;
use crate::ledger::Note;
use crate::plan::{self, HttpVersion, Plan, PlanError, Scheme};
use crate::schedule::Shard;
use crate::secrets::SecretStore;
use crate::shared::Shared;
use crate::template::Secrets;
use crate::transport::tls::TlsSettings;
use crate::worker::Worker;

pub use capacity::Threads;
use collector::Collector;
use delivery::Delivery;
pub use report::{LaneReport, Report};

/// Time for threads to set up before the first request is due.
const LEAD: u64 = 2_000_000;
/// A start further away, before or after now, is a time of another clock.
const LONGEST_LEAD: u64 = 86_400_000_000_000;
/// Result of [`Run::next_interval`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The next second, as JSON.
    Interval(Vec<u8>),
    /// Nothing yet.
    Waiting,
    /// The run has ended, and everything was delivered.
    Over,
}

/// Of a load thread. A recursive JSON Schema validates a body of 128 levels by recursion; memory is only used when
/// it is touched.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// A started run. Dropping it cancels it.
#[derive(Debug)]
pub struct Run {
    shared: Arc<Shared>,
    delivery: Arc<Delivery>,
}

impl Run {
    /// Starts a plan. `starts_at_ns` of the monotonic clock is the time zero of the run, also if it has passed; None for
    /// at once.
    ///
    /// # Errors
    /// [`PlanError`] if a secret is missing or invalid, a time is out of range, or threads cannot be set up.
    pub fn start(plan: Plan, secrets: &Secrets, threads: Threads, starts_at_ns: Option<u64>) -> Result<Run, PlanError> {
        let store = checked_secrets(&plan, secrets)?;
        let mut shards = Vec::new();
        for (lane, capacity) in capacity::capacities(&plan, threads).into_iter().enumerate() {
            let of_lane = (0..capacity.threads).map(|index| Shard::new(&plan, lane, index, capacity.threads));
            shards.extend(of_lane.map(|shard| (shard, capacity.most_users)));
        }
        // A redirect may lead to https from a plan without it.
        let uses_tls =
            plan.connections.redirects > 0 || plan.origins.iter().any(|origin| origin.scheme == Scheme::Https);
        let protocols: &[&[u8]] = match plan.connections.http_version {
            HttpVersion::One => &[b"http/1.1"],
            HttpVersion::Two => &[b"h2"],
            HttpVersion::Auto => &[b"h2", b"http/1.1"],
        };
        let tls = uses_tls.then(|| TlsSettings::new(&plan.connections.tls, &store.current, protocols)).transpose()?;
        let data = Data::open(&plan)?;
        let now = clock::monotonic_ns();
        let zero = starts_at_ns.unwrap_or(now + LEAD);
        if zero.abs_diff(now) > LONGEST_LEAD {
            return Err(PlanError::Invalid("starts_at_ns".to_owned(), "it is more than a day away".to_owned()));
        }
        let started_at_ns = (clock::wall_ns() + zero).saturating_sub(now);
        let shared = Arc::new(Shared::new(plan, store, tls, zero).with_data(data));
        let (notes, inbox) = mpsc::channel();
        let mut spares = Vec::with_capacity(shards.len());
        let mut workers = Vec::with_capacity(shards.len());
        let cannot =
            |error: std::io::Error| PlanError::Invalid("engine".to_owned(), format!("no load thread: {error}"));
        let lanes = shards.iter().map(|(shard, _)| shard.lane).collect();
        for (thread, (shard, most_users)) in shards.into_iter().enumerate() {
            let (spare, returned) = mpsc::channel();
            spares.push(spare);
            let worker = Worker::new(Arc::clone(&shared), thread, shard, most_users, notes.clone(), returned);
            workers.push(worker.map_err(cannot)?);
        }
        for (index, worker) in workers.into_iter().enumerate() {
            let notes = notes.clone();
            let send_load = move || {
                if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| worker.run())) {
                    // The collector outlives the threads, unless the process is exiting.
                    let _ = notes.send(Note::Lost { thread: index, message: message_of(panic.as_ref()) });
                }
            };
            let started =
                thread::Builder::new().name(format!("atm-load-{index}")).stack_size(STACK_BYTES).spawn(send_load);
            if let Err(error) = started {
                shared.cancel();
                return Err(cannot(error));
            }
        }
        let delivery = Arc::new(Delivery::default());
        let collector = Collector::new(Arc::clone(&shared), Arc::clone(&delivery), spares, lanes, started_at_ns);
        if let Err(error) = thread::Builder::new().name("atm-collect".to_owned()).spawn(move || collector.run(&inbox)) {
            shared.cancel();
            return Err(cannot(error));
        }
        Ok(Run { shared, delivery })
    }

    /// Waits up to `timeout` for the next second.
    #[must_use]
    pub fn next_interval(&self, timeout: Duration) -> Step {
        let deadline = Instant::now() + timeout;
        let mut outbox = self.delivery.lock();
        loop {
            if let Some(interval) = outbox.intervals.pop_front() {
                return Step::Interval(interval);
            }
            if outbox.report.is_some() {
                return Step::Over;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Step::Waiting;
            }
            outbox = self.delivery.changed.wait_timeout(outbox, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Starts no more iterations; those in progress may finish within the plan's graceful stop.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Starts no more iterations, and closes every connection.
    pub fn cancel(&self) {
        self.shared.cancel();
    }

    /// Uses `value` in `slot` for requests rendered from now on.
    ///
    /// # Errors
    /// [`PlanError`] if the value is not allowed at its place.
    pub fn set_secret(&self, slot: &str, value: &str) -> Result<(), PlanError> {
        check_secret(&self.shared.plan, slot, value)?;
        self.shared.set_secret(slot, value);
        Ok(())
    }

    /// The report; None while the run is in progress.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        self.delivery.lock().report.clone()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.shared.cancel();
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a load thread died".to_owned())
}

fn checked_secrets(plan: &Plan, secrets: &Secrets) -> Result<SecretStore, PlanError> {
    let mut store = SecretStore::default();
    for slot in plan.secret_slots() {
        if !secrets.contains_key(slot) {
            return Err(PlanError::Secret(slot.to_owned(), plan::MISSING));
        }
    }
    for (slot, value) in secrets {
        check_secret(plan, slot, value)?;
        store.set(slot, value);
    }
    Ok(store)
}

/// Checks a secret: a line feed in a head would start another line, a space would end the target.
fn check_secret(plan: &Plan, slot: &str, value: &str) -> Result<(), PlanError> {
    use crate::plan::Part;
    let in_line = |parts: &[Part]| {
        parts.iter().any(
            |part| matches!(part, Part::Secret { slot: used, encoding: crate::plan::Encoding::Raw } if used == slot),
        )
    };
    let in_target = plan.steps().any(|(_, step)| in_line(&step.target));
    let in_header = plan.steps().any(|(_, step)| step.headers.iter().any(|header| in_line(&header.value)))
        || plan.connections.proxy.as_ref().is_some_and(|proxy| proxy.authorization_slot == slot);
    if in_target && !crate::plan::is_target_text(value) {
        return Err(PlanError::Secret(slot.to_owned(), "has a space or a control character, which no URL may hold"));
    }
    if in_header && !crate::plan::is_header_text(value) {
        return Err(PlanError::Secret(slot.to_owned(), "has a control character, which no header may hold"));
    }
    Ok(())
}
