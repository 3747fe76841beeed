//! Merges the seconds of all threads, in order, and queues each as an interval.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use super::delivery::Delivery;
use super::report::{self, Report};
use crate::ledger::health::Health;
use crate::ledger::{self, Ending, Frame, Note, Second};
use crate::outcome::StopReason;
use crate::plan::Model;
use crate::schedule::{Shard, Timetable};
use crate::shared::Shared;

const SECOND: u64 = 1_000_000_000;
const WARM_UP: &str = "warm_up";

/// Merges the seconds of all threads.
pub(super) struct Collector {
    shared: Arc<Shared>,
    delivery: Arc<Delivery>,
    spares: Vec<Sender<Box<Second>>>,
    /// By thread: its lane.
    lane_of: Vec<usize>,
    /// By lane.
    timetables: Vec<Timetable>,
    /// The lanes, the one that is planned to run longest first.
    longest_first: Vec<usize>,
    health: Health,
    started_at_ns: u64,
    /// Seconds reported by some threads and not by others yet.
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
    pub(super) fn new(
        shared: Arc<Shared>,
        delivery: Arc<Delivery>,
        spares: Vec<Sender<Box<Second>>>,
        lane_of: Vec<usize>,
        started_at_ns: u64,
    ) -> Collector {
        let lanes = 0..shared.plan.lanes.len();
        let timetables: Vec<Timetable> =
            lanes.clone().map(|lane| Timetable::new(&shared.plan, Shard::all(&shared.plan, lane))).collect();
        let mut longest_first: Vec<usize> = lanes.collect();
        longest_first.sort_by_key(|lane| Reverse(timetables[*lane].planned_end().unwrap_or(u64::MAX)));
        Collector {
            lane_of,
            timetables,
            longest_first,
            health: Health::new(),
            endings: vec![None; spares.len()],
            next: shared.plan.share.from_ns / SECOND,
            shared,
            delivery,
            spares,
            started_at_ns,
            partial: BTreeMap::new(),
            worker_lost: String::new(),
        }
    }

    pub(super) fn run(mut self, inbox: &Receiver<Note>) {
        while self.endings.iter().any(Option::is_none) {
            let Ok(note) = inbox.recv() else { break };
            match note {
                Note::Second { thread, number, second } => self.take(thread, number, second),
                Note::End { thread, ending } => self.endings[thread] = Some(ending),
                Note::Lost { thread, message } => self.lose(thread, message),
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

    /// Fails the run because a thread died; the figures of its last second are lost.
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
            // The last, shorter second of a run is delivered when all threads have ended.
            let is_last = self.partial.keys().next_back() == Some(&number);
            let may_end_here = is_last && self.shared.now() < (number + 1) * SECOND;
            if !complete || may_end_here {
                return;
            }
            self.deliver(number, SECOND);
        }
    }

    fn deliver_rest(&mut self) {
        // Deliver seconds up to the end of sending, even if everything had ended before it.
        let last =
            self.endings.iter().flatten().map(|ending| ending.last_finish.max(ending.end_of_sending.unwrap_or(0)));
        let end = last.max().unwrap_or(0).max(1);
        let last_second = (end - 1) / SECOND;
        // A thread may have read the clock once more after the end. Nothing was sent then, but arrivals that were still
        // waiting are counted there.
        let after_end = self.partial.split_off(&(last_second + 1));
        for (_, second) in after_end.into_values().filter_map(|partial| partial.second) {
            self.take_after_end(last_second + 1, second);
        }
        while self.next <= last_second {
            let duration = if self.next == last_second { end - last_second * SECOND } else { SECOND };
            self.deliver(self.next, duration);
        }
        if self.partial.contains_key(&self.next) {
            self.deliver(self.next, 1);
        }
    }

    /// Adds the figures of a second after the end to second `number`, if there are any.
    fn take_after_end(&mut self, number: u64, mut second: Box<Second>) {
        if second.active().next().is_none() {
            return;
        }
        match &mut self.partial.entry(number).or_default().second {
            Some((_, sum)) => sum.merge(&mut second),
            none => *none = Some((0, second)),
        }
    }

    fn deliver(&mut self, number: u64, duration_ns: u64) {
        let (thread, mut second) = match self.partial.remove(&number).and_then(|partial| partial.second) {
            Some((thread, second)) => (Some(thread), second),
            None => (None, Box::new(Second::new(self.shared.plan.endpoints.len()))),
        };
        let end = number * SECOND + duration_ns;
        let stop = self.shared.stop_at();
        let (from, to) = ((number * SECOND).min(stop), end.min(stop));
        let frame = Frame {
            number,
            phase: self.phase(end),
            duration_ns,
            offered: self.timetables.iter().map(|timetable| timetable.offered(from, to)).sum(),
            reading: self.health.read(),
        };
        let secrets = self.shared.with_secrets(|store| store.clone());
        let bytes = ledger::to_bytes(frame, &mut second, &self.shared.plan, &secrets);
        if let Some(thread) = thread {
            let _ = self.spares[thread].send(second);
        }
        self.next = number + 1;
        self.delivery.lock().intervals.push_back(bytes);
        self.delivery.changed.notify_all();
    }

    /// The phase of a second that ends at `end`: that of the lane that runs longest, of those in measured load. Between
    /// the loads of two lanes it is `load`, as that time belongs to the measured window.
    fn phase(&self, end: u64) -> &'static str {
        let has_ended = |lane: usize| self.end_of_sending(lane).is_some_and(|sent| end > sent.max(1));
        if end > self.shared.stop_at() || (0..self.timetables.len()).all(has_ended) {
            return "drain";
        }
        let phases = self.longest_first.iter().filter(|lane| !has_ended(**lane));
        let measured = phases.map(|lane| self.timetables[*lane].phase(end - 1)).find(|phase| *phase != WARM_UP);
        let is_warm_up = self.timetables.iter().all(|timetable| timetable.phase(end - 1) == WARM_UP);
        measured.unwrap_or(if is_warm_up { WARM_UP } else { "load" })
    }

    fn endings_of(&self, lane: usize) -> impl Iterator<Item = &Ending> {
        self.lane_of.iter().zip(&self.endings).filter(move |(of, _)| **of == lane).filter_map(|(_, end)| end.as_ref())
    }

    /// The end of a lane's sending, if a time decides it.
    fn end_of_sending(&self, lane: usize) -> Option<u64> {
        let known = self.endings_of(lane).filter_map(|ending| ending.end_of_sending).max();
        let plan = &self.shared.plan.lanes[lane];
        if plan.total.is_some() && plan.load.model == Model::Closed {
            return known;
        }
        known.or(self.timetables[lane].leg_end())
    }

    fn report(&mut self) {
        let plan = &self.shared.plan;
        let of_lane = |lane| report::lane_ending(&self.endings_of(lane).copied().collect::<Vec<Ending>>());
        let endings: Vec<Ending> = (0..plan.lanes.len()).map(of_lane).collect();
        let worker_lost = std::mem::take(&mut self.worker_lost);
        let report = Report::new(plan, &endings, self.started_at_ns, worker_lost, self.spares.len());
        self.delivery.lock().report = Some(report);
        self.delivery.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::plan::Plan;
    use crate::run::message_of;
    use crate::secrets::SecretStore;
    use serde_json::{Value, json};
    use std::panic;
    use std::sync::mpsc;

    fn plan() -> Plan {
        let document = json!({
            "format": 2, "name": "n", "seed": 1, "endpoints": ["e"],
            "origins": [{"scheme": "http", "host": "h", "port": 80, "addresses": ["127.0.0.1"]}],
            "flows": [{"name": "e", "weight": 1, "steps": [{
                "endpoint": 0, "origin": 0, "method": "GET", "target": [{"part": "literal", "text": "/"}],
                "headers": [], "body": null, "expected_statuses": [[200, 200]], "checks": [], "timeout_ns": 1}]}],
            "lanes": [{"name": "n", "flows": [0], "selection": "round_robin",
            "load": {"model": "closed", "segments": [{"start": 1, "end": 1, "duration_ns": null}],
                "warm_up_ns": 0, "warm_up_level": 0, "arrival": "even", "on_saturation": "queue",
                "catch_up": "full", "catch_up_max_ns": 1, "max_in_flight": null, "max_rate": null},
                "total": null, "duration_ns": 5_000_000_000_u64}],
            "graceful_stop_ns": 1
        });
        Plan::from_bytes(document.to_string().as_bytes()).unwrap()
    }

    fn ending(at: u64) -> Ending {
        Ending { end_of_sending: Some(at), last_finish: at, at, barrier_ns: 0, reason: StopReason::Cancelled }
    }

    /// A collector of two threads, with manual input, and its output.
    fn collected(zero: u64, notes: Vec<Note>) -> (Vec<Value>, Report) {
        let shared = Arc::new(Shared::new(plan(), SecretStore::default(), None, zero));
        let delivery = Arc::new(Delivery::default());
        let spares = (0..2).map(|_| mpsc::channel().0).collect();
        let (sender, inbox) = mpsc::channel();
        for note in notes {
            sender.send(note).unwrap();
        }
        Collector::new(Arc::clone(&shared), Arc::clone(&delivery), spares, vec![0, 0], 0).run(&inbox);
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
                Note::Second { thread: 0, number: 0, second: second(3) },
                Note::Second { thread: 1, number: 0, second: second(4) },
                Note::Second { thread: 0, number: 1, second: second(5) },
                Note::Lost { thread: 1, message: message_of(panic.as_ref()) },
                Note::Second { thread: 0, number: 2, second: second(6) },
                Note::End { thread: 0, ending: ending(2_400_000_000) },
            ],
        );
        assert_eq!((report.stop_reason, report.worker_lost.as_str()), ("failed", "index 7 out of range"));
        // The other thread's figures are complete, and no second is missing.
        let started = intervals.iter().map(|each| each["endpoints"][0]["started"].as_u64().unwrap_or(0));
        assert_eq!(started.take(3).collect::<Vec<u64>>(), [7, 5, 6]);
    }

    #[test]
    fn seconds_come_in_order_however_the_threads_report_them() {
        let zero = clock::monotonic_ns() - 10_000_000_000;
        let (intervals, report) = collected(
            zero,
            vec![
                Note::Second { thread: 0, number: 0, second: second(1) },
                Note::Second { thread: 0, number: 1, second: second(2) },
                Note::Second { thread: 1, number: 0, second: second(10) },
                Note::End { thread: 0, ending: ending(2_000_000_000) },
                Note::Second { thread: 1, number: 1, second: second(20) },
                Note::Second { thread: 1, number: 2, second: second(30) },
                Note::End { thread: 1, ending: ending(2_250_000_000) },
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

    #[test]
    fn arrivals_that_wait_at_the_end_of_a_second_are_counted_and_a_clock_read_after_it_is_not() {
        let zero = clock::monotonic_ns() - 10_000_000_000;
        let mut waiting = Box::new(Second::new(1));
        waiting.figures(0, false).queued_at_end = 7;
        let run = |last: Box<Second>| {
            let (intervals, _) = collected(
                zero,
                vec![
                    Note::Second { thread: 0, number: 0, second: second(1) },
                    Note::Second { thread: 1, number: 0, second: second(2) },
                    Note::Second { thread: 0, number: 1, second: last },
                    Note::End { thread: 0, ending: ending(SECOND) },
                    Note::End { thread: 1, ending: ending(SECOND) },
                ],
            );
            intervals
        };
        let intervals = run(waiting);
        assert_eq!(intervals.len(), 2);
        let last = (&intervals[1]["duration_ns"], &intervals[1]["endpoints"][0]["queued_at_end"]);
        assert_eq!(last, (&json!(1), &json!(7)));
        assert_eq!(run(Box::new(Second::new(1))).len(), 1);
    }
}
