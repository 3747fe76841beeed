//! The program of a flow, ready to be run. A flow without one runs its steps in order, each after a full response to
//! the one before.

use crate::plan::Flow;
use crate::plan::program::{self, Distribution, OnFail};
use crate::scenario::Condition;

/// A flow with its program.
#[derive(Debug)]
pub(super) struct Journey {
    /// Those before the first iteration of a user, if any, then those of an iteration.
    pub(super) ops: Vec<Op>,
    /// Where an iteration begins.
    pub(super) start: usize,
    /// By step: it belongs to what a user does before its first iteration.
    pub(super) is_before: Vec<bool>,
    /// The flow's first step in the plan.
    pub(super) first_step: u32,
    /// Number of its loop counters.
    pub(super) counters: usize,
    /// Number of its variables.
    pub(super) slots: usize,
    /// Those that are secret.
    pub(super) secret_slots: Vec<usize>,
    pub(super) uses_cookies: bool,
    pub(super) keeps_session: bool,
    pub(super) pace_ns: u64,
}

/// An operation; positions are indices into the program.
#[derive(Debug)]
pub(super) enum Op {
    Request { step: u32, on_error: OnFail, on_fail: OnFail },
    Think { distribution: Distribution, first_ns: u64, second_ns: u64, place: u64 },
    Jump { to: usize },
    Unless { condition: Option<Condition>, to: usize },
    Loop { counter: usize, times: u64, to: usize },
    Choose { weights: Vec<u64>, to: Vec<usize>, place: u64 },
}

impl Journey {
    /// Prepares a flow of a checked plan, whose first step has this number.
    pub(super) fn new(flow: &Flow, first_step: u32) -> Journey {
        let in_order = (0_u32..).zip(&flow.steps).map(|(position, _)| Op::Request {
            step: first_step + position,
            on_error: OnFail::EndIteration,
            on_fail: OnFail::Continue,
        });
        let mut ops: Vec<Op> = flow.before_user.iter().map(|op| Op::new(op, first_step, 0)).collect();
        let is_before = (0_u32..).zip(&flow.steps).map(|(position, _)| {
            let sends = |op: &program::Op| matches!(op, program::Op::Request { step, .. } if *step == position);
            flow.before_user.iter().any(sends)
        });
        let is_before = is_before.collect();
        if !ops.is_empty() {
            ops.push(Op::Jump { to: ops.len() + 1 + flow.program.len() });
        }
        let start = ops.len();
        if flow.program.is_empty() {
            ops.extend(in_order);
        } else {
            ops.extend(flow.program.iter().map(|op| Op::new(op, first_step, start)));
        }
        Journey {
            ops,
            start,
            is_before,
            first_step,
            counters: flow.counters as usize,
            slots: flow.slots.len(),
            secret_slots: (0..flow.slots.len()).filter(|slot| flow.slots[*slot].is_secret).collect(),
            uses_cookies: flow.uses_cookies,
            keeps_session: flow.keeps_session,
            pace_ns: flow.pace_ns,
        }
    }
}

impl Op {
    /// Prepares an operation of a program whose first one is at `start`.
    fn new(op: &program::Op, first_step: u32, start: usize) -> Op {
        match op {
            program::Op::Request { step, on_error, on_fail } => {
                Op::Request { step: first_step + step, on_error: *on_error, on_fail: *on_fail }
            }
            program::Op::Think { distribution, first_ns, second_ns, place } => {
                Op::Think { distribution: *distribution, first_ns: *first_ns, second_ns: *second_ns, place: *place }
            }
            program::Op::Jump { to } => Op::Jump { to: start + *to as usize },
            // The plan's check has compiled it, so there is one.
            program::Op::Unless { condition, to } => {
                Op::Unless { condition: Condition::new(condition).ok(), to: start + *to as usize }
            }
            program::Op::Loop { counter, times, to } => {
                Op::Loop { counter: *counter as usize, times: *times, to: start + *to as usize }
            }
            program::Op::Choose { weights, to, place } => {
                let to = to.iter().map(|to| start + *to as usize).collect();
                Op::Choose { weights: weights.clone(), to, place: *place }
            }
        }
    }
}
