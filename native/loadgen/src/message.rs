//! Failure messages: stored without formatting, formatted when a second is reported.

use std::sync::Arc;

use crate::plan::{CheckKind, Plan, StepId};
use crate::response::Fault;

const MOST_MESSAGE: usize = 200;
const MOST_PATTERN: usize = 120;

/// A failure message, without values that differ per request, so that failures group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Not failed.
    None,
    /// A status that the step does not expect.
    Status {
        /// The response's status.
        status: u16,
        /// The step.
        step: StepId,
    },
    /// A redirect to another origin, not followed because the request body holds a secret.
    Withheld {
        /// The response's status.
        status: u16,
    },
    /// A failed check.
    Check {
        /// The step.
        step: StepId,
        /// Index into its checks.
        check: u32,
    },
    /// A failed check with a name.
    NamedCheck {
        /// The step.
        step: StepId,
        /// Index into its named checks.
        check: u32,
    },
    /// A value without a default was not in the response.
    NothingToExtract {
        /// The step.
        step: StepId,
        /// Index into its extracts.
        extract: u32,
    },
    /// The body does not match its Content-Encoding, or ends prematurely.
    Undecodable {
        /// The coding, as Content-Encoding names it.
        coding: &'static str,
    },
    /// No full response within the step's timeout.
    Timeout {
        /// The timeout.
        timeout_ns: u64,
    },
    /// The bytes received are not a valid response.
    Fault {
        /// What is wrong.
        fault: Fault,
        /// The plan's limit of a body.
        most_bytes: u64,
    },
    /// A constant text.
    Text(&'static str),
    /// A library's error message.
    Reason(Arc<str>),
}

impl Message {
    /// The text of the message, at most 200 characters.
    #[must_use]
    pub fn text(&self, plan: &Plan) -> String {
        let text = match self {
            Message::None => String::new(),
            Message::Status { status, step } => {
                format!("{status}, expected {}", expected(&plan.step(*step).expected_statuses))
            }
            Message::Withheld { status } => {
                format!("{status} to another origin not followed: the request body holds a secret")
            }
            Message::Check { step, check } => {
                let check = &plan.step(*step).checks[*check as usize];
                let mut pattern = check.pattern.clone();
                if let Some((end, _)) = pattern.char_indices().nth(MOST_PATTERN - 1)
                    && pattern.chars().count() > MOST_PATTERN
                {
                    pattern.truncate(end);
                    pattern.push('…');
                }
                match check.kind {
                    CheckKind::Contains => format!("body does not contain \"{pattern}\""),
                    CheckKind::Regex => format!("body does not match /{pattern}/"),
                }
            }
            Message::NamedCheck { step, check } => {
                let check = &plan.step(*step).named_checks[*check as usize];
                let name = &plan.checks[check.check].name;
                if *name == check.text {
                    format!("check failed: {}", check.text)
                } else {
                    format!("check \"{name}\" failed: {}", check.text)
                }
            }
            Message::NothingToExtract { step, extract } => {
                let extract = &plan.step(*step).extracts[*extract as usize];
                let slot = &plan.flows[step.flow as usize].slots[extract.slot];
                format!("nothing to extract for {}: {}", slot.name, extract.text)
            }
            Message::Undecodable { coding } => format!("body could not be decoded as {coding}"),
            Message::Timeout { timeout_ns } => format!("no full answer in {}", duration(*timeout_ns)),
            Message::Fault { fault: Fault::Protocol(why), .. } => format!("not HTTP: {why}"),
            Message::Fault { fault: Fault::HeadTooLarge, .. } => "headers over 64 KiB".to_owned(),
            Message::Fault { fault: Fault::TooLarge, most_bytes } => format!("over {most_bytes} bytes"),
            Message::Text(text) => (*text).to_owned(),
            Message::Reason(reason) => reason.to_string(),
        };
        match text.char_indices().nth(MOST_MESSAGE) {
            Some((end, _)) => text[..end].to_owned(),
            None => text,
        }
    }
}

/// `200, 201 or 2xx`.
fn expected(ranges: &[(u16, u16)]) -> String {
    let names: Vec<String> = ranges
        .iter()
        .map(|(low, high)| match (low, high) {
            (low, high) if low == high => low.to_string(),
            (low, high) if low % 100 == 0 && *high == low + 99 => format!("{}xx", low / 100),
            (low, high) => format!("{low}-{high}"),
        })
        .collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} or {last}", before.join(", ")),
    }
}

#[allow(clippy::cast_precision_loss)]
fn duration(ns: u64) -> String {
    format!("{} s", ns as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_statuses_read_like_a_sentence() {
        assert_eq!(expected(&[(200, 200), (201, 201), (204, 204)]), "200, 201 or 204");
        assert_eq!(expected(&[(200, 299), (301, 302)]), "2xx or 301-302");
    }

    #[test]
    fn timeouts_are_named_in_seconds() {
        assert_eq!(duration(2_000_000_000), "2 s");
        assert_eq!(duration(1_500_000_000), "1.5 s");
        assert_eq!(duration(250_000_000), "0.25 s");
    }
}
