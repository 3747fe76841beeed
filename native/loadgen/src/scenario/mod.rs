//! What a scenario computes from responses and variables: conditions, extracts, cookies, and the text of values.
//! Without sockets, clocks and users; identical to `atm.engine` in Python (`tests/vectors/evaluation.json`).
//!
//! # Use
//!
//! Compile once per plan, evaluate per response:
//!
//! ```ignore
//! let condition = Condition::new(&check.condition)?;         // paths, patterns and schemas compiled
//! let extract = Extract::new(&step.extracts[0])?;
//! let answer = Answer::new(status, response_time_ns, &exchanged);
//! let has_passed = condition.holds(Some(&answer), &scope);
//! let value = extract.value(&answer, &scope);                // Value::Unset: missing, no default
//! render::append(&template, &scope, Shown::Real, &mut bytes);
//! ```
//!
//! [`Needs`] says what must be kept of a response: its headers (also for HTTP/2), its body.
//! `scope` gives variables, cells and draws; the user implements it. Nothing here fails at run time: what a hostile
//! response does not have is no value, and the condition is false.
//!
//! - [`value`]: values, written forms, comparison; [`answer`], [`node`]: one response;
//! - [`subject`], [`path`], [`condition`], [`extract`]: compiled parts of the plan;
//! - [`knowledge`]: what one user knows; [`filters`], [`render`]: the text of a value at its place;
//! - [`cookies`], [`set_cookie`]: the jar of a user (RFC 6265).

pub mod answer;
pub mod condition;
pub mod cookies;
pub mod extract;
pub mod filters;
pub mod knowledge;
pub mod node;
pub mod path;
pub mod render;
pub mod set_cookie;
pub mod subject;
pub mod value;

use crate::template::Values;

pub use answer::Answer;
pub use condition::Condition;
pub use cookies::{Jar, Place};
pub use extract::Extract;
pub use knowledge::Knowledge;
pub use render::{Shown, append};
pub use subject::Subject;
pub use value::{Seen, Value};

/// What a user knows while a request is rendered or a response judged.
pub trait Scope {
    /// The content of a slot.
    fn slot(&self, slot: usize) -> &Value;

    /// A cell of the current row of a data table, or per use of the row drawn at `place`; unset without a row.
    fn cell(&self, table: usize, column: usize, place: u64) -> Value;

    /// The 1-based number of the user.
    fn user(&self) -> u64;

    /// The 1-based number of the iteration.
    fn iteration(&self) -> u64;

    /// `random::draw_at` of the iteration and its current round.
    fn draw(&self, place: u64) -> u64;

    /// The seed, the request's number and the wall time of its rendering.
    fn values(&self) -> Values;

    /// The value of a secret slot; empty if there is none.
    fn secret(&self, slot: &str) -> &str;
}

/// What must be kept of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Its headers.
    pub headers: bool,
    /// Its body, up to [`answer::MOST_BODY_BYTES`].
    pub body: bool,
}

impl Needs {
    /// What either needs.
    #[must_use]
    pub fn or(self, other: Needs) -> Needs {
        Needs { headers: self.headers || other.headers, body: self.body || other.body }
    }
}

#[cfg(test)]
mod tests;
