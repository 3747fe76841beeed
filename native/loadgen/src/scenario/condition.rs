//! Compiled conditions: of checks, branches and loops.

use std::cmp::Ordering;
use std::sync::Arc;

use regex::Regex;
use schema::Schema;
use serde_json::Value as Json;

use crate::pattern;
use crate::plan::Template;
use crate::plan::program::{self, Operator};

use super::value::{Seen, find};
use super::{Answer, Needs, Scope, Subject, render};

/// Levels of `all`, `either` and `negation`; a plan's conditions with more are refused.
const MOST_LEVELS: usize = 100;
/// Comparisons of one condition.
const MOST_COMPARISONS: usize = 1000;

/// A condition.
#[derive(Debug, Clone)]
pub enum Condition {
    /// Compares a subject.
    Comparison(Box<Comparison>),
    /// True if every part is.
    All(Vec<Condition>),
    /// True if at least one part is.
    Either(Vec<Condition>),
    /// True if its part is not.
    Negation(Box<Condition>),
}

/// A comparison.
#[derive(Debug, Clone)]
pub struct Comparison {
    subject: Subject,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Exists,
    Missing,
    Equals { operand: Operand, expected: bool },
    Order { operand: Operand, accepts: fn(Ordering) -> bool },
    In { operands: Vec<Json>, expected: bool },
    Contains { operand: Operand, expected: bool },
    Matches { regex: Regex, expected: bool },
    Conforms(Arc<Schema>),
}

#[derive(Debug, Clone)]
enum Operand {
    Json(Json),
    /// Rendered anew each time.
    Text(Template),
}

impl Condition {
    /// Compiles a condition.
    ///
    /// # Errors
    /// A message that says which part cannot be used.
    pub fn new(condition: &program::Condition) -> Result<Condition, String> {
        Condition::compiled(condition, MOST_LEVELS, &mut 0)
    }

    fn compiled(condition: &program::Condition, levels: usize, count: &mut usize) -> Result<Condition, String> {
        let Some(levels) = levels.checked_sub(1) else {
            return Err(format!("a condition has more than {MOST_LEVELS} levels"));
        };
        let mut all = |parts: &[program::Condition]| -> Result<Vec<Condition>, String> {
            parts.iter().map(|part| Condition::compiled(part, levels, count)).collect()
        };
        Ok(match condition {
            program::Condition::All { parts } => Condition::All(all(parts)?),
            program::Condition::Either { parts } => Condition::Either(all(parts)?),
            program::Condition::Negation { part } => {
                Condition::Negation(Box::new(Condition::compiled(part, levels, count)?))
            }
            program::Condition::Comparison { subject, operator, operand, template } => {
                *count += 1;
                if *count > MOST_COMPARISONS {
                    return Err(format!("a condition has more than {MOST_COMPARISONS} comparisons"));
                }
                let test = Test::new(*operator, operand, template.as_ref())?;
                Condition::Comparison(Box::new(Comparison { subject: Subject::new(subject)?, test }))
            }
        })
    }

    /// What must be kept of the response.
    #[must_use]
    pub fn needs(&self) -> Needs {
        match self {
            Condition::Comparison(comparison) => comparison.subject.needs(),
            Condition::All(parts) | Condition::Either(parts) => {
                parts.iter().fold(Needs::default(), |needs, part| needs.or(part.needs()))
            }
            Condition::Negation(part) => part.needs(),
        }
    }

    /// Whether it is true. Without a response, subjects other than values have no value.
    pub fn holds(&self, answer: Option<&Answer<'_>>, scope: &impl Scope) -> bool {
        match self {
            Condition::Comparison(comparison) => comparison.holds(answer, scope),
            Condition::All(parts) => parts.iter().all(|part| part.holds(answer, scope)),
            Condition::Either(parts) => parts.iter().any(|part| part.holds(answer, scope)),
            Condition::Negation(part) => !part.holds(answer, scope),
        }
    }
}

impl Comparison {
    fn holds(&self, answer: Option<&Answer<'_>>, scope: &impl Scope) -> bool {
        if let Test::Conforms(schema) = &self.test {
            return self.subject.read_json(answer, scope).is_some_and(|json| schema.accepts(&json));
        }
        match self.subject.read(answer, scope) {
            Some(seen) => self.test.accepts(&seen, scope),
            None => matches!(self.test, Test::Missing),
        }
    }
}

impl Test {
    fn new(operator: Operator, operand: &Json, template: Option<&Template>) -> Result<Test, String> {
        let any = || template.map_or_else(|| Operand::Json(operand.clone()), |parts| Operand::Text(parts.clone()));
        if template.is_some()
            && matches!(
                operator,
                Operator::In | Operator::NotIn | Operator::Matches | Operator::NotMatches | Operator::Conforms
            )
        {
            return Err("its operator does not take a text with values".to_owned());
        }
        Ok(match operator {
            Operator::Exists => Test::Exists,
            Operator::Missing => Test::Missing,
            Operator::Eq | Operator::Ne => Test::Equals { operand: any(), expected: operator == Operator::Eq },
            Operator::Lt => Test::Order { operand: any(), accepts: Ordering::is_lt },
            Operator::Le => Test::Order { operand: any(), accepts: Ordering::is_le },
            Operator::Gt => Test::Order { operand: any(), accepts: Ordering::is_gt },
            Operator::Ge => Test::Order { operand: any(), accepts: Ordering::is_ge },
            Operator::In | Operator::NotIn => match operand {
                Json::Array(operands) => Test::In { operands: operands.clone(), expected: operator == Operator::In },
                _ => return Err("the operand of `in` is not a list".to_owned()),
            },
            Operator::Contains | Operator::NotContains => {
                Test::Contains { operand: any(), expected: operator == Operator::Contains }
            }
            Operator::Matches | Operator::NotMatches => match operand {
                Json::String(text) => Test::Matches {
                    regex: pattern::compile(text).map_err(|error| format!("its pattern cannot be used: {error}"))?,
                    expected: operator == Operator::Matches,
                },
                _ => return Err("the operand of `matches` is not a text".to_owned()),
            },
            Operator::Conforms => Test::Conforms(Arc::new(Schema::new(operand)?)),
        })
    }

    fn accepts(&self, seen: &Seen<'_>, scope: &impl Scope) -> bool {
        match self {
            Test::Exists => true,
            Test::Missing | Test::Conforms(_) => false,
            Test::Equals { operand: Operand::Json(json), expected } => seen.equals(json) == *expected,
            Test::Equals { operand: Operand::Text(parts), expected } => {
                (seen.text() == render::text(parts, scope)) == *expected
            }
            Test::Order { operand: Operand::Json(json), accepts } => seen.order(&Seen::of(json)).is_some_and(accepts),
            Test::Order { operand: Operand::Text(parts), accepts } => {
                let (text, other) = (Seen::Text(seen.text()), Seen::Text(render::text(parts, scope).into()));
                text.order(&other).is_some_and(accepts)
            }
            Test::In { operands, expected } => operands.iter().any(|operand| seen.equals(operand)) == *expected,
            Test::Contains { operand: Operand::Json(json), expected } => seen.contains(json) == *expected,
            Test::Contains { operand: Operand::Text(parts), expected } => {
                let part = render::text(parts, scope);
                let holds = match seen {
                    Seen::Json(json) if json.is_array() => json
                        .as_array()
                        .is_some_and(|elements| elements.iter().any(|element| Seen::of(element).text() == part)),
                    _ => find(&seen.text(), &part),
                };
                holds == *expected
            }
            Test::Matches { regex, expected } => regex.is_match(&seen.text()) == *expected,
        }
    }
}
