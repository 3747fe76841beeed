//! Selects the requests to sample.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::raw_sample::{RawSample, Reason};
use crate::outcome::Outcome;
use crate::plan::Plan;

/// Selects the requests to sample.
#[derive(Debug)]
pub(super) struct Sampler {
    first_left: Vec<u64>,
    /// By endpoint: failures have occurred of which more samples are wanted.
    curious: Vec<bool>,
    failures_per_kind: u64,
    failures: HashMap<(usize, Outcome), u64>,
    slowest: usize,
    /// The longest response times so far.
    slow_times: BinaryHeap<Reverse<u64>>,
    /// Requests slower than this are among the slowest.
    slow_over: u64,
    kept: Vec<RawSample>,
    slow: Vec<RawSample>,
}

impl Sampler {
    pub(super) fn new(plan: &Plan) -> Sampler {
        Sampler {
            first_left: vec![plan.sampling.first_per_endpoint; plan.endpoints.len()],
            curious: vec![false; plan.endpoints.len()],
            failures_per_kind: plan.sampling.failures_per_kind,
            failures: HashMap::new(),
            slowest: plan.sampling.slowest,
            slow_times: BinaryHeap::new(),
            slow_over: if plan.sampling.slowest == 0 { u64::MAX } else { 0 },
            kept: Vec::new(),
            slow: Vec::new(),
        }
    }

    /// Whether the headers of the next response may be needed for a sample.
    pub(super) fn wants_headers(&self, endpoint: usize) -> bool {
        self.first_left[endpoint] > 0 || self.curious[endpoint]
    }

    /// Whether to sample a request that has ended, and why.
    #[inline]
    pub(super) fn wants(&mut self, endpoint: usize, warm_up: bool, outcome: Outcome, response: u64) -> Option<Reason> {
        if outcome == Outcome::Ok && self.first_left[endpoint] == 0 && (response <= self.slow_over || warm_up) {
            return None;
        }
        self.choose(endpoint, warm_up, outcome, response)
    }

    #[cold]
    fn choose(&mut self, endpoint: usize, warm_up: bool, outcome: Outcome, response: u64) -> Option<Reason> {
        if outcome == Outcome::Unfinished {
            return None;
        }
        let slow = response > self.slow_over && !warm_up && outcome != Outcome::GeneratorError;
        if slow {
            self.slow_times.push(Reverse(response));
            if self.slow_times.len() > self.slowest {
                self.slow_times.pop();
            }
            if self.slow_times.len() == self.slowest {
                self.slow_over = self.slow_times.peek().map_or(0, |Reverse(least)| *least);
            }
        }
        if self.first_left[endpoint] > 0 {
            self.first_left[endpoint] -= 1;
            return Some(Reason::First);
        }
        if outcome != Outcome::Ok {
            let seen = self.failures.entry((endpoint, outcome)).or_default();
            if *seen < self.failures_per_kind {
                *seen += 1;
                self.curious[endpoint] = *seen < self.failures_per_kind;
                return Some(Reason::Failure);
            }
        }
        slow.then_some(Reason::Slowest)
    }

    pub(super) fn keep(&mut self, sample: RawSample) {
        if sample.reason != Reason::Slowest {
            self.kept.push(sample);
        } else if self.slow.len() < self.slowest {
            self.slow.push(sample);
        } else {
            // While response times keep rising, only the slowest of this second are kept.
            let time = |sample: &RawSample| sample.finish_ns - sample.intended_ns;
            if let Some(fastest) = self.slow.iter_mut().min_by_key(|sample| time(sample)) {
                *fastest = sample;
            }
        }
    }

    /// Moves the samples of this second to `samples`.
    pub(super) fn hand_over(&mut self, samples: &mut Vec<RawSample>) {
        samples.append(&mut self.kept);
        samples.append(&mut self.slow);
    }
}
