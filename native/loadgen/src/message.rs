//! Why a request failed: noted without formatting, put into words when a second is reported.

use std::sync::Arc;

use crate::plan::{CheckKind, Plan};
use crate::response::Fault;

const MOST_MESSAGE: usize = 200;
const MOST_PATTERN: usize = 120;

/// Why a request failed, without values that differ per request, so that failures group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// It did not fail.
    None,
    /// Another status than expected, at this flow.
    Status(u16, u32),
    /// A redirect to another origin, which a body with a secret was not sent to.
    Withheld(u16),
    /// This check of this flow did not hold.
    Check(u32, u32),
    /// After so many ns.
    Timeout(u64),
    /// What came is no response.
    Fault(Fault, u64),
    /// Words that are always the same.
    Text(&'static str),
    /// A library's reason.
    Reason(Arc<str>),
}

impl Message {
    /// An unexpected status; `withheld` where it is a redirect that would have taken a secret to another origin.
    #[must_use]
    pub fn status(status: u16, flow: u32, withheld: bool) -> Message {
        if withheld { Message::Withheld(status) } else { Message::Status(status, flow) }
    }

    /// As people read it, at most 200 characters.
    #[must_use]
    pub fn text(&self, plan: &Plan) -> String {
        let text = match self {
            Message::None => String::new(),
            Message::Status(status, flow) => {
                format!("{status}, expected {}", expected(&plan.flows[*flow as usize].steps[0].expected_statuses))
            }
            Message::Withheld(status) => {
                format!("{status} to another origin not followed: the request body holds a secret")
            }
            Message::Check(flow, check) => {
                let check = &plan.flows[*flow as usize].steps[0].checks[*check as usize];
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
            Message::Timeout(timeout_ns) => format!("no full answer in {}", duration(*timeout_ns)),
            Message::Fault(Fault::Protocol(why), _) => format!("not HTTP: {why}"),
            Message::Fault(Fault::HeadTooLarge, _) => "headers over 64 KiB".to_owned(),
            Message::Fault(Fault::TooLarge, most) => format!("over {most} bytes"),
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
