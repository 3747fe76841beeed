//! The figures of a load thread: the current second by endpoint and phase, iteration books, failures by message,
//! samples, and the health of the generator. Emits each finished second. Knows nothing about schedules, users or
//! connections.
//!
//! # Layout
//!
//! - `mod.rs`: the ledger of a thread; `second.rs`: the data of one second; `books.rs`: iterations; `rows.rs`: test data;
//! - `sampler.rs`: selects requests to sample; `iteration_sampler.rs`: iterations; `raw_sample.rs`: samples as raw
//!   data; `sample.rs`: formats and masks them;
//! - `note.rs`: messages from threads to the collector; `interval.rs`: a second as JSON; `health.rs`: process and
//!   machine.

mod books;
pub mod health;
mod interval;
mod iteration_sampler;
mod note;
mod raw_sample;
mod rows;
mod sample;
mod sampler;
pub mod second;

use std::sync::mpsc::{Receiver, Sender};

use crate::clock;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::plan::{Model, Plan};

pub(crate) use books::IterationBooks;
pub(crate) use interval::{Frame, to_bytes};
pub use note::{Ending, Note};
pub(crate) use raw_sample::{RawIteration, RawSample, RawStep, Reason};
pub(crate) use second::GeneratorFigures;
pub use second::Second;

use iteration_sampler::IterationSampler;
use sampler::Sampler;
use second::EndpointFigures;

const SECOND: u64 = 1_000_000_000;

/// The ledger of a thread.
#[derive(Debug)]
pub(crate) struct Ledger {
    thread: usize,
    second: Box<Second>,
    /// The current second, and its end.
    number: u64,
    end: u64,
    endpoints: usize,
    sampler: Sampler,
    iteration_sampler: IterationSampler,
    /// Response and service time are always equal, so they are recorded once.
    times_are_equal: bool,
    /// Other engines send shares of the plan.
    is_shared: bool,
    thread_cpu: u64,
    notes: Sender<Note>,
    spares: Receiver<Box<Second>>,
}

/// How a request ended. Times are durations in ns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    /// Status of a full response.
    pub(crate) status: u16,
    /// Bytes of the response.
    pub(crate) received: u64,
    /// Since the intended start.
    pub(crate) response: u64,
    /// Since the actual start.
    pub(crate) service: u64,
    /// From the actual start to the first byte.
    pub(crate) first_byte: u64,
    /// It ended after the end of sending.
    pub(crate) is_drained: bool,
}

impl Finished {
    /// A request that was in flight when the run ended.
    pub(crate) const UNFINISHED: Finished = Finished {
        outcome: Outcome::Unfinished,
        status: 0,
        received: 0,
        response: 0,
        service: 0,
        first_byte: 0,
        is_drained: false,
    };
}

/// The state of the load at the end of a second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LoadState {
    pub(crate) users: u64,
    pub(crate) in_flight: u64,
    pub(crate) waiting: u64,
    pub(crate) open_connections: u64,
}

impl Ledger {
    /// Creates the ledger of a thread of a lane. Finished seconds are sent to `notes`; those returned by `spares` are reused.
    pub(crate) fn new(
        thread: usize,
        plan: &Plan,
        lane: usize,
        notes: Sender<Note>,
        spares: Receiver<Box<Second>>,
    ) -> Ledger {
        let load = &plan.lanes[lane].load;
        let is_paced = load.max_rate.is_some();
        Ledger {
            thread,
            second: Box::new(Second::new(plan.endpoints.len())),
            number: plan.share.from_ns / SECOND,
            end: (plan.share.from_ns / SECOND + 1) * SECOND,
            endpoints: plan.endpoints.len(),
            sampler: Sampler::new(plan),
            iteration_sampler: IterationSampler::new(plan),
            times_are_equal: load.model == Model::Closed && !is_paced && !plan.has_journeys(),
            is_shared: !plan.share.is_whole(),
            thread_cpu: 0,
            notes,
            spares,
        }
    }

    /// Starts counting; CPU time is that of the calling thread.
    pub(crate) fn begin(&mut self) {
        self.thread_cpu = clock::thread_cpu_ns();
    }

    /// When the current second ends.
    #[inline]
    pub(crate) fn end_of_second(&self) -> u64 {
        self.end
    }

    /// The figures of an endpoint in the current second.
    #[inline]
    pub(crate) fn figures(&mut self, endpoint: usize, warm_up: bool) -> &mut EndpointFigures {
        self.second.figures(endpoint, warm_up)
    }

    /// The generator's figures in the current second.
    #[inline]
    pub(crate) fn generator(&mut self) -> &mut GeneratorFigures {
        &mut self.second.generator
    }

    /// The iteration books of a flow in the current second.
    pub(crate) fn iterations(&mut self, flow: u32, warm_up: bool) -> &mut IterationBooks {
        self.second.iterations(flow, warm_up)
    }

    /// Counts an evaluation of a check of the plan.
    pub(crate) fn count_check(&mut self, check: usize, warm_up: bool, has_passed: bool) {
        self.second.count_check(check, warm_up, has_passed);
    }

    /// Counts a row of test data that an iteration begins with.
    pub(crate) fn count_row(&mut self, table: usize, row: u64, was_used: bool) {
        let is_shared = self.is_shared;
        self.second.rows(table).count(row, was_used, is_shared);
    }

    /// Records a request that has ended.
    #[inline(always)]
    #[allow(clippy::inline_always)] // it is the end of every request
    pub(crate) fn finished(&mut self, endpoint: usize, warm_up: bool, finished: Finished) {
        let times_are_equal = self.times_are_equal;
        let figures = self.second.figures(endpoint, warm_up);
        let Finished { outcome, response, service, .. } = finished;
        figures.bytes_received += finished.received;
        figures.outcomes[outcome as usize] += 1;
        let mut clamped = false;
        match outcome {
            Outcome::Ok | Outcome::UnexpectedStatus | Outcome::CheckFailed => {
                figures.count_status(finished.status);
                clamped |= if outcome == Outcome::Ok {
                    figures.response_ok.record(response)
                } else {
                    figures.response_failed.record(response)
                };
                figures.first_byte.record(finished.first_byte);
                if !times_are_equal {
                    figures.service.record(service);
                }
            }
            Outcome::Timeout => {
                clamped |= figures.response_timeout.record(response);
                if !times_are_equal {
                    figures.service.record(service);
                }
            }
            Outcome::GeneratorError | Outcome::Unfinished => {}
            _ => clamped |= figures.error_time.record(response),
        }
        figures.clamped += u64::from(clamped);
        if finished.is_drained {
            figures.drained_ok += u64::from(outcome == Outcome::Ok);
            figures.drained_failed += u64::from(outcome.is_failure());
        }
    }

    /// Records a failure at `now`.
    #[cold]
    pub(crate) fn failed(&mut self, endpoint: usize, warm_up: bool, outcome: Outcome, message: &Message, now: u64) {
        if outcome.is_failure() || outcome == Outcome::GeneratorError {
            self.second.count_failure(endpoint, warm_up, outcome, message, now);
        }
    }

    /// Whether the headers of an endpoint's next response may be needed for a sample.
    pub(crate) fn wants_headers(&self, endpoint: usize) -> bool {
        self.sampler.wants_headers(endpoint)
    }

    /// Whether to sample a request that has ended, and why.
    #[inline]
    pub(crate) fn wants(&mut self, endpoint: usize, warm_up: bool, outcome: Outcome, response: u64) -> Option<Reason> {
        self.sampler.wants(endpoint, warm_up, outcome, response)
    }

    /// Adds a sample.
    pub(crate) fn keep(&mut self, sample: RawSample) {
        self.sampler.keep(sample);
    }

    /// Whether an iteration of a flow that begins now may be sampled when it has ended.
    pub(crate) fn may_want_iteration(&self, flow: usize, warm_up: bool) -> bool {
        self.iteration_sampler.may_want(flow, warm_up)
    }

    /// Whether to sample an iteration that has ended, and why. `active`: its time without think time, if it was completed.
    pub(crate) fn wants_iteration(&mut self, flow: usize, has_failure: bool, active: Option<u64>) -> Option<Reason> {
        self.iteration_sampler.wants(flow, has_failure, active)
    }

    /// Adds a sample of an iteration.
    pub(crate) fn keep_iteration(&mut self, sample: RawIteration) {
        self.iteration_sampler.keep(sample);
    }

    /// Emits the current second, and starts the next one.
    pub(crate) fn end_second(&mut self, load_state: LoadState) {
        let cpu = clock::thread_cpu_ns();
        let generator = &mut self.second.generator;
        generator.thread_cpu_ns = cpu.saturating_sub(self.thread_cpu);
        generator.users = load_state.users;
        generator.in_flight = load_state.in_flight;
        generator.waiting = load_state.waiting;
        generator.open_connections = load_state.open_connections;
        generator.saturated |= load_state.waiting > 0;
        self.thread_cpu = cpu;
        if self.times_are_equal {
            for (_, _, figures) in self.second.active() {
                figures.service.merge(&figures.response_ok);
                figures.service.merge(&figures.response_failed);
                figures.service.merge(&figures.response_timeout);
            }
        }
        self.sampler.hand_over(&mut self.second.samples);
        self.iteration_sampler.hand_over(&mut self.second.sampled_iterations);
        let next = match self.spares.try_recv() {
            Ok(mut spare) => {
                spare.clear();
                spare
            }
            Err(_) => Box::new(Second::new(self.endpoints)),
        };
        let second = std::mem::replace(&mut self.second, next);
        // The collector outlives the threads, unless the process is exiting.
        let _ = self.notes.send(Note::Second { thread: self.thread, number: self.number, second });
        self.number += 1;
        self.end += SECOND;
    }

    /// Emits the last second when the thread has ended.
    pub(crate) fn close(self, load_state: LoadState, ending: Ending) {
        let mut ledger = self;
        ledger.end_second(load_state);
        // The collector outlives the threads, unless the process is exiting.
        let _ = ledger.notes.send(Note::End { thread: ledger.thread, ending });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::outcome::StopReason;
    use std::sync::mpsc;

    fn finished(outcome: Outcome) -> Finished {
        Finished {
            outcome,
            status: 200,
            received: 10,
            response: 7,
            service: 5,
            first_byte: 3,
            is_drained: outcome == Outcome::Timeout,
        }
    }

    #[test]
    fn a_second_is_handed_out_whole_and_the_next_one_begins_empty() {
        let (notes, inbox) = mpsc::channel();
        let (spare, spares) = mpsc::channel();
        let plan = fixtures::plan(|document| document["lanes"][0]["load"]["model"] = "open".into());
        let mut ledger = Ledger::new(4, &plan, 0, notes, spares);
        for outcome in [Outcome::Ok, Outcome::Ok, Outcome::Timeout, Outcome::Unfinished] {
            ledger.finished(0, false, finished(outcome));
            ledger.failed(0, false, outcome, &Message::None, 9);
        }
        ledger.end_second(LoadState { in_flight: 3, waiting: 1, ..LoadState::default() });
        assert_eq!(ledger.end_of_second(), 2 * SECOND);
        let Ok(Note::Second { thread: 4, number: 0, mut second }) = inbox.recv() else { panic!("no second") };
        let (_, _, figures) = second.active().next().unwrap();
        assert_eq!((figures.bytes_received, figures.statuses.as_slice()), (40, &[(200, 2)][..]));
        assert_eq!((figures.response_ok.total(), figures.response_timeout.total(), figures.service.total()), (2, 1, 3));
        assert_eq!((figures.drained_ok, figures.drained_failed), (0, 1));
        assert_eq!((second.generator.in_flight, second.generator.saturated), (3, true));
        assert_eq!((second.failures.len(), second.failures[0].outcome), (1, Outcome::Timeout));

        spare.send(second).unwrap();
        ledger.end_second(LoadState::default());
        let ending = Ending { end_of_sending: None, last_finish: 1, at: 2, barrier_ns: 0, reason: StopReason::Total };
        ledger.close(LoadState::default(), ending);
        let numbers: Vec<u64> = inbox
            .iter()
            .filter_map(|note| {
                if let Note::Second { number, mut second, .. } = note {
                    assert_eq!(second.active().count(), 0);
                    Some(number)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(numbers, [1, 2]);
    }

    #[test]
    fn times_that_are_always_equal_are_recorded_once() {
        for (is_closed, many_steps, service) in [(true, false, 7), (false, false, 5), (true, true, 5)] {
            let (notes, inbox) = mpsc::channel();
            let plan = fixtures::plan(|document| {
                document["lanes"][0]["load"]["model"] = if is_closed { "closed".into() } else { "open".into() };
                if many_steps {
                    fixtures::three_steps(document);
                }
            });
            let mut ledger = Ledger::new(0, &plan, 0, notes, mpsc::channel().1);
            ledger.finished(0, false, finished(Outcome::Ok));
            ledger.end_second(LoadState::default());
            let Ok(Note::Second { mut second, .. }) = inbox.recv() else { panic!("no second") };
            let (_, _, figures) = second.active().next().unwrap();
            let recorded: Vec<(usize, u32)> = figures.service.counts().collect();
            // Times this small have one bucket each.
            assert_eq!(recorded, [(service, 1)]);
        }
    }
}
