//! Formats samples, with every secret masked.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use super::raw_sample::{RawIteration, RawSample, RawStep};
use crate::decode;
use crate::plan::{Part, Plan, Step};
use crate::response::{self, Coding};
use crate::secrets::add_forms;
use crate::template::{Form, Program, Secrets};

const MASK: &str = "***";
const MASKED_HEADERS: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"];
/// Characters of an extracted value that are shown.
const MOST_VALUE: usize = 200;
/// Bytes of a body decoded beyond the limit, so that it can be masked before truncating.
const BEYOND_CUT: usize = 4096;

/// The fields of `atm.metrics.interval.Sample`.
#[derive(Debug, Serialize)]
pub(crate) struct Sample {
    request_number: u64,
    endpoint: usize,
    warm_up: bool,
    reason: &'static str,
    outcome: &'static str,
    message: String,
    intended_ns: u64,
    actual_ns: u64,
    finish_ns: u64,
    first_byte_ns: Option<u64>,
    status: Option<u16>,
    url: String,
    request: Exchanged,
    response: Option<Exchanged>,
}

#[derive(Debug, Serialize)]
struct Exchanged {
    head: String,
    headers: Vec<(String, String)>,
    body: String,
    body_bytes: u64,
}

/// Masks every value that any secret has had.
#[derive(Debug, Clone)]
pub(crate) struct Masker<'a> {
    /// Longest first.
    known: Cow<'a, [String]>,
    /// Lower-case names of headers with secrets in the plan.
    headers: Vec<String>,
}

impl<'a> Masker<'a> {
    /// Creates a masker for a plan and every value that its secrets have had.
    pub(crate) fn new(plan: &Plan, known: &'a [String]) -> Masker<'a> {
        let secret = plan.steps().flat_map(|(_, step)| &step.headers).filter(|header| header.is_secret());
        Masker { known: known.into(), headers: secret.map(|header| header.name.to_ascii_lowercase()).collect() }
    }

    /// The same with further texts to mask.
    fn and(&self, hidden: &[String]) -> Masker<'a> {
        let mut masker = self.clone();
        for value in hidden {
            add_forms(masker.known.to_mut(), value);
        }
        masker
    }

    pub(crate) fn mask(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for secret in self.known.iter() {
            if masked.contains(secret.as_str()) {
                masked = masked.replace(secret.as_str(), MASK);
            }
        }
        masked
    }

    /// The body to show: masked before truncating, so that no partial secret remains at the end.
    fn shown(&self, bytes: &[u8], most: usize) -> String {
        let text = self.mask(&String::from_utf8_lossy(bytes));
        match text.char_indices().nth(most) {
            Some((end, _)) => text[..end].to_owned(),
            None => text,
        }
    }

    fn header(&self, name: &str, value: &str) -> String {
        let always = MASKED_HEADERS.iter().any(|masked| name.eq_ignore_ascii_case(masked));
        let from_secret = self.headers.iter().any(|masked| name.eq_ignore_ascii_case(masked));
        if always || from_secret { MASK.to_owned() } else { self.mask(value) }
    }
}

/// Formats `raw`.
pub(crate) fn readable(raw: &RawSample, plan: &Plan, secrets: &Secrets, masker: &Masker<'_>) -> Sample {
    let step = plan.step(raw.step);
    let masker = &masker.and(&raw.hidden);
    let (origin, rendered) = if let Some(hop) = &raw.hop {
        (hop.0.clone(), hop.1.clone())
    } else {
        let rendered = raw.request.clone().unwrap_or_else(|| {
            let mut rendered = Vec::new();
            let form = Form { masked: true, ..Form::default() };
            Program::new(step, secrets, form).render(raw.values, &mut rendered);
            rendered
        });
        let origin = &plan.origins[step.origin];
        (format!("{}://{}", origin.scheme.name(), origin.authority()), rendered)
    };
    let request = split_request(&rendered, step, plan.sampling.body_bytes, masker);
    let target = request.head.split(' ').nth(1).unwrap_or("").to_owned();
    let whole = response::take_apart(&raw.response, raw.expect);
    let status = whole.as_ref().and_then(|whole| whole.status_line.split(' ').nth(1)?.parse().ok());
    let answer = whole.map(|whole| {
        let most = plan.sampling.body_bytes + BEYOND_CUT;
        let text = decode::decoded(&whole.body, whole.coding, most as u64).bytes;
        let body = masker.shown(&text[..text.len().min(most)], plan.sampling.body_bytes);
        Exchanged {
            head: masker.mask(&whole.status_line),
            headers: whole
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), masker.header(name, &String::from_utf8_lossy(value))))
                .collect(),
            body,
            body_bytes: raw.body_bytes,
        }
    });
    let in_two = |head: String| if raw.http2 { head.replace("HTTP/1.1", "HTTP/2").trim_end().to_owned() } else { head };
    let request = Exchanged { head: in_two(request.head), ..request };
    let answer = answer.map(|answer| Exchanged { head: in_two(answer.head), ..answer });
    Sample {
        request_number: raw.values.number,
        endpoint: step.endpoint,
        warm_up: raw.warm_up,
        reason: raw.reason.name(),
        outcome: raw.outcome.name(),
        message: masker.mask(&raw.message.text(plan)),
        intended_ns: raw.intended_ns,
        actual_ns: raw.actual_ns,
        finish_ns: raw.finish_ns,
        first_byte_ns: raw.first_byte_ns,
        status,
        // Through a proxy, the target already has absolute form.
        url: if target.starts_with("http://") { target } else { format!("{origin}{target}") },
        request,
        response: answer,
    }
}

/// Formats an iteration.
pub(crate) fn readable_iteration(raw: &RawIteration, plan: &Plan, secrets: &Secrets, masker: &Masker<'_>) -> Value {
    let step = |step: &RawStep| {
        let slots = &plan.flows[raw.flow].slots;
        let masker = masker.and(&step.sample.hidden);
        let value = |(slot, value): &(usize, Option<String>)| {
            let shown = |text: &String| {
                if slots[*slot].is_secret { MASK.to_owned() } else { masker.shown(text.as_bytes(), MOST_VALUE) }
            };
            json!([slots[*slot].name, value.as_ref().map(shown)])
        };
        json!({
            "sample": readable(&step.sample, plan, secrets, &masker),
            "checks": step.checks,
            "values": step.values.iter().map(value).collect::<Vec<Value>>(),
        })
    };
    json!({
        "flow": raw.flow,
        "number": raw.number,
        "user": raw.user,
        "reason": raw.reason.name(),
        "is_completed": raw.is_completed,
        "intended_ns": raw.intended_ns,
        "finish_ns": raw.finish_ns,
        "think_ns": raw.think_ns,
        "left_out": raw.left_out,
        "steps": raw.steps.iter().map(step).collect::<Vec<Value>>(),
    })
}

fn split_request(rendered: &[u8], step: &Step, most: usize, masker: &Masker<'_>) -> Exchanged {
    let end = memchr::memmem::find(rendered, b"\r\n\r\n").unwrap_or(rendered.len());
    let head = String::from_utf8_lossy(&rendered[..end]).into_owned();
    let body = rendered.get(end + 4..).unwrap_or(&[]);
    let mut lines = head.split("\r\n");
    let first = masker.mask(lines.next().unwrap_or(""));
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), masker.header(name, value)))
        .collect();
    let declared = headers.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    // The masked body is shown; its header has the length of the real one.
    let body_bytes = declared.and_then(|(_, length)| length.parse().ok()).unwrap_or(body.len() as u64);
    Exchanged { head: first, headers, body: masker.shown(&readable_body(body, step), most), body_bytes }
}

/// The body of a request as text: not compressed, and with `[N bytes]` for what is not text.
fn readable_body<'a>(sent: &'a [u8], step: &Step) -> Cow<'a, [u8]> {
    let shown = without_bytes(Cow::Borrowed(sent), step);
    // After a redirect, the request is the one that was sent.
    if !step.compresses || !shown.starts_with(&[0x1F, 0x8B]) {
        return shown;
    }
    let plain = decode::decoded(&shown, Coding::Gzip, decode::MOST_DECODED).bytes.into_owned();
    without_bytes(Cow::Owned(plain), step)
}

fn without_bytes<'a>(mut body: Cow<'a, [u8]>, step: &Step) -> Cow<'a, [u8]> {
    for part in step.body.iter().flatten() {
        let Part::Bytes { bytes } = part else { continue };
        if let Some(at) = memchr::memmem::find(&body, bytes) {
            let size = format!("[{} bytes]", bytes.len());
            body.to_mut().splice(at..at + bytes.len(), size.into_bytes());
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_wherever_it_stands() {
        let known = vec!["abcdefgh".to_owned(), "abcd".to_owned()];
        let masker = Masker { known: (&known).into(), headers: vec!["x-token".to_owned()] };
        assert_eq!(masker.mask("x abcdefgh y abcd z"), "x *** y *** z");
        assert_eq!(masker.header("COOKIE", "a=b"), "***");
        assert_eq!(masker.header("X-Token", "t"), "***");
        assert_eq!(masker.header("X", "a=abcd"), "a=***");
    }

    #[test]
    fn a_body_is_masked_before_it_is_cut() {
        let known = vec!["abcd".to_owned()];
        let masker = Masker { known: (&known).into(), headers: vec![] };
        assert_eq!(masker.shown("éabcdé".as_bytes(), 3), "é**");
    }
}
