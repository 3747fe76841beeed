//! Decides whether a full response passes; if not, the failure message. Named checks and extracts are in plans with
//! journeys only.

use std::borrow::Cow;

use regex::Regex;

use crate::decode::Undecodable;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::pattern;
use crate::plan::program;
use crate::plan::{BodyCheck, CheckKind, Part, Step, StepId};
use crate::scenario::{Answer, Condition, Extract, Knowledge, Value};

const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();

/// The endpoint of a step, and the expected response.
#[derive(Debug)]
pub(crate) struct Rules {
    id: StepId,
    /// The endpoint under which it is counted.
    pub(crate) endpoint: usize,
    /// From the actual start to the last byte.
    pub(crate) timeout_ns: u64,
    /// Inclusive ranges.
    expected_statuses: Vec<(u16, u16)>,
    checks: Vec<Check>,
    named_checks: Vec<NamedCheck>,
    extracts: Vec<NamedExtract>,
    /// Its requests hold values of their user.
    pub(crate) has_values: bool,
}

/// A check with a name.
#[derive(Debug)]
struct NamedCheck {
    /// Index into the plan's checks.
    index: usize,
    condition: Option<Condition>,
    counts_only: bool,
}

/// A value to extract.
#[derive(Debug)]
struct NamedExtract {
    extract: Extract,
    has_default: bool,
}

/// The result of judging a response by everything that a step has.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) outcome: Outcome,
    pub(crate) message: Message,
    /// A value without a default was not there.
    pub(crate) lacks_value: bool,
    /// Each named check by its index in the plan, and whether it passed.
    pub(crate) evaluated: Vec<(usize, bool)>,
}

/// A compiled check.
#[derive(Debug)]
enum Check {
    Contains(Box<memchr::memmem::Finder<'static>>),
    Regex(Regex),
}

impl Rules {
    pub(super) fn new(id: StepId, step: &Step) -> Rules {
        Rules {
            id,
            endpoint: step.endpoint,
            timeout_ns: step.timeout_ns,
            expected_statuses: step.expected_statuses.clone(),
            checks: step.checks.iter().map(Check::new).collect(),
            // The plan's check has compiled them, so nothing is left out.
            named_checks: step.named_checks.iter().map(NamedCheck::new).collect(),
            extracts: step.extracts.iter().filter_map(NamedExtract::new).collect(),
            has_values: step.compresses || step.parts().any(|part| matches!(part, Part::Value { .. })),
        }
    }

    /// Judges a response by the status, body checks, named checks and extracts. Adds the extracted values to `values`
    /// by their slot; each extract sees those of the ones before.
    pub(crate) fn judge_all<'a>(
        &self,
        answer: &Answer<'_>,
        is_withheld: bool,
        text: impl FnOnce() -> Result<Cow<'a, [u8]>, Undecodable>,
        knowledge: &Knowledge<'_>,
        values: &mut Vec<(usize, Value)>,
    ) -> Judged {
        let (outcome, message) = self.judge(answer.status, is_withheld, text);
        let mut judged = Judged { outcome, message, lacks_value: false, evaluated: Vec::new() };
        for (check, number) in self.named_checks.iter().zip(0..) {
            let holds = check.condition.as_ref().is_some_and(|condition| condition.holds(Some(answer), knowledge));
            judged.evaluated.push((check.index, holds));
            if !holds && !check.counts_only {
                judged.fail(Message::NamedCheck { step: self.id, check: number });
            }
        }
        for (extract, number) in self.extracts.iter().zip(0..) {
            let value = extract.extract.value(answer, &knowledge.with_staged(values));
            if value == Value::Unset && !extract.has_default {
                judged.lacks_value = true;
                judged.fail(Message::NothingToExtract { step: self.id, extract: number });
            }
            values.push((extract.extract.slot, value));
        }
        judged
    }

    /// The step's id in the plan.
    pub(crate) fn id(&self) -> StepId {
        self.id
    }

    /// Returns the outcome of a full response. `is_withheld`: a redirect that would have sent a secret to another
    /// origin. `text` returns the text of the body, and is called only if there are checks.
    #[inline]
    pub(crate) fn judge<'a>(
        &self,
        status: u16,
        is_withheld: bool,
        text: impl FnOnce() -> Result<Cow<'a, [u8]>, Undecodable>,
    ) -> (Outcome, Message) {
        if !self.expected_statuses.iter().any(|(low, high)| (*low..=*high).contains(&status)) {
            let message =
                if is_withheld { Message::Withheld { status } } else { Message::Status { status, step: self.id } };
            return (Outcome::UnexpectedStatus, message);
        }
        if self.checks.is_empty() {
            return (Outcome::Ok, Message::None);
        }
        let body = match text() {
            Ok(body) => body,
            Err(Undecodable(coding)) => return (Outcome::CheckFailed, Message::Undecodable { coding }),
        };
        match self.checks.iter().position(|check| !check.holds(&body)) {
            Some(failed) => {
                // Specs have few checks, so a linear search is enough.
                let check = u32::try_from(failed).unwrap_or(0);
                (Outcome::CheckFailed, Message::Check { step: self.id, check })
            }
            None => (Outcome::Ok, Message::None),
        }
    }
}

impl NamedCheck {
    fn new(check: &program::NamedCheck) -> NamedCheck {
        let condition = Condition::new(&check.condition).ok();
        NamedCheck { index: check.check, condition, counts_only: check.counts_only }
    }
}

impl NamedExtract {
    fn new(extract: &program::Extract) -> Option<NamedExtract> {
        let has_default = extract.has_default;
        Extract::new(extract).ok().map(|extract| NamedExtract { extract, has_default })
    }
}

impl Judged {
    fn fail(&mut self, message: Message) {
        if self.outcome == Outcome::Ok {
            (self.outcome, self.message) = (Outcome::CheckFailed, message);
        }
    }
}

impl Check {
    fn new(check: &BodyCheck) -> Check {
        let contains = |text: &str| Check::Contains(Box::new(memchr::memmem::Finder::new(text).into_owned()));
        match check.kind {
            CheckKind::Contains => contains(&check.pattern),
            // The plan was checked, so the pattern compiles; otherwise it would match nothing, which shows in the
            // results.
            CheckKind::Regex => pattern::compile(&check.pattern).map_or_else(|_| contains("\u{0}"), Check::Regex),
        }
    }

    fn holds(&self, body: &[u8]) -> bool {
        match self {
            Check::Contains(finder) if finder.find(body).is_some() => true,
            // In the text, bytes that are not UTF-8 are replacement characters.
            Check::Contains(finder) => {
                memchr::memmem::find(finder.needle(), REPLACEMENT).is_some()
                    && finder.find(String::from_utf8_lossy(body).as_bytes()).is_some()
            }
            Check::Regex(regex) => regex.is_match(&String::from_utf8_lossy(body)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use serde::Deserialize;
    use serde_json::Value;

    #[derive(Deserialize)]
    struct Cases {
        responses: Vec<Case>,
        timeouts: Vec<(u64, String)>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        expected: Value,
        checks: Value,
        status: u16,
        body_hex: String,
        outcome: String,
        message: String,
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digits).collect()
    }

    /// The asyncio engine's tests read the same file.
    #[test]
    fn responses_are_judged_as_the_other_engine_judges_them() {
        let cases: Cases = serde_json::from_str(include_str!("../../../../tests/vectors/outcomes.json")).unwrap();
        assert!(cases.responses.len() > 20 && cases.timeouts.len() > 5);
        for case in cases.responses {
            let plan = fixtures::plan(|document| {
                document["flows"][0]["steps"][0]["expected_statuses"] = case.expected;
                document["flows"][0]["steps"][0]["checks"] = case.checks;
            });
            let (id, step) = plan.steps().next().unwrap();
            let (outcome, message) =
                Rules::new(id, step).judge(case.status, false, || Ok(bytes(&case.body_hex).into()));
            assert_eq!((outcome.name(), message.text(&plan)), (case.outcome.as_str(), case.message), "{}", case.name);
        }
        let plan = fixtures::plan(|_| {});
        for (timeout_ns, message) in cases.timeouts {
            assert_eq!(Message::Timeout { timeout_ns }.text(&plan), message);
        }
    }
}
