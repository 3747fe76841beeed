//! Renders a step of the plan to the bytes of a request.
//!
//! A [`Program`] is a step compiled with its secrets: literal bytes and the few values that differ per request. Without
//! such values it is constant and is sent directly from its bytes. Rendering is a function of (program, values), so a
//! sample can show the request that was sent, rendered again with the secrets masked.

use std::collections::HashMap;
use std::ops::Range;

use crate::plan::{Encoding, Origin, Part, Step, Variable};
use crate::random;

/// The values of all secret slots.
pub type Secrets = HashMap<String, String>;

const MASK: &str = "***";
const TIMESTAMP_LENGTH: usize = 32;
const NS_OF_400_YEARS: i128 = 146_097 * 86_400 * 1_000_000_000;

/// An origin reached through a proxy in absolute form.
#[derive(Debug, Clone, Copy)]
pub struct AbsoluteForm<'a> {
    /// The origin of the request.
    pub origin: &'a Origin,
    /// The value of Proxy-Authorization; empty for none.
    pub authorization: &'a str,
}

/// The values that differ between requests of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values {
    /// The plan's seed.
    pub seed: u64,
    /// The request's number, 1-based.
    pub number: u64,
    /// Wall time of the rendering, ns since 1970.
    pub wall_ns: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Op {
    Literal(Range<usize>),
    Uuid,
    Number,
    Random,
    Timestamp { percent: bool },
    Unix,
    ContentLength,
}

/// A request that can be rendered repeatedly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    blob: Vec<u8>,
    ops: Vec<Op>,
    /// Rendering needs the wall time.
    pub needs_wall_time: bool,
    needs_uuid: bool,
    /// Constant bytes of the body.
    body_fixed: usize,
    /// Values of varying length in the body.
    body_varying: Vec<Op>,
    /// Every rendering is the same.
    constant: bool,
}

struct Writer<'a> {
    program: Program,
    secrets: &'a Secrets,
    masked: bool,
}

impl Program {
    /// Compiles `step`; with `masked`, every secret is written as `***` (with the real Content-Length).
    #[must_use]
    pub fn new(step: &Step, secrets: &Secrets, masked: bool, proxy: Option<AbsoluteForm<'_>>) -> Program {
        let mut writer = Writer { program: Program::empty(), secrets, masked };
        writer.measure_body(step);
        writer.literal(step.method.as_bytes());
        writer.literal(b" ");
        if let Some(AbsoluteForm { origin, .. }) = proxy {
            writer.literal(format!("{}://{}", origin.scheme.name(), origin.authority()).as_bytes());
        }
        writer.template(&step.target);
        writer.literal(b" HTTP/1.1\r\n");
        for header in &step.headers {
            writer.literal(header.name.as_bytes());
            writer.literal(b": ");
            writer.template(&header.value);
            writer.literal(b"\r\n");
        }
        if step.sends_length() {
            writer.literal(b"Content-Length: ");
            writer.length();
            writer.literal(b"\r\n");
        }
        if let Some(AbsoluteForm { authorization, .. }) = proxy
            && !authorization.is_empty()
        {
            let value = if masked { MASK } else { authorization };
            writer.literal(format!("Proxy-Authorization: {value}\r\n").as_bytes());
        }
        writer.literal(b"\r\n");
        if let Some(body) = &step.body {
            writer.template(body);
        }
        let mut program = writer.program;
        program.constant = matches!(program.ops.as_slice(), [Op::Literal(_)]);
        program
    }

    /// Compiles a single value: of a header, a target, a body.
    #[must_use]
    pub fn of_value(parts: &[Part], secrets: &Secrets) -> Program {
        let mut writer = Writer { program: Program::empty(), secrets, masked: false };
        writer.template(parts);
        let mut program = writer.program;
        program.constant = matches!(program.ops.as_slice(), [] | [Op::Literal(_)]);
        program
    }

    /// Compiles the length of a step's body.
    #[must_use]
    pub fn of_length(step: &Step, secrets: &Secrets) -> Program {
        let mut writer = Writer { program: Program::empty(), secrets, masked: false };
        writer.measure_body(step);
        writer.length();
        writer.program
    }

    fn empty() -> Program {
        Program {
            blob: Vec::new(),
            ops: Vec::new(),
            needs_wall_time: false,
            needs_uuid: false,
            body_fixed: 0,
            body_varying: Vec::new(),
            constant: false,
        }
    }

    /// The bytes of the request, if every request is the same.
    #[must_use]
    pub fn constant(&self) -> Option<&[u8]> {
        self.constant.then_some(&self.blob)
    }

    /// Appends the request to `out`.
    pub fn render(&self, values: Values, out: &mut Vec<u8>) {
        let uuid = if self.needs_uuid { random::uuid4(values.seed, values.number) } else { [0; 36] };
        for op in &self.ops {
            match op {
                Op::Literal(range) => out.extend_from_slice(&self.blob[range.clone()]),
                Op::Uuid => out.extend_from_slice(&uuid),
                Op::Number => append_number(values.number, out),
                Op::Random => append_number(random::random_int(values.seed, values.number), out),
                Op::Timestamp { percent } => append_timestamp(values.wall_ns, *percent, out),
                Op::Unix => append_number(values.wall_ns / 1_000_000_000, out),
                Op::ContentLength => append_number(self.body_length(values) as u64, out),
            }
        }
    }

    fn body_length(&self, values: Values) -> usize {
        let varying = self.body_varying.iter().map(|op| match op {
            Op::Number => digits(values.number),
            Op::Random => digits(random::random_int(values.seed, values.number)),
            _ => digits(values.wall_ns / 1_000_000_000),
        });
        self.body_fixed + varying.sum::<usize>()
    }
}

impl Writer<'_> {
    fn length(&mut self) {
        if self.program.body_varying.is_empty() {
            self.literal(self.program.body_fixed.to_string().as_bytes());
        } else {
            self.program.ops.push(Op::ContentLength);
        }
    }

    fn literal(&mut self, bytes: &[u8]) {
        let begin = self.program.blob.len();
        self.program.blob.extend_from_slice(bytes);
        let end = self.program.blob.len();
        match self.program.ops.last_mut() {
            Some(Op::Literal(range)) => range.end = end,
            _ if begin < end => self.program.ops.push(Op::Literal(begin..end)),
            _ => {}
        }
    }

    fn template(&mut self, parts: &[Part]) {
        for part in parts {
            match part {
                Part::Literal { text } => self.literal(text.as_bytes()),
                Part::Secret { slot, encoding } => {
                    let value = if self.masked { MASK.to_owned() } else { secret(self.secrets, slot, *encoding) };
                    self.literal(value.as_bytes());
                }
                Part::Variable { name, encoding } => {
                    let op = op_of(*name, *encoding);
                    self.program.needs_uuid |= op == Op::Uuid;
                    self.program.needs_wall_time |= matches!(op, Op::Timestamp { .. } | Op::Unix);
                    self.program.ops.push(op);
                }
                // The plan's check refuses these until programs are run.
                Part::Value { .. } => {}
            }
        }
    }

    /// Sets the length to that of the body with the real secrets, even if the program is masked.
    fn measure_body(&mut self, step: &Step) {
        for part in step.body.iter().flatten() {
            match part {
                Part::Literal { text } => self.program.body_fixed += text.len(),
                Part::Secret { slot, encoding } => {
                    self.program.body_fixed += secret(self.secrets, slot, *encoding).len();
                }
                Part::Variable { name, encoding } => match op_of(*name, *encoding) {
                    Op::Uuid => self.program.body_fixed += 36,
                    Op::Timestamp { percent } => {
                        self.program.body_fixed += TIMESTAMP_LENGTH + if percent { 8 } else { 0 }
                    }
                    op => self.program.body_varying.push(op),
                },
                Part::Value { .. } => {}
            }
        }
    }
}

fn op_of(name: Variable, encoding: Encoding) -> Op {
    match name {
        Variable::Uuid => Op::Uuid,
        Variable::RequestNumber => Op::Number,
        Variable::RandomInt => Op::Random,
        Variable::TimestampUnix => Op::Unix,
        Variable::Timestamp => Op::Timestamp { percent: encoding == Encoding::Percent },
    }
}

fn secret(secrets: &Secrets, slot: &str, encoding: Encoding) -> String {
    encoded(secrets.get(slot).map_or("", String::as_str), encoding)
}

/// `value` in `encoding`.
#[must_use]
pub fn encoded(value: &str, encoding: Encoding) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(value.len());
    // Writing to a String cannot fail, so the results are ignored.
    match encoding {
        Encoding::Raw | Encoding::JsonValue | Encoding::Header | Encoding::Target => text.push_str(value),
        Encoding::Percent => {
            for byte in value.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    text.push(char::from(byte));
                } else {
                    let _ = write!(text, "%{byte:02X}");
                }
            }
        }
        Encoding::Json => {
            for character in value.chars() {
                match character {
                    '"' => text.push_str("\\\""),
                    '\\' => text.push_str("\\\\"),
                    '\n' => text.push_str("\\n"),
                    '\r' => text.push_str("\\r"),
                    '\t' => text.push_str("\\t"),
                    '\u{8}' => text.push_str("\\b"),
                    '\u{c}' => text.push_str("\\f"),
                    control if control < ' ' => {
                        let _ = write!(text, "\\u{:04x}", u32::from(control));
                    }
                    other => text.push(other),
                }
            }
        }
    }
    text
}

/// Appends a value that differs per request.
pub(crate) fn append_variable(name: Variable, encoding: Encoding, values: Values, out: &mut Vec<u8>) {
    match name {
        Variable::Uuid => out.extend_from_slice(&random::uuid4(values.seed, values.number)),
        Variable::RequestNumber => append_number(values.number, out),
        Variable::RandomInt => append_number(random::random_int(values.seed, values.number), out),
        Variable::TimestampUnix => append_number(values.wall_ns / 1_000_000_000, out),
        Variable::Timestamp => append_timestamp(values.wall_ns, encoding == Encoding::Percent, out),
    }
}

/// `2026-01-31T12:34:56.789012+00:00`.
pub(crate) fn timestamp(wall_ns: i128) -> String {
    // The calendar repeats after 400 years, so a time before 1970 is written as one after it, with another year.
    let early = wall_ns < 0;
    let shifted = if early { wall_ns + NS_OF_400_YEARS } else { wall_ns };
    let mut out = Vec::with_capacity(TIMESTAMP_LENGTH);
    append_timestamp(u64::try_from(shifted).unwrap_or(0), false, &mut out);
    if early {
        let year = out[..4].iter().fold(0, |year, digit| year * 10 + u64::from(digit - b'0'));
        let mut earlier = Vec::new();
        append_padded(year - 400, 4, &mut earlier);
        out[..4].copy_from_slice(&earlier);
    }
    out.into_iter().map(char::from).collect()
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

fn append_number(mut number: u64, out: &mut Vec<u8>) {
    let mut text = [0_u8; 20];
    let mut begin = text.len();
    loop {
        begin -= 1;
        text[begin] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[begin..]);
}

/// Appends `2026-01-31T12:34:56.789012+00:00`, or the same percent-encoded.
fn append_timestamp(wall_ns: u64, percent: bool, out: &mut Vec<u8>) {
    let (seconds, micros) = (wall_ns / 1_000_000_000, wall_ns % 1_000_000_000 / 1000);
    let (year, month, day) = civil(seconds / 86_400);
    let rest = seconds % 86_400;
    let (colon, plus): (&[u8], &[u8]) = if percent { (b"%3A", b"%2B") } else { (b":", b"+") };
    append_padded(year, 4, out);
    out.push(b'-');
    append_padded(month, 2, out);
    out.push(b'-');
    append_padded(day, 2, out);
    out.push(b'T');
    append_padded(rest / 3600, 2, out);
    out.extend_from_slice(colon);
    append_padded(rest / 60 % 60, 2, out);
    out.extend_from_slice(colon);
    append_padded(rest % 60, 2, out);
    out.push(b'.');
    append_padded(micros, 6, out);
    out.extend_from_slice(plus);
    out.extend_from_slice(b"00");
    out.extend_from_slice(colon);
    out.extend_from_slice(b"00");
}

fn append_padded(number: u64, width: usize, out: &mut Vec<u8>) {
    for _ in digits(number)..width {
        out.push(b'0');
    }
    append_number(number, out);
}

/// Converts days since 1970-01-01 to (year, month, day) of the Gregorian calendar, in eras of 400 years that start in
/// March.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Header, Scheme};

    fn literal(text: &str) -> Part {
        Part::Literal { text: text.to_owned() }
    }

    fn variable(name: Variable) -> Part {
        Part::Variable { name, encoding: Encoding::Raw }
    }

    fn step(method: &str, target: Vec<Part>, body: Option<Vec<Part>>) -> Step {
        Step {
            endpoint: 0,
            origin: 0,
            method: method.to_owned(),
            target,
            headers: vec![Header { name: "Host".to_owned(), value: vec![literal("h")] }],
            body,
            expected_statuses: vec![(200, 200)],
            checks: vec![],
            timeout_ns: 1,
            named_checks: Vec::new(),
            extracts: Vec::new(),
        }
    }

    fn rendered(program: &Program) -> String {
        let mut out = Vec::new();
        // 2026-01-31T12:34:56.789012Z
        program.render(Values { seed: 42, number: 7, wall_ns: 1_769_862_896_789_012_345 }, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_constant_request_is_rendered_once() {
        let program = Program::new(&step("GET", vec![literal("/a")], None), &Secrets::new(), false, None);
        assert_eq!(program.constant().unwrap(), b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    }

    #[test]
    fn content_length_comes_last_and_counts_the_values() {
        let body = vec![
            literal("{"),
            variable(Variable::Uuid),
            variable(Variable::RequestNumber),
            variable(Variable::RandomInt),
            variable(Variable::Timestamp),
            variable(Variable::TimestampUnix),
            Part::Variable { name: Variable::Timestamp, encoding: Encoding::Percent },
        ];
        let program = Program::new(&step("POST", vec![literal("/é")], Some(body)), &Secrets::new(), false, None);
        assert!(program.constant().is_none());
        let text = rendered(&program);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(head, format!("POST /é HTTP/1.1\r\nHost: h\r\nContent-Length: {}", body.len()));
        let uuid = String::from_utf8(random::uuid4(42, 7).to_vec()).unwrap();
        assert_eq!(
            body,
            format!(
                "{{{uuid}7{}2026-01-31T12:34:56.789012+00:0017698628962026-01-31T12%3A34%3A56.789012%2B00%3A00",
                random::random_int(42, 7)
            )
        );
    }

    #[test]
    fn a_post_without_a_body_says_so() {
        let program = Program::new(&step("POST", vec![literal("/")], None), &Secrets::new(), false, None);
        assert_eq!(program.constant().unwrap(), b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn a_masked_program_shows_no_secret_and_the_real_length() {
        let secrets = Secrets::from([("token".to_owned(), "s3\"cret".to_owned())]);
        let slot = |encoding| Part::Secret { slot: "token".to_owned(), encoding };
        let step = step("PUT", vec![literal("/"), slot(Encoding::Percent)], Some(vec![slot(Encoding::Json)]));
        let real = Program::new(&step, &secrets, false, None);
        assert_eq!(
            real.constant().unwrap(),
            b"PUT /s3%22cret HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\ns3\\\"cret"
        );
        let masked = Program::new(&step, &secrets, true, None);
        assert_eq!(masked.constant().unwrap(), b"PUT /*** HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n***");
    }

    #[test]
    fn a_proxy_gets_the_absolute_form_and_its_own_credentials() {
        let origin = Origin {
            scheme: Scheme::Http,
            host: "::1".to_owned(),
            port: 81,
            connect_host: String::new(),
            connect_port: 0,
            addresses: vec![],
            resolve_error: String::new(),
        };
        let proxy = AbsoluteForm { origin: &origin, authorization: "Basic eA==" };
        let program = Program::new(&step("GET", vec![literal("/a")], None), &Secrets::new(), false, Some(proxy));
        assert_eq!(
            program.constant().unwrap(),
            b"GET http://[::1]:81/a HTTP/1.1\r\nHost: h\r\nProxy-Authorization: Basic eA==\r\n\r\n"
        );
    }

    #[derive(serde::Deserialize)]
    struct Cases {
        wall_ns: u64,
        requests: Vec<Case>,
        encodings: Vec<Encodings>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        method: String,
        target: Vec<Part>,
        headers: Vec<Header>,
        body: Option<Vec<Part>>,
        secrets: Secrets,
        seed: u64,
        number: u64,
        sent: String,
    }

    #[derive(serde::Deserialize)]
    struct Encodings {
        value: String,
        percent: String,
        json: String,
    }

    /// The same file is read by the tests of the asyncio engine.
    #[test]
    fn requests_are_rendered_as_the_other_engine_renders_them() {
        let cases: Cases = serde_json::from_str(include_str!("../../../tests/vectors/templates.json")).unwrap();
        assert!(cases.requests.len() > 15 && cases.encodings.len() > 5);
        for case in cases.requests {
            let step = Step { headers: case.headers, ..step(&case.method, case.target, case.body) };
            let program = Program::new(&step, &case.secrets, false, None);
            let mut sent = Vec::new();
            program.render(Values { seed: case.seed, number: case.number, wall_ns: cases.wall_ns }, &mut sent);
            assert_eq!(String::from_utf8(sent).unwrap(), case.sent, "{}", case.name);
        }
        for case in cases.encodings {
            assert_eq!(encoded(&case.value, Encoding::Percent), case.percent, "{:?}", case.value);
            assert_eq!(encoded(&case.value, Encoding::Json), case.json, "{:?}", case.value);
        }
    }

    #[test]
    fn days_are_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_484), (2026, 1, 31));
    }
}
