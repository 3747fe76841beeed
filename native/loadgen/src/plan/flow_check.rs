//! Validates scenarios: programs, slots, conditions, extracts, values and test data. After it, every index is in range,
//! every program ends or waits, and everything that is compiled compiles.

use crate::random::MOST_PLACES;
use crate::scenario;

use super::check::{ensure, invalid};
use super::program::{Condition, DataTable, Distribution, Op, Pick, Subject, SubjectKind};
use super::{Encoding, Flow, Part, Plan, PlanError, Source, Step};

/// Names of steps and checks.
const MOST_NAMES: usize = 1000;
const MOST_SLOTS: usize = 1000;
const MOST_COUNTERS: u32 = 1000;
const MOST_OPERATIONS: usize = 20_000;
const MOST_TIMES: u64 = 1_000_000;
/// Rounds of a loop in one iteration, those of the loops around it included.
const MOST_ROUNDS: u64 = 1_000_000_000;
const LONGEST_THINK_NS: u64 = 3_600_000_000_000;
const LONGEST_RANDOM_STRING: u64 = 10_000;
const MOST_TABLES: usize = 1000;
const MOST_COLUMNS: usize = 1000;
const MOST_ROWS: u64 = 1 << 40;
/// Ten years.
const MOST_PACE_NS: u64 = 315_360_000_000_000_000;

/// What a value may refer to.
struct Known<'a> {
    slots: usize,
    data: &'a [DataTable],
}

/// Where a value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spot {
    Target,
    Header,
    Text,
}

impl Plan {
    pub(super) fn check_scenarios(&self) -> Result<(), PlanError> {
        ensure(self.checks.len() <= MOST_NAMES, "checks", "there are more than 1,000")?;
        let is_known = self.checks.iter().all(|check| check.endpoint < self.endpoints.len());
        ensure(is_known, "checks", "an endpoint of one does not exist")?;
        self.check_data()?;
        let mut steps = 0;
        for (index, flow) in self.flows.iter().enumerate() {
            let path = format!("flows[{index}]");
            steps += if flow.program.is_empty() { 0 } else { flow.steps.len() };
            ensure(flow.slots.len() <= MOST_SLOTS, &path, "it has more than 1,000 slots")?;
            ensure(flow.counters <= MOST_COUNTERS, &path, "it has more than 1,000 counters")?;
            ensure(flow.pace_ns <= MOST_PACE_NS, &path, "its pace is more than ten years")?;
            let known = Known { slots: flow.slots.len(), data: &self.data };
            for (position, step) in flow.steps.iter().enumerate() {
                self.check_values(step, &known, &format!("{path}.steps[{position}]"))?;
            }
            check_program(flow, &known, &path)?;
        }
        ensure(steps <= MOST_NAMES, "flows", "the scenarios have more than 1,000 steps")
    }

    fn check_data(&self) -> Result<(), PlanError> {
        ensure(self.data.len() <= MOST_TABLES, "data", "there are more than 1,000 tables")?;
        for (index, table) in self.data.iter().enumerate() {
            let path = format!("data[{index}]");
            ensure((1..=MOST_ROWS).contains(&table.rows), &path, "its number of rows is out of range")?;
            ensure((1..=MOST_COLUMNS).contains(&table.columns.len()), &path, "its number of columns is out of range")?;
            ensure(!table.path.is_empty(), &path, "it has no file")?;
        }
        Ok(())
    }

    /// Checks what a step sends and what it reads from a response.
    fn check_values(&self, step: &Step, known: &Known<'_>, path: &str) -> Result<(), PlanError> {
        known.check_template(&step.target, Spot::Target, path)?;
        for header in &step.headers {
            known.check_template(&header.value, Spot::Header, path)?;
        }
        known.check_template(step.body.as_deref().unwrap_or(&[]), Spot::Text, path)?;
        ensure(step.named_checks.len() <= MOST_NAMES, path, "it has more than 1,000 checks")?;
        for check in &step.named_checks {
            ensure(check.check < self.checks.len(), path, "a check of it does not exist")?;
            known.check_condition(&check.condition, path)?;
        }
        ensure(step.extracts.len() <= MOST_SLOTS, path, "it has more than 1,000 extracts")?;
        for extract in &step.extracts {
            ensure(extract.slot < known.slots, path, "the slot of an extract does not exist")?;
            known.check_subject(&extract.subject, path)?;
            scenario::Extract::new(extract).map_err(|error| invalid(path, &format!("an extract: {error}")))?;
        }
        Ok(())
    }
}

impl Known<'_> {
    fn check_template(&self, parts: &[Part], spot: Spot, path: &str) -> Result<(), PlanError> {
        parts.iter().try_for_each(|part| self.check_part(part, spot, path))
    }

    fn check_part(&self, part: &Part, spot: Spot, path: &str) -> Result<(), PlanError> {
        let is_text = !matches!(part, Part::Bytes { .. });
        ensure(is_text || spot == Spot::Text, path, "bytes are in a place that holds text")?;
        let Part::Value { source, encoding, .. } = part else { return Ok(()) };
        let is_safe = match spot {
            Spot::Target => matches!(encoding, Encoding::Percent | Encoding::Target),
            Spot::Header => matches!(encoding, Encoding::Percent | Encoding::Target | Encoding::Header),
            Spot::Text => true,
        };
        ensure(is_safe, path, "the encoding of a value does not fit its place")?;
        let is_place = |place: u64| ensure(place < MOST_PLACES, path, "a place is out of range");
        match source {
            Source::Slot { slot } => ensure(*slot < self.slots, path, "the slot of a value does not exist"),
            Source::Data { table, column, place } => {
                let columns = self.data.get(*table).map_or(0, |table| table.columns.len());
                ensure(*column < columns, path, "the table or column of a value does not exist")?;
                is_place(*place)
            }
            Source::User {} | Source::Iteration {} | Source::Now { .. } | Source::Text { .. } => Ok(()),
            Source::Uuid { place } => is_place(place.saturating_add(1)),
            Source::RandomInt { low, high, place } => {
                ensure(low <= high, path, "the range of a random number is empty")?;
                is_place(*place)
            }
            Source::RandomString { length, place } => {
                ensure(*length <= LONGEST_RANDOM_STRING, path, "a random text has more than 10,000 characters")?;
                is_place(*place)
            }
            Source::RandomChoice { choices, place } => {
                ensure(!choices.is_empty(), path, "a random choice has nothing to choose")?;
                is_place(*place)
            }
        }
    }

    fn check_subject(&self, subject: &Subject, path: &str) -> Result<(), PlanError> {
        ensure(subject.pick != Pick::Random || subject.place < MOST_PLACES, path, "a place is out of range")?;
        subject.value.as_ref().map_or(Ok(()), |part| self.check_part(part, Spot::Text, path))
    }

    /// Checks what the parts of a condition refer to, and that it compiles.
    fn check_condition(&self, condition: &Condition, path: &str) -> Result<(), PlanError> {
        scenario::Condition::new(condition).map_err(|error| invalid(path, &error))?;
        comparisons(condition, &mut |subject, template| {
            self.check_subject(subject, path)?;
            self.check_template(template, Spot::Text, path)
        })
    }
}

/// Visits subject and template of every comparison.
fn comparisons(
    condition: &Condition,
    visit: &mut impl FnMut(&Subject, &[Part]) -> Result<(), PlanError>,
) -> Result<(), PlanError> {
    match condition {
        Condition::Comparison { subject, template, .. } => visit(subject, template.as_deref().unwrap_or(&[])),
        Condition::All { parts } | Condition::Either { parts } => {
            parts.iter().try_for_each(|part| comparisons(part, visit))
        }
        Condition::Negation { part } => comparisons(part, visit),
    }
}

fn check_program(flow: &Flow, known: &Known<'_>, flow_path: &str) -> Result<(), PlanError> {
    let program = &flow.program;
    ensure(program.len() <= MOST_OPERATIONS, flow_path, "its program has more than 20,000 operations")?;
    let sends = program.iter().any(|op| matches!(op, Op::Request { .. }));
    ensure(program.is_empty() || sends, flow_path, "its program sends no request")?;
    for (index, op) in program.iter().enumerate() {
        let path = format!("{flow_path}.program[{index}]");
        // The end of the program is a place to continue, too.
        let is_later = |to: u32| {
            let is_later = (to as usize) > index && (to as usize) <= program.len();
            ensure(is_later, &path, "it does not continue later in the program")
        };
        let is_place = |place: u64| ensure(place < MOST_PLACES, &path, "its place is out of range");
        match op {
            Op::Request { step, .. } => {
                ensure((*step as usize) < flow.steps.len(), &path, "its step does not exist")?;
            }
            Op::Think { distribution, first_ns, second_ns, place } => {
                ensure(*first_ns <= LONGEST_THINK_NS, &path, "it thinks for more than one hour")?;
                ensure(*second_ns <= LONGEST_THINK_NS, &path, "it thinks for more than one hour")?;
                let is_range = *distribution != Distribution::Uniform || first_ns <= second_ns;
                ensure(is_range, &path, "its range of times is empty")?;
                is_place(place.saturating_add(1))?;
            }
            Op::Jump { to } => is_later(*to)?,
            Op::Unless { condition, to } => {
                is_later(*to)?;
                known.check_condition(condition, &path)?;
                comparisons(condition, &mut |subject, _| {
                    ensure(subject.kind == SubjectKind::Value, &path, "its condition needs a response")
                })?;
            }
            Op::Loop { counter, times, to } => {
                ensure(*counter < flow.counters, &path, "its counter does not exist")?;
                ensure((1..=MOST_TIMES).contains(times), &path, "its number of rounds is out of range")?;
                ensure((*to as usize) <= index, &path, "it does not jump back")?;
            }
            Op::Choose { weights, to, place } => {
                ensure(!to.is_empty() && to.len() == weights.len(), &path, "its weights do not fit its branches")?;
                let total = weights.iter().try_fold(0_u64, |total, weight| total.checked_add(*weight));
                ensure(total.is_some() && !weights.contains(&0), &path, "a weight is 0, or they add up to too much")?;
                to.iter().try_for_each(|to| is_later(*to))?;
                is_place(*place)?;
            }
        }
    }
    check_loops(flow, flow_path)
}

/// Checks that loops end. A loop counts with a counter of its own; other operations, whose `times` is 1, may only set
/// that counter to 0, and only after the loop.
fn check_loops(flow: &Flow, flow_path: &str) -> Result<(), PlanError> {
    let mut is_used = vec![false; flow.counters as usize];
    let mut loops = Vec::new();
    for (index, op) in flow.program.iter().enumerate() {
        let Op::Loop { counter, times, to } = op else { continue };
        let path = format!("{flow_path}.program[{index}]");
        let was_used = std::mem::replace(&mut is_used[*counter as usize], true);
        if *times > 1 {
            ensure(!was_used, &path, "its counter is used before it")?;
            loops.push((*to as usize, index, *times));
        }
    }
    ensure(loops.len() <= MOST_COUNTERS as usize, flow_path, "it has more than 1,000 loops")?;
    for (begin, end, times) in &loops {
        let waits = flow.program[*begin..*end].iter().any(|op| matches!(op, Op::Request { .. } | Op::Think { .. }));
        let path = format!("{flow_path}.program[{end}]");
        ensure(waits, &path, "its loop neither sends nor thinks")?;
        let around = loops.iter().filter(|(other, last, _)| last > end && other <= end);
        let rounds = around.fold(*times, |rounds, (_, _, times)| rounds.saturating_mul(*times));
        ensure(rounds <= MOST_ROUNDS, &path, "it has more than 1,000,000,000 rounds in one iteration")?;
    }
    Ok(())
}
