//! What one user knows: its variables, its numbers, and the secrets of the run.

use crate::data::{Data, Numbers};
use crate::random;
use crate::template::{Secrets, Values};

use super::{Scope, Value};

const UNSET: Value = Value::Unset;

/// What a user knows while a request is rendered or a response judged.
#[derive(Debug, Clone, Copy)]
pub struct Knowledge<'a> {
    /// The variables; empty for a user of an endpoint.
    pub slots: &'a [Value],
    /// The 1-based number of the user.
    pub user: u64,
    /// Number of backward jumps so far in the iteration.
    pub round: u64,
    /// Seed, number of the iteration, and wall time.
    pub values: Values,
    /// Test data.
    pub data: &'a Data,
    /// The values of all secret slots.
    pub secrets: &'a Secrets,
}

/// What a user knows while the values of a response are extracted one by one.
#[derive(Debug, Clone, Copy)]
pub struct Staged<'a> {
    knowledge: Knowledge<'a>,
    /// New values of variables, the newest last.
    values: &'a [(usize, Value)],
}

impl<'a> Knowledge<'a> {
    /// The same with new values of variables, the newest last.
    #[must_use]
    pub fn with_staged(&self, values: &'a [(usize, Value)]) -> Staged<'a> {
        Staged { knowledge: *self, values }
    }
}

impl Scope for Staged<'_> {
    fn slot(&self, slot: usize) -> &Value {
        let newest = self.values.iter().rev().find(|(staged, _)| *staged == slot);
        newest.map_or_else(|| self.knowledge.slot(slot), |(_, value)| value)
    }

    fn cell(&self, table: usize, column: usize, place: u64) -> Value {
        self.knowledge.cell(table, column, place)
    }

    fn user(&self) -> u64 {
        self.knowledge.user()
    }

    fn iteration(&self) -> u64 {
        self.knowledge.iteration()
    }

    fn draw(&self, place: u64) -> u64 {
        self.knowledge.draw(place)
    }

    fn values(&self) -> Values {
        self.knowledge.values()
    }

    fn secret(&self, slot: &str) -> &str {
        self.knowledge.secret(slot)
    }
}

impl Scope for Knowledge<'_> {
    fn slot(&self, slot: usize) -> &Value {
        self.slots.get(slot).unwrap_or(&UNSET)
    }

    fn cell(&self, table: usize, column: usize, place: u64) -> Value {
        let of = Numbers { user: self.user, iteration: self.values.number, is_lasting: true };
        self.data.cell(self.values.seed, table, column, of, || self.draw(place))
    }

    fn user(&self) -> u64 {
        self.user
    }

    fn iteration(&self) -> u64 {
        self.values.number
    }

    fn draw(&self, place: u64) -> u64 {
        random::draw_at(self.values.seed, self.values.number, place, self.round)
    }

    fn values(&self) -> Values {
        self.values
    }

    fn secret(&self, slot: &str) -> &str {
        self.secrets.get(slot).map_or("", String::as_str)
    }
}
