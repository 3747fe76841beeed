//! Compiled extracts: the value of a slot after a response.

use crate::plan::program;

use super::{Answer, Needs, Scope, Subject, Value};

/// An extract.
#[derive(Debug, Clone)]
pub struct Extract {
    /// The slot that takes the value.
    pub slot: usize,
    subject: Subject,
    default: Value,
}

impl Extract {
    /// Compiles an extract.
    ///
    /// # Errors
    /// As [`Subject::new`].
    pub fn new(extract: &program::Extract) -> Result<Extract, String> {
        let default = if extract.has_default { Value::from(extract.default.clone()) } else { Value::Unset };
        Ok(Extract { slot: extract.slot, subject: Subject::new(&extract.subject)?, default })
    }

    /// What must be kept of the response.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.subject.needs()
    }

    /// The value, or the default; [`Value::Unset`] without either: nothing to extract.
    #[must_use]
    pub fn value(&self, answer: &Answer<'_>, scope: &impl Scope) -> Value {
        self.subject.read(Some(answer), scope).map_or_else(|| self.default.clone(), Value::from)
    }
}
