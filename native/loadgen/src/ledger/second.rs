//! The figures of one load thread in one second. Recording allocates only for values seen for the first time; a
//! [`Second`] that has been reported is cleared and reused.

use super::books::IterationBooks;
use super::raw_sample::{RawIteration, RawSample};
use super::rows::RowBooks;
use crate::histogram::Histogram;
use crate::message::Message;
use crate::outcome::Outcome;

/// Targets can produce any number of messages: beyond this many groups per second, the others share one group.
const MOST_GROUPS: usize = 1000;
const OTHER: Message = Message::Text("one of too many different messages");

/// One second of one endpoint, warm-up or measured.
#[derive(Debug, Default)]
#[allow(missing_docs)] // documented at atm.metrics.interval.EndpointInterval
pub struct EndpointFigures {
    pub started: u64,
    pub outcomes: [u64; Outcome::COUNT],
    pub statuses: Vec<(u16, u64)>,
    pub dropped: u64,
    pub skipped: u64,
    pub queued_at_end: u64,
    pub waited: u64,
    pub drained_ok: u64,
    pub drained_failed: u64,
    pub redirect_hops: u64,
    pub redialled: u64,
    pub bytes_received: u64,
    pub bytes_sent: u64,
    pub clamped: u64,
    pub not_reached: u64,
    pub response_ok: Histogram,
    pub response_failed: Histogram,
    pub response_timeout: Histogram,
    pub service: Histogram,
    pub first_byte: Histogram,
    pub error_time: Histogram,
    pub waits: Histogram,
    pub waits_at_end: Histogram,
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Histogram({} samples)", self.total())
    }
}

impl EndpointFigures {
    /// Counts a full response's status.
    #[inline]
    pub fn count_status(&mut self, status: u16) {
        match self.statuses.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => self.statuses.push((status, 1)),
        }
    }

    fn histograms(&mut self) -> [&mut Histogram; 8] {
        [
            &mut self.response_ok,
            &mut self.response_failed,
            &mut self.response_timeout,
            &mut self.service,
            &mut self.first_byte,
            &mut self.error_time,
            &mut self.waits,
            &mut self.waits_at_end,
        ]
    }

    fn counts(&mut self) -> [&mut u64; 13] {
        [
            &mut self.started,
            &mut self.dropped,
            &mut self.skipped,
            &mut self.queued_at_end,
            &mut self.waited,
            &mut self.drained_ok,
            &mut self.drained_failed,
            &mut self.redirect_hops,
            &mut self.redialled,
            &mut self.bytes_received,
            &mut self.bytes_sent,
            &mut self.clamped,
            &mut self.not_reached,
        ]
    }

    fn clear(&mut self) {
        self.histograms().into_iter().for_each(Histogram::clear);
        self.counts().into_iter().for_each(|count| *count = 0);
        self.outcomes = [0; Outcome::COUNT];
        self.statuses.clear();
    }

    fn merge(&mut self, other: &mut EndpointFigures) {
        for (mine, theirs) in self.histograms().into_iter().zip(other.histograms()) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.counts().into_iter().zip(other.counts()) {
            *mine += *theirs;
        }
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
        for (status, count) in &other.statuses {
            match self.statuses.iter_mut().find(|(known, _)| known == status) {
                Some((_, mine)) => *mine += count,
                None => self.statuses.push((*status, *count)),
            }
        }
    }
}

/// Failures of one kind with one message at one endpoint.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // as atm.metrics.interval.FailureGroup
pub struct FailureGroup {
    pub endpoint: usize,
    pub warm_up: bool,
    pub outcome: Outcome,
    pub message: Message,
    pub count: u64,
    pub first_ns: u64,
    pub last_ns: u64,
}

/// The generator's figures.
#[derive(Debug, Default)]
#[allow(missing_docs)] // as atm.metrics.interval.GeneratorInterval
pub struct GeneratorFigures {
    pub schedule_lag: Histogram,
    pub stalls: u64,
    pub stalled_ns: u64,
    pub longest_stall_ns: u64,
    pub thread_cpu_ns: u64,
    pub users: u64,
    pub in_flight: u64,
    pub waiting: u64,
    pub open_connections: u64,
    pub dials: u64,
    pub connections_lost: u64,
    pub connect: Histogram,
    pub tls: Histogram,
    pub dns: Histogram,
    pub saturated: bool,
}

/// The figures of one thread in one second.
#[derive(Debug, Default)]
pub struct Second {
    /// By endpoint, warm-up (odd) and measured (even); None before the first event.
    slots: Vec<Option<Box<EndpointFigures>>>,
    /// Slots with events in this second.
    touched: Vec<bool>,
    /// The generator's figures.
    pub generator: GeneratorFigures,
    /// By flow, warm-up (odd) and measured (even): iteration books, in a plan with journeys.
    iterations: Vec<IterationBooks>,
    /// By check of the plan, warm-up (odd) and measured (even): passed and failed evaluations.
    checks: Vec<(u64, u64)>,
    /// By table of test data.
    rows: Vec<RowBooks>,
    /// Failures by kind and message.
    pub failures: Vec<FailureGroup>,
    /// Sampled requests.
    pub samples: Vec<RawSample>,
    /// Sampled iterations.
    pub sampled_iterations: Vec<RawIteration>,
}

impl Second {
    /// Creates a second for this many endpoints.
    #[must_use]
    pub fn new(endpoints: usize) -> Second {
        Second {
            slots: (0..endpoints * 2).map(|_| None).collect(),
            touched: vec![false; endpoints * 2],
            ..Second::default()
        }
    }

    /// The figures of an endpoint.
    #[inline]
    pub fn figures(&mut self, endpoint: usize, warm_up: bool) -> &mut EndpointFigures {
        let slot = endpoint * 2 + usize::from(warm_up);
        self.touched[slot] = true;
        self.slots[slot].get_or_insert_default()
    }

    /// The iteration books of a flow.
    pub fn iterations(&mut self, flow: u32, warm_up: bool) -> &mut IterationBooks {
        let slot = flow as usize * 2 + usize::from(warm_up);
        if slot >= self.iterations.len() {
            self.iterations.resize_with(slot + 1, IterationBooks::default);
        }
        &mut self.iterations[slot]
    }

    /// Counts an evaluation of a check of the plan.
    pub fn count_check(&mut self, check: usize, warm_up: bool, has_passed: bool) {
        let slot = check * 2 + usize::from(warm_up);
        if slot >= self.checks.len() {
            self.checks.resize(slot + 1, (0, 0));
        }
        let (passed, failed) = &mut self.checks[slot];
        *if has_passed { passed } else { failed } += 1;
    }

    /// The books of a table of test data.
    pub fn rows(&mut self, table: usize) -> &mut RowBooks {
        if table >= self.rows.len() {
            self.rows.resize_with(table + 1, RowBooks::default);
        }
        &mut self.rows[table]
    }

    /// Tables of test data with rows.
    pub fn active_rows(&self) -> impl Iterator<Item = (usize, &RowBooks)> {
        self.rows.iter().enumerate().filter(|(_, books)| !books.is_empty())
    }

    /// Checks with evaluations: (check, warm-up, passed, failed).
    pub fn active_checks(&self) -> impl Iterator<Item = (usize, bool, u64, u64)> {
        let checks = self.checks.iter().enumerate().filter(|(_, counts)| **counts != (0, 0));
        checks.map(|(slot, (passed, failed))| (slot / 2, slot % 2 == 1, *passed, *failed))
    }

    /// Iteration books with events: (flow, warm-up, books).
    pub fn active_iterations(&self) -> impl Iterator<Item = (usize, bool, &IterationBooks)> {
        let books = self.iterations.iter().enumerate().filter(|(_, books)| !books.is_empty());
        books.map(|(slot, books)| (slot / 2, slot % 2 == 1, books))
    }

    /// Endpoints with events: (endpoint, warm-up, figures).
    pub fn active(&mut self) -> impl Iterator<Item = (usize, bool, &mut EndpointFigures)> {
        self.slots
            .iter_mut()
            .zip(&self.touched)
            .enumerate()
            .filter(|(_, (_, touched))| **touched)
            .filter_map(|(slot, (figures, _))| figures.as_deref_mut().map(|figures| (slot / 2, slot % 2 == 1, figures)))
    }

    /// Adds a failure to its group.
    pub fn count_failure(&mut self, endpoint: usize, warm_up: bool, outcome: Outcome, message: &Message, finish: u64) {
        let is_full = self.failures.len() >= MOST_GROUPS;
        let known = self.failures.iter_mut().find(|group| {
            group.endpoint == endpoint
                && group.warm_up == warm_up
                && group.outcome == outcome
                && group.message == *message
        });
        match known {
            Some(group) => {
                group.count += 1;
                group.last_ns = finish;
            }
            None if is_full && *message != OTHER => {
                self.count_failure(endpoint, warm_up, outcome, &OTHER, finish);
            }
            None => self.failures.push(FailureGroup {
                endpoint,
                warm_up,
                outcome,
                message: message.clone(),
                count: 1,
                first_ns: finish,
                last_ns: finish,
            }),
        }
    }

    /// Adds another thread's figures of the same second.
    pub fn merge(&mut self, other: &mut Second) {
        for (endpoint, warm_up, figures) in other.active() {
            self.figures(endpoint, warm_up).merge(figures);
        }
        self.iterations.resize_with(self.iterations.len().max(other.iterations.len()), IterationBooks::default);
        for (mine, theirs) in self.iterations.iter_mut().zip(&other.iterations) {
            mine.merge(theirs);
        }
        for (table, theirs) in other.active_rows() {
            self.rows(table).merge(theirs);
        }
        self.checks.resize(self.checks.len().max(other.checks.len()), (0, 0));
        for (mine, theirs) in self.checks.iter_mut().zip(&other.checks) {
            *mine = (mine.0 + theirs.0, mine.1 + theirs.1);
        }
        for group in other.failures.drain(..) {
            let known = self.failures.iter_mut().find(|mine| {
                mine.endpoint == group.endpoint
                    && mine.warm_up == group.warm_up
                    && mine.outcome == group.outcome
                    && mine.message == group.message
            });
            match known {
                Some(mine) => {
                    mine.count += group.count;
                    mine.first_ns = mine.first_ns.min(group.first_ns);
                    mine.last_ns = mine.last_ns.max(group.last_ns);
                }
                None => self.failures.push(group),
            }
        }
        self.samples.append(&mut other.samples);
        self.sampled_iterations.append(&mut other.sampled_iterations);
        self.generator.merge(&other.generator);
    }

    /// Clears everything and keeps the memory.
    pub fn clear(&mut self) {
        for (figures, touched) in self.slots.iter_mut().zip(&mut self.touched) {
            if std::mem::take(touched)
                && let Some(figures) = figures
            {
                figures.clear();
            }
        }
        self.iterations.iter_mut().for_each(IterationBooks::clear);
        self.checks.fill((0, 0));
        self.rows.iter_mut().for_each(RowBooks::clear);
        self.failures.clear();
        self.samples.clear();
        self.sampled_iterations.clear();
        self.generator.clear();
    }
}

impl GeneratorFigures {
    fn merge(&mut self, other: &GeneratorFigures) {
        self.schedule_lag.merge(&other.schedule_lag);
        self.connect.merge(&other.connect);
        self.tls.merge(&other.tls);
        self.dns.merge(&other.dns);
        self.stalls += other.stalls;
        self.stalled_ns += other.stalled_ns;
        self.longest_stall_ns = self.longest_stall_ns.max(other.longest_stall_ns);
        // Report the busiest thread, not the sum.
        self.thread_cpu_ns = self.thread_cpu_ns.max(other.thread_cpu_ns);
        self.users += other.users;
        self.in_flight += other.in_flight;
        self.waiting += other.waiting;
        self.open_connections += other.open_connections;
        self.dials += other.dials;
        self.connections_lost += other.connections_lost;
        self.saturated |= other.saturated;
    }

    fn clear(&mut self) {
        self.schedule_lag.clear();
        self.connect.clear();
        self.tls.clear();
        self.dns.clear();
        (self.stalls, self.stalled_ns, self.longest_stall_ns, self.thread_cpu_ns) = (0, 0, 0, 0);
        (self.users, self.in_flight, self.waiting, self.open_connections) = (0, 0, 0, 0);
        (self.dials, self.connections_lost, self.saturated) = (0, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_add_up_to_one_second() {
        let (mut one, mut other) = (Second::new(2), Second::new(2));
        for second in [&mut one, &mut other] {
            let figures = second.figures(1, false);
            figures.started = 3;
            figures.count_status(200);
            figures.response_ok.record(5);
            second.count_failure(1, false, Outcome::Timeout, &Message::Timeout { timeout_ns: 5 }, 9);
            second.iterations(3, false).started += 1;
            second.generator.thread_cpu_ns = 7;
        }
        one.merge(&mut other);
        let (endpoint, warm_up, figures) = one.active().next().unwrap();
        assert_eq!((endpoint, warm_up, figures.started, figures.response_ok.total()), (1, false, 6, 2));
        assert_eq!(figures.statuses, vec![(200, 2)]);
        assert_eq!((one.failures.len(), one.failures[0].count, one.generator.thread_cpu_ns), (1, 2, 7));
        let books: Vec<(usize, bool, u64)> =
            one.active_iterations().map(|(flow, phase, b)| (flow, phase, b.started)).collect();
        assert_eq!(books, [(3, false, 2)]);
        one.clear();
        assert_eq!(one.active().count(), 0);
    }
}
