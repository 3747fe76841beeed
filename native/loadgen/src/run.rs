//! A run from its plan to its report: threads for the load, and one that collects a second from each of them, puts them
//! together and queues the interval for whoever asks.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::clock;
use crate::health::{self, Health};
use crate::interval::{self, Frame};
use crate::outcome::StopReason;
use crate::plan::{self, HttpVersion, Model, Plan, PlanError, Scheme, Selection};
use crate::record::Second;
use crate::schedule::{Schedule, Shard};
use crate::shared::{SecretStore, Shared};
use crate::template::Secrets;
use crate::tls::TlsSettings;
use crate::worker::{Ending, Note, Worker};

const SECOND: u64 = 1_000_000_000;
/// Threads have so long to set themselves up before the first request is due.
const LEAD: u64 = 2_000_000;
/// In the open model, more requests in flight than this are never needed to find out that a target is lost.
const CEILING: u64 = 10_000;
/// Users that one thread drives without effort; measured, see docs/benchmarks.md.
const USERS_PER_THREAD: usize = 256;
const ARRIVALS_PER_THREAD: f64 = 20_000.0;

/// What an engine says at the end. Times are ns since the start of the run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Wall time of the start of the run, ns since 1970.
    pub started_at_ns: u64,
    /// `total`, `duration`, …
    pub stop_reason: &'static str,
    /// The first measured intended start.
    pub window_start_ns: u64,
    /// The end of sending.
    pub window_end_ns: u64,
    /// The last finish, or the moment of cancel.
    pub last_finish_ns: u64,
    /// Time at barriers.
    pub barrier_ns: u64,
    /// The message of a load thread that died; empty when none did.
    pub worker_lost: String,
    /// How many load threads there were.
    pub threads: usize,
}

/// What [`Run::next_interval`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The next second, as JSON.
    Interval(Vec<u8>),
    /// Nothing yet.
    Waiting,
    /// The run has ended and all of it was delivered.
    Over,
}

#[derive(Debug, Default)]
struct Outbox {
    intervals: VecDeque<Vec<u8>>,
    report: Option<Report>,
}

#[derive(Debug, Default)]
struct Delivery {
    outbox: Mutex<Outbox>,
    changed: Condvar,
}

impl Delivery {
    fn lock(&self) -> MutexGuard<'_, Outbox> {
        // The outbox is whole between any two statements, so a panic elsewhere leaves nothing half-done.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that has been started. Dropping it cancels it.
#[derive(Debug)]
pub struct Run {
    shared: Arc<Shared>,
    delivery: Arc<Delivery>,
}

impl Run {
    /// Starts a plan. `threads` = None chooses by the size of the load and the cores of the machine.
    ///
    /// # Errors
    /// [`PlanError`] where a secret is missing or unusable, or threads cannot be set up.
    pub fn start(plan: Plan, secrets: &Secrets, threads: Option<usize>) -> Result<Run, PlanError> {
        let store = checked_secrets(&plan, secrets)?;
        let threads = thread_count(&plan, threads);
        let most_users = most_users(&plan, threads);
        // A redirect may lead to https from a plan without it.
        let uses_tls =
            plan.connections.redirects > 0 || plan.origins.iter().any(|origin| origin.scheme == Scheme::Https);
        let protocols: &[&[u8]] = match plan.connections.http_version {
            HttpVersion::One => &[b"http/1.1"],
            HttpVersion::Two => &[b"h2"],
            HttpVersion::Auto => &[b"h2", b"http/1.1"],
        };
        let tls = uses_tls.then(|| TlsSettings::new(&plan.connections.tls, &store.current, protocols)).transpose()?;
        let zero = clock::monotonic_ns() + LEAD;
        let started_at_ns = clock::wall_ns() + LEAD;
        let shared = Arc::new(Shared::new(plan, store, tls, zero));
        let (notes, inbox) = mpsc::channel();
        let mut spares = Vec::with_capacity(threads);
        let mut workers = Vec::with_capacity(threads);
        let cannot =
            |error: std::io::Error| PlanError::Invalid("engine".to_owned(), format!("no load thread: {error}"));
        for index in 0..threads {
            let (spare, returned) = mpsc::channel();
            spares.push(spare);
            let shard = Shard { index, of: threads };
            workers.push(Worker::new(Arc::clone(&shared), shard, most_users, notes.clone(), returned).map_err(cannot)?);
        }
        for (index, worker) in workers.into_iter().enumerate() {
            let notes = notes.clone();
            let send_load = move || {
                if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| worker.run())) {
                    // The collector outlives the threads, unless the process is going down.
                    let _ = notes.send(Note::Lost(index, message_of(panic.as_ref())));
                }
            };
            let started = thread::Builder::new().name(format!("atm-load-{index}")).spawn(send_load);
            if let Err(error) = started {
                shared.cancel();
                return Err(cannot(error));
            }
        }
        let delivery = Arc::new(Delivery::default());
        let collector = Collector::new(Arc::clone(&shared), Arc::clone(&delivery), spares, started_at_ns);
        if let Err(error) = thread::Builder::new().name("atm-collect".to_owned()).spawn(move || collector.run(&inbox)) {
            shared.cancel();
            return Err(cannot(error));
        }
        Ok(Run { shared, delivery })
    }

    /// The next second, waiting for it at most so long.
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

    /// No new starts; what is in flight may finish within the plan's graceful stop.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// No new starts, and every connection closed.
    pub fn cancel(&self) {
        self.shared.cancel();
    }

    /// Requests rendered from now on use `value` in `slot`.
    ///
    /// # Errors
    /// [`PlanError`] where the value cannot stand where the plan puts it.
    pub fn set_secret(&self, slot: &str, value: &str) -> Result<(), PlanError> {
        check_secret(&self.shared.plan, slot, value)?;
        self.shared.set_secret(slot, value);
        Ok(())
    }

    /// How it ended; None while it runs.
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

/// A line feed in a header would be a second header: a secret that stands in one must not have it.
fn check_secret(plan: &Plan, slot: &str, value: &str) -> Result<(), PlanError> {
    use crate::plan::Part;
    let in_line = |parts: &[Part]| {
        parts.iter().any(
            |part| matches!(part, Part::Secret { slot: used, encoding: crate::plan::Encoding::Raw } if used == slot),
        )
    };
    let steps = plan.flows.iter().flat_map(|flow| &flow.steps);
    let in_head =
        steps.into_iter().any(|step| in_line(&step.target) || step.headers.iter().any(|header| in_line(&header.value)))
            || plan.connections.proxy.as_ref().is_some_and(|proxy| proxy.authorization_slot == slot);
    if in_head && !crate::plan::is_header_text(value) {
        return Err(PlanError::Secret(slot.to_owned(), "has a line break, which no header may hold"));
    }
    Ok(())
}

fn thread_count(plan: &Plan, wanted: Option<usize>) -> usize {
    // Barriers and a written limit in flight are exact only where one thread sees everything.
    let open = plan.load.model == Model::Open;
    if plan.selection == Selection::Sequential || (open && plan.load.max_in_flight.is_some()) {
        return 1;
    }
    let schedule = Schedule::new(plan, Shard { index: 0, of: 1 });
    let users = schedule.peak_users().max(1);
    if let Some(wanted) = wanted {
        return wanted.clamp(1, 256).min(if open { 256 } else { users });
    }
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let useful = if open {
        let rate = plan
            .load
            .segments
            .iter()
            .fold(plan.load.warm_up_level, |peak, segment| peak.max(segment.start).max(segment.end));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rates are at most 10 million
        let threads = (rate / ARRIVALS_PER_THREAD).ceil() as usize;
        threads
    } else {
        users.div_ceil(USERS_PER_THREAD)
    };
    // The other half of the machine is for the target's side of the connections, and for whoever watches.
    useful.clamp(1, (cores / 2).max(1))
}

/// How many users one thread may have in the open model.
fn most_users(plan: &Plan, threads: usize) -> usize {
    let most = plan.load.max_in_flight.unwrap_or_else(|| {
        if plan.load.model == Model::Open { CEILING.min(health::descriptors_for_connections()) } else { CEILING }
    });
    usize::try_from(most).unwrap_or(usize::MAX).div_ceil(threads).max(1)
}

/// Puts the seconds of all threads together.
struct Collector {
    shared: Arc<Shared>,
    delivery: Arc<Delivery>,
    spares: Vec<Sender<Box<Second>>>,
    schedule: Schedule,
    health: Health,
    started_at_ns: u64,
    /// Seconds that some threads have reported and others not yet.
    partial: BTreeMap<u64, Partial>,
    /// By thread: how it ended.
    endings: Vec<Option<Ending>>,
    /// The next second to deliver.
    next: u64,
    worker_lost: String,
}

#[derive(Default)]
struct Partial {
    second: Option<(usize, Box<Second>)>,
    from: Vec<bool>,
}

impl Collector {
    fn new(
        shared: Arc<Shared>,
        delivery: Arc<Delivery>,
        spares: Vec<Sender<Box<Second>>>,
        started_at_ns: u64,
    ) -> Collector {
        Collector {
            schedule: Schedule::new(&shared.plan, Shard { index: 0, of: 1 }),
            health: Health::new(),
            endings: vec![None; spares.len()],
            shared,
            delivery,
            spares,
            started_at_ns,
            partial: BTreeMap::new(),
            next: 0,
            worker_lost: String::new(),
        }
    }

    fn run(mut self, inbox: &Receiver<Note>) {
        while self.endings.iter().any(Option::is_none) {
            let Ok(note) = inbox.recv() else { break };
            match note {
                Note::Second(thread, number, second) => self.take(thread, number, second),
                Note::End(thread, ending) => self.endings[thread] = Some(ending),
                Note::Lost(thread, message) => self.lose(thread, message),
            }
            self.deliver_complete();
        }
        self.deliver_rest();
        self.report();
    }

    fn take(&mut self, thread: usize, number: u64, mut second: Box<Second>) {
        let threads = self.spares.len();
        let partial = self.partial.entry(number).or_default();
        partial.from.resize(threads, false);
        partial.from[thread] = true;
        match &mut partial.second {
            None => partial.second = Some((thread, second)),
            Some((_, sum)) => {
                sum.merge(&mut second);
                let _ = self.spares[thread].send(second);
            }
        }
    }

    /// A thread died: what it had noted in its last second is gone, and the run has failed.
    fn lose(&mut self, thread: usize, message: String) {
        self.worker_lost = message;
        let now = self.shared.now();
        self.endings[thread] = Some(Ending {
            end_of_sending: Some(now),
            last_finish: now,
            at: now,
            barrier_ns: 0,
            reason: StopReason::Failed,
        });
        self.shared.cancel();
    }

    fn deliver_complete(&mut self) {
        while let Some(partial) = self.partial.get(&self.next) {
            let number = self.next;
            let complete = partial
                .from
                .iter()
                .zip(&self.endings)
                .all(|(there, ending)| *there || ending.as_ref().is_some_and(|ending| ending.at < number * SECOND));
            // The last second of a run is shorter; it is delivered when all threads have ended.
            let is_last = self.partial.keys().next_back() == Some(&number);
            let may_end_here = is_last && self.shared.now() < (number + 1) * SECOND;
            if !complete || may_end_here {
                return;
            }
            self.deliver(number, SECOND);
        }
    }

    fn deliver_rest(&mut self) {
        // Seconds are delivered to the end of sending, also where everything had ended before it.
        let last =
            self.endings.iter().flatten().map(|ending| ending.last_finish.max(ending.end_of_sending.unwrap_or(0)));
        let end = last.max().unwrap_or(0).max(1);
        let last_second = (end - 1) / SECOND;
        // A thread may have looked at the clock once more in the second after; nothing happened in it.
        let trailing: Vec<u64> = self.partial.keys().copied().filter(|number| *number > last_second).collect();
        for number in trailing {
            self.partial.remove(&number);
        }
        while self.next <= last_second {
            let duration = if self.next == last_second { end - last_second * SECOND } else { SECOND };
            self.deliver(self.next, duration);
        }
    }

    fn deliver(&mut self, number: u64, duration_ns: u64) {
        let (thread, mut second) = match self.partial.remove(&number).and_then(|partial| partial.second) {
            Some((thread, second)) => (Some(thread), second),
            None => (None, Box::new(Second::new(self.shared.plan.endpoints.len()))),
        };
        let end = number * SECOND + duration_ns;
        let ended = self.end_of_sending().is_some_and(|sent| end > sent.max(1));
        let stop = self.shared.stop_at();
        let frame = Frame {
            number,
            phase: if ended || end > stop { "drain" } else { self.schedule.phase(end - 1) },
            duration_ns,
            offered: self.schedule.offered((number * SECOND).min(stop), end.min(stop)),
            reading: self.health.read(),
        };
        let secrets = self.shared.with_secrets(|store| store.clone());
        let bytes = interval::to_bytes(frame, &mut second, &self.shared.plan, &secrets);
        if let Some(thread) = thread {
            let _ = self.spares[thread].send(second);
        }
        self.next = number + 1;
        self.delivery.lock().intervals.push_back(bytes);
        self.delivery.changed.notify_all();
    }

    /// The end of sending, where time decides it.
    fn end_of_sending(&self) -> Option<u64> {
        let known = self.endings.iter().flatten().filter_map(|ending| ending.end_of_sending).max();
        if self.shared.plan.total_requests.is_some() && self.shared.plan.load.model == Model::Closed {
            return known;
        }
        known.or(self.schedule.leg_end())
    }

    fn report(&mut self) {
        let endings: Vec<Ending> = self.endings.iter().flatten().copied().collect();
        let last_finish = endings.iter().map(|ending| ending.last_finish).max().unwrap_or(0);
        let by_time = endings.iter().map(|ending| ending.end_of_sending).collect::<Option<Vec<u64>>>();
        let window_end = by_time.and_then(|ends| ends.into_iter().max()).unwrap_or(last_finish);
        let has = |reason| endings.iter().any(|ending| ending.reason == reason);
        let order =
            [StopReason::Failed, StopReason::Cancelled, StopReason::Stopped, StopReason::Duration, StopReason::Stages];
        let reason = order.into_iter().find(|reason| has(*reason)).unwrap_or(StopReason::Total);
        let report = Report {
            started_at_ns: self.started_at_ns,
            stop_reason: reason.name(),
            window_start_ns: self.shared.plan.load.warm_up_ns.min(window_end),
            window_end_ns: window_end,
            last_finish_ns: last_finish,
            barrier_ns: endings.iter().map(|ending| ending.barrier_ns).max().unwrap_or(0),
            worker_lost: std::mem::take(&mut self.worker_lost),
            threads: self.spares.len(),
        };
        self.delivery.lock().report = Some(report);
        self.delivery.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn plan() -> Plan {
        let document = json!({
            "format": 1, "name": "n", "seed": 1, "endpoints": ["e"],
            "origins": [{"scheme": "http", "host": "h", "port": 80, "addresses": ["127.0.0.1"]}],
            "flows": [{"name": "e", "weight": 1, "steps": [{
                "endpoint": 0, "origin": 0, "method": "GET", "target": [{"part": "literal", "text": "/"}],
                "headers": [], "body": null, "expected_statuses": [[200, 200]], "checks": [], "timeout_ns": 1}]}],
            "selection": "round_robin",
            "load": {"model": "closed", "segments": [{"start": 1, "end": 1, "duration_ns": null}],
                "warm_up_ns": 0, "warm_up_level": 0, "arrival": "even", "on_saturation": "queue",
                "catch_up": "full", "catch_up_max_ns": 1, "max_in_flight": null, "max_rate": null},
            "total_requests": null, "duration_ns": 5_000_000_000_u64, "graceful_stop_ns": 1
        });
        Plan::from_bytes(document.to_string().as_bytes()).unwrap()
    }

    fn ending(at: u64) -> Ending {
        Ending { end_of_sending: Some(at), last_finish: at, at, barrier_ns: 0, reason: StopReason::Cancelled }
    }

    /// A collector of two threads, fed by hand, and what it delivered.
    fn collected(zero: u64, notes: Vec<Note>) -> (Vec<Value>, Report) {
        let shared = Arc::new(Shared::new(plan(), SecretStore::default(), None, zero));
        let delivery = Arc::new(Delivery::default());
        let spares = (0..2).map(|_| mpsc::channel().0).collect();
        let (sender, inbox) = mpsc::channel();
        for note in notes {
            sender.send(note).unwrap();
        }
        Collector::new(Arc::clone(&shared), Arc::clone(&delivery), spares, 0).run(&inbox);
        let outbox = delivery.lock();
        let read = |bytes: &Vec<u8>| serde_json::from_slice(bytes).unwrap();
        (outbox.intervals.iter().map(read).collect(), outbox.report.clone().unwrap())
    }

    fn second(started: u64) -> Box<Second> {
        let mut second = Box::new(Second::new(1));
        second.figures(0, false).started = started;
        second
    }

    #[test]
    fn a_thread_that_dies_ends_the_run_as_failed_with_its_message() {
        let zero = clock::monotonic_ns() - 2_500_000_000;
        let panic = panic::catch_unwind(|| panic!("index {} out of range", 7)).unwrap_err();
        let (intervals, report) = collected(
            zero,
            vec![
                Note::Second(0, 0, second(3)),
                Note::Second(1, 0, second(4)),
                Note::Second(0, 1, second(5)),
                Note::Lost(1, message_of(panic.as_ref())),
                Note::Second(0, 2, second(6)),
                Note::End(0, ending(2_400_000_000)),
            ],
        );
        assert_eq!((report.stop_reason, report.worker_lost.as_str()), ("failed", "index 7 out of range"));
        // What the other thread did is all there, and no second is missing.
        let started = intervals.iter().map(|each| each["endpoints"][0]["started"].as_u64().unwrap_or(0));
        assert_eq!(started.take(3).collect::<Vec<u64>>(), [7, 5, 6]);
    }

    #[test]
    fn seconds_come_in_order_however_the_threads_report_them() {
        let zero = clock::monotonic_ns() - 10_000_000_000;
        let (intervals, report) = collected(
            zero,
            vec![
                Note::Second(0, 0, second(1)),
                Note::Second(0, 1, second(2)),
                Note::Second(1, 0, second(10)),
                Note::End(0, ending(2_000_000_000)),
                Note::Second(1, 1, second(20)),
                Note::Second(1, 2, second(30)),
                Note::End(1, ending(2_250_000_000)),
            ],
        );
        let shape: Vec<(u64, u64, u64)> = intervals
            .iter()
            .map(|each| {
                let number = |name: &str| each[name].as_u64().unwrap();
                (number("second"), number("duration_ns"), each["endpoints"][0]["started"].as_u64().unwrap())
            })
            .collect();
        assert_eq!(shape, [(0, SECOND, 11), (1, SECOND, 22), (2, 250_000_000, 30)]);
        assert_eq!((report.stop_reason, report.window_end_ns), ("cancelled", 2_250_000_000));
    }
}
