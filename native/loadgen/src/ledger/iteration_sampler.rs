//! Selects the iterations to sample. Iterations of the warm-up are not sampled.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::raw_sample::{RawIteration, Reason};
use crate::plan::Plan;

/// Selects the iterations to sample.
#[derive(Debug)]
pub(super) struct IterationSampler {
    slowest: usize,
    /// By flow; None without a program.
    flows: Vec<Option<Wanted>>,
    kept: Vec<RawIteration>,
    slow: Vec<RawIteration>,
}

/// The samples of one flow that are still wanted.
#[derive(Debug)]
struct Wanted {
    first: u64,
    failed: u64,
    /// The longest times so far.
    slow_times: BinaryHeap<Reverse<u64>>,
}

impl IterationSampler {
    pub(super) fn new(plan: &Plan) -> IterationSampler {
        let sampling = &plan.sampling;
        let wanted = |has_program: bool| {
            has_program.then(|| Wanted {
                first: sampling.first_iterations,
                failed: sampling.failed_iterations,
                slow_times: BinaryHeap::new(),
            })
        };
        IterationSampler {
            slowest: sampling.slowest_iterations,
            flows: plan.flows.iter().map(|flow| wanted(!flow.program.is_empty())).collect(),
            kept: Vec::new(),
            slow: Vec::new(),
        }
    }

    /// Whether an iteration of a flow that begins now may be sampled when it has ended.
    pub(super) fn may_want(&self, flow: usize, warm_up: bool) -> bool {
        let wants = |wanted: &Wanted| wanted.first > 0 || wanted.failed > 0 || self.slowest > 0;
        !warm_up && self.flows[flow].as_ref().is_some_and(wants)
    }

    /// Whether to sample an iteration that has ended, and why. `active`: its time without think time, if it was completed.
    pub(super) fn wants(&mut self, flow: usize, has_failure: bool, active: Option<u64>) -> Option<Reason> {
        let wanted = self.flows[flow].as_mut()?;
        let times = &mut wanted.slow_times;
        let is_slow =
            |time: &u64| times.len() < self.slowest || times.peek().is_some_and(|Reverse(least)| time > least);
        let slow = active.filter(|_| self.slowest > 0).filter(is_slow);
        if let Some(time) = slow {
            times.push(Reverse(time));
            if times.len() > self.slowest {
                times.pop();
            }
        }
        if wanted.first > 0 {
            wanted.first -= 1;
            return Some(Reason::First);
        }
        if has_failure && wanted.failed > 0 {
            wanted.failed -= 1;
            return Some(Reason::Failure);
        }
        slow.map(|_| Reason::Slowest)
    }

    pub(super) fn keep(&mut self, sample: RawIteration) {
        if sample.reason != Reason::Slowest {
            self.kept.push(sample);
            return;
        }
        // While times keep rising, only the slowest of this second are kept.
        let of_flow = self.slow.iter_mut().filter(|other| other.flow == sample.flow);
        let others: Vec<&mut RawIteration> = of_flow.collect();
        if others.len() < self.slowest {
            self.slow.push(sample);
        } else if let Some(fastest) = others.into_iter().min_by_key(|other| other.active_ns()) {
            *fastest = sample;
        }
    }

    /// Moves the samples of this second to `samples`.
    pub(super) fn hand_over(&mut self, samples: &mut Vec<RawIteration>) {
        samples.append(&mut self.kept);
        samples.append(&mut self.slow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use serde_json::json;

    fn sampler(first: u64, failed: u64, slowest: u64) -> IterationSampler {
        IterationSampler::new(&fixtures::plan(|document| {
            fixtures::lanes(document, 2);
            document["flows"][0]["program"] = json!([fixtures::request(0)]);
            document["sampling"] =
                json!({"first_iterations": first, "failed_iterations": failed, "slowest_iterations": slowest});
        }))
    }

    #[test]
    fn only_iterations_of_programs_outside_the_warm_up_may_be_wanted() {
        let mut sampler = sampler(1, 0, 0);
        assert_eq!(
            [sampler.may_want(0, false), sampler.may_want(0, true), sampler.may_want(1, false)],
            [true, false, false]
        );
        assert_eq!(sampler.wants(0, false, Some(7)), Some(Reason::First));
        assert!(!sampler.may_want(0, false));
        assert_eq!((sampler.wants(0, true, None), sampler.wants(1, true, Some(9))), (None, None));
    }

    #[test]
    fn the_first_then_failures_then_the_slowest_are_wanted() {
        let mut sampler = sampler(1, 1, 2);
        let ends =
            [(false, Some(50)), (true, None), (true, None), (false, Some(10)), (false, Some(20)), (true, Some(20))];
        let wanted = ends.map(|(has_failure, active)| sampler.wants(0, has_failure, active));
        let slowest = Some(Reason::Slowest);
        assert_eq!(wanted, [Some(Reason::First), Some(Reason::Failure), None, slowest, slowest, None]);
    }

    #[test]
    fn of_one_second_the_slowest_are_kept() {
        let mut sampler = sampler(0, 0, 2);
        for finish_ns in [10, 20, 30] {
            sampler.keep(RawIteration { finish_ns, ..RawIteration::ended(Reason::Slowest) });
        }
        sampler.keep(RawIteration::ended(Reason::Failure));
        let mut samples = Vec::new();
        sampler.hand_over(&mut samples);
        assert_eq!(samples.iter().map(|sample| sample.finish_ns).collect::<Vec<u64>>(), [0, 30, 20]);
    }
}
