//! Validates the programs of flows: a jump leads forward, a loop back, and every index exists.

use super::check::{ensure, invalid};
use super::program::{Condition, Distribution, Op};
use super::{Encoding, Flow, Part, Plan, PlanError, Source};
use crate::scenario;

/// More operations, counters or variables than any scenario has.
const MOST: usize = 100_000;
/// Characters of a random text.
const LONGEST_STRING: u64 = 1_000_000;
const LONGEST_THINK_NS: u64 = 3_600_000_000_000;

impl Plan {
    /// Checks the program of a flow, its variables, and what its steps refer to.
    pub(super) fn check_program(&self, flow: &Flow, path: &str) -> Result<(), PlanError> {
        ensure(flow.program.len() <= MOST, path, "its program has more than 100,000 operations")?;
        ensure(flow.counters as usize <= MOST, path, "it has more than 100,000 loop counters")?;
        ensure(flow.slots.len() <= MOST, path, "it has more than 100,000 variables")?;
        for (position, op) in flow.program.iter().enumerate() {
            check_op(flow, op, position, &format!("{path}.program[{position}]"))?;
        }
        ensure(self.data.is_empty(), "data", "this engine does not read test data yet")?;
        for step in &flow.steps {
            for part in step.parts() {
                check_value(flow, part, path)?;
            }
            ensure(step.target.iter().all(is_safe), path, "a value of a target is written as JSON")?;
            for check in &step.named_checks {
                check_condition(&check.condition, path)?;
            }
            for extract in &step.extracts {
                scenario::Extract::new(extract)
                    .map_err(|why| invalid(path, &format!("an extract cannot be used: {why}")))?;
            }
            let conditions = step.conditions().chain(flow.conditions());
            for part in conditions.flat_map(Condition::parts) {
                check_value(flow, part, path)?;
            }
            let has_checks = step.named_checks.iter().all(|check| check.check < self.checks.len());
            ensure(has_checks, path, "a check of a step does not exist")?;
            let has_slots = step.extracts.iter().all(|extract| extract.slot < flow.slots.len());
            ensure(has_slots, path, "a variable of a step does not exist")?;
        }
        Ok(())
    }
}

/// Checks that a condition compiles, which bounds its depth.
fn check_condition(condition: &Condition, path: &str) -> Result<(), PlanError> {
    scenario::Condition::new(condition)
        .map(|_| ())
        .map_err(|why| invalid(path, &format!("a condition cannot be used: {why}")))
}

/// Checks what a value refers to.
fn check_value(flow: &Flow, part: &Part, path: &str) -> Result<(), PlanError> {
    let Part::Value { source, .. } = part else { return Ok(()) };
    match source {
        Source::Slot { slot } => ensure(*slot < flow.slots.len(), path, "a variable does not exist"),
        Source::RandomInt { low, high, .. } => ensure(low <= high, path, "a random number has no range"),
        Source::RandomString { length, .. } => ensure(*length <= LONGEST_STRING, path, "a random text is too long"),
        Source::RandomChoice { choices, .. } => ensure(!choices.is_empty(), path, "a random choice has no texts"),
        _ => Ok(()),
    }
}

/// Whether a value cannot end the target that it is in.
fn is_safe(part: &Part) -> bool {
    let Part::Value { encoding, .. } = part else { return true };
    matches!(encoding, Encoding::Percent | Encoding::Target)
}

fn check_op(flow: &Flow, op: &Op, position: usize, path: &str) -> Result<(), PlanError> {
    let is_later = |to: u32| to as usize > position && to as usize <= flow.program.len();
    let later = |to: u32| ensure(is_later(to), path, "it does not lead to a later operation");
    match op {
        Op::Request { step, .. } => ensure((*step as usize) < flow.steps.len(), path, "its step does not exist"),
        Op::Think { distribution, first_ns, second_ns, .. } => {
            let most = first_ns.max(second_ns);
            ensure(*most <= LONGEST_THINK_NS, path, "its think time is more than an hour")?;
            let is_ordered = *distribution != Distribution::Uniform || first_ns <= second_ns;
            ensure(is_ordered, path, "its think times are not in order")
        }
        Op::Jump { to } => later(*to),
        Op::Unless { condition, to } => {
            later(*to)?;
            check_condition(condition, path)
        }
        Op::Loop { counter, times, to } => {
            ensure(*counter < flow.counters, path, "its counter does not exist")?;
            ensure(*times > 0, path, "it repeats 0 times")?;
            ensure(*to as usize <= position, path, "it does not lead back")
        }
        Op::Choose { weights, to, .. } => {
            ensure(!to.is_empty() && weights.len() == to.len(), path, "its branches and weights do not match")?;
            let sum = weights.iter().try_fold(0_u64, |sum, weight| sum.checked_add(*weight));
            let sum = sum.ok_or_else(|| invalid(path, "its weights add up to too much"))?;
            ensure(sum > 0, path, "all its weights are 0")?;
            to.iter().try_for_each(|to| later(*to))
        }
    }
}
