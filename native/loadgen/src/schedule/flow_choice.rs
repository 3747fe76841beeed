//! Which flow an iteration runs, by the selection of its lane.

use crate::plan::{Plan, Selection};
use crate::random::{self, Stream};

/// Selects the flow of iteration n, as a position among the lane's flows.
#[derive(Debug, Clone)]
pub(super) enum FlowChoice {
    Only(usize),
    RoundRobin(Vec<usize>),
    /// Flows, and their cumulative weights.
    Weighted(Vec<usize>, Vec<u64>),
    Sequential(Vec<usize>),
}

impl FlowChoice {
    /// The choice of a lane.
    pub(super) fn new(plan: &Plan, lane: usize) -> FlowChoice {
        let lane = &plan.lanes[lane];
        let flows = lane.flows.clone();
        match lane.selection {
            _ if flows.len() == 1 => FlowChoice::Only(flows[0]),
            Selection::RoundRobin => FlowChoice::RoundRobin(flows),
            Selection::Sequential => FlowChoice::Sequential(flows),
            Selection::Weighted => {
                let bounds = flows
                    .iter()
                    .scan(0, |sum, flow| {
                        *sum += plan.flows[*flow].weight;
                        Some(*sum)
                    })
                    .collect();
                FlowChoice::Weighted(flows, bounds)
            }
        }
    }

    /// The flow of iteration `number` of a lane with this seed, in this leg.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // a position among flows
    pub(super) fn flow(&self, seed: u64, number: u64, warm_up: bool, leg: u64) -> usize {
        let in_turn = |count: usize| ((number - 1) % count as u64) as usize;
        match self {
            FlowChoice::Only(flow) => *flow,
            FlowChoice::RoundRobin(flows) => flows[in_turn(flows.len())],
            FlowChoice::Sequential(flows) if warm_up => flows[in_turn(flows.len())],
            FlowChoice::Sequential(flows) => flows[leg as usize],
            FlowChoice::Weighted(flows, bounds) => {
                let total = bounds.last().copied().unwrap_or(1);
                let drawn = random::below(random::draw(seed, number, Stream::Selection), total);
                flows[bounds.partition_point(|bound| *bound <= drawn)]
            }
        }
    }
}
