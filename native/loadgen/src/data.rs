//! Test data of a run: the tables of the plan, and the row of each user, iteration or use. Rows are selected by
//! arithmetic on numbers, so threads share no cursor.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::program::{DataTable, Per};
use crate::plan::{Flow, Part, Plan, PlanError, Source as ValueSource};
use crate::random;
use crate::scenario::Value;
use crate::table::{Cell, Table};

/// Users of the closed model: more than a plan may have.
const MOST_USERS: u64 = 1 << 21;

/// The tables of a plan; none for a plan without test data.
#[derive(Debug, Default)]
pub struct Data {
    sources: Vec<Source>,
    /// By flow: the tables that it uses.
    of_flows: Vec<Vec<usize>>,
}

#[derive(Debug)]
struct Source {
    plan: DataTable,
    table: Table,
    /// By row: an iteration began with it.
    used: Bits,
    /// Per user, by number: the user began with its row.
    begun: Bits,
}

/// Bits that threads set without a lock.
#[derive(Debug)]
struct Bits(Vec<AtomicU64>);

impl Bits {
    fn new(length: u64) -> Bits {
        Bits((0..length.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    /// Sets a bit; returns whether it was set. Beyond the length it never is.
    fn set(&self, index: u64) -> bool {
        let bit = 1 << (index % 64);
        let word = usize::try_from(index / 64).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit != 0)
    }
}

/// Whose row is looked up: 1-based numbers of a user and its iteration.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// The user.
    pub user: u64,
    /// The iteration.
    pub iteration: u64,
    /// The user has several iterations; in the open model each has one.
    pub is_lasting: bool,
}

impl Data {
    /// Maps the tables of a checked plan.
    ///
    /// # Errors
    /// [`PlanError`] if a table cannot be read, or is not the one of the plan.
    pub fn open(plan: &Plan) -> Result<Data, PlanError> {
        let sources = plan.data.iter().map(|source| {
            let invalid = |why: &str| PlanError::Invalid("data".to_owned(), format!("{}: {why}", source.name));
            let table = Table::open(Path::new(&source.path)).map_err(|error| invalid(&error.to_string()))?;
            if table.rows() != source.rows || table.columns() != source.columns.len() {
                return Err(invalid("its table is another one"));
            }
            let users = if source.per == Per::User { MOST_USERS } else { 0 };
            let (used, begun) = (Bits::new(source.rows), Bits::new(users));
            Ok(Source { plan: source.clone(), table, used, begun })
        });
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let of_flows = if sources.is_empty() { Vec::new() } else { plan.flows.iter().map(tables_of).collect() };
        Ok(Data { sources, of_flows })
    }

    /// True without test data.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Calls `count` with each table of a flow and the row that an iteration begins with, or per user that its user
    /// begins with, and whether that row was used before. Tables per use are left out.
    pub fn begin(&self, seed: u64, flow: usize, of: Numbers, count: impl FnMut(usize, u64, bool)) {
        self.begin_some(seed, flow, of, |_| true, count);
    }

    /// The same for a user before its first iteration: tables per iteration are left out.
    pub fn begin_user(&self, seed: u64, flow: usize, of: Numbers, count: impl FnMut(usize, u64, bool)) {
        self.begin_some(seed, flow, of, |per| per == Per::User, count);
    }

    fn begin_some(
        &self,
        seed: u64,
        flow: usize,
        of: Numbers,
        begins: impl Fn(Per) -> bool,
        mut count: impl FnMut(usize, u64, bool),
    ) {
        for &table in self.of_flows.get(flow).map_or(&[][..], Vec::as_slice) {
            let Some(source) = self.sources.get(table) else { continue };
            let number = match source.plan.per {
                per if !begins(per) => continue,
                Per::Use => continue,
                Per::Iteration => of.iteration,
                Per::User if of.is_lasting && source.begun.set(of.user) => continue,
                Per::User => of.user,
            };
            let row = random::row_of(source.plan.pick, seed, table as u64, source.plan.rows, number);
            count(table, row, source.used.set(row));
        }
    }

    /// A cell; `draw` gives 64 random bits for a table per use. Unset if the table is damaged there.
    pub fn cell(&self, seed: u64, table: usize, column: usize, of: Numbers, draw: impl FnOnce() -> u64) -> Value {
        let Some(source) = self.sources.get(table) else { return Value::Unset };
        let rows = source.plan.rows;
        let row_of = |number| random::row_of(source.plan.pick, seed, table as u64, rows, number);
        let row = match source.plan.per {
            Per::User => row_of(of.user),
            Per::Iteration => row_of(of.iteration),
            Per::Use => random::below(draw(), rows),
        };
        match source.table.cell(row, column) {
            Some(Cell::Text(text)) => Value::Text(text.to_owned()),
            Some(Cell::Json(text)) => serde_json::from_str(text).map_or(Value::Unset, Value::Json),
            None => Value::Unset,
        }
    }
}

/// The tables that a flow uses.
fn tables_of(flow: &Flow) -> Vec<usize> {
    let tables = flow.parts().filter_map(|part| match part {
        Part::Value { source: ValueSource::Data { table, .. }, .. } => Some(*table),
        _ => None,
    });
    let mut tables: Vec<usize> = tables.collect();
    tables.sort_unstable();
    tables.dedup();
    tables
}
