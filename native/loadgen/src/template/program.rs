//! A request that can be rendered repeatedly.

use std::ops::Range;

use super::encodings::{append_number, append_timestamp, digits};
use super::writer::Writer;
use super::{Form, Secrets, Values, gzip};
use crate::plan::{Origin, Part, Scheme, Step};
use crate::random;
use crate::scenario::{self, Jar, Scope, Shown};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    Literal(Range<usize>),
    Uuid,
    Number,
    Random,
    Timestamp {
        percent: bool,
    },
    Unix,
    ContentLength,
    /// A value of the user.
    Value(Box<Part>),
    /// The cookies of the user, added to a Cookie header of the step, or as a line.
    Cookies {
        joins: bool,
    },
    /// The length of a body with values of the user or compressed values, known when it has been rendered.
    LateLength,
    /// Such a body begins here.
    Body,
}

/// A request that can be rendered repeatedly.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent properties
pub struct Program {
    pub(super) blob: Vec<u8>,
    pub(super) ops: Vec<Op>,
    /// Rendering needs the wall time.
    pub needs_wall_time: bool,
    /// It is rendered by [`Program::render_for`], because it holds values or cookies of the user.
    pub needs_user: bool,
    pub(super) needs_uuid: bool,
    /// Constant bytes of the body.
    pub(super) body_fixed: usize,
    /// Values of varying length in the body.
    pub(super) body_varying: Vec<Op>,
    /// Every rendering is the same.
    pub(super) constant: bool,
    pub(super) masked: bool,
    /// The body is compressed when it has been rendered.
    pub(super) compresses: bool,
}

/// The cookies of a user, and where its request goes.
#[derive(Debug, Clone, Copy)]
pub struct Cookies<'a> {
    /// The user's cookies.
    pub jar: &'a Jar,
    /// Where the request goes.
    pub origin: &'a Origin,
    /// Seconds since 1970.
    pub now: i64,
}

impl Cookies<'_> {
    /// Appends the value of the Cookie header for a target; nothing if no cookie belongs there.
    pub fn append(&self, target: &str, out: &mut Vec<u8>) {
        let is_https = self.origin.scheme == Scheme::Https;
        self.jar.append(&scenario::Place { host: &self.origin.host, target, is_https }, self.now, out);
    }
}

impl Program {
    /// Compiles `step`. A masked one has the real Content-Length.
    #[must_use]
    pub fn new(step: &Step, secrets: &Secrets, form: Form<'_>) -> Program {
        let mut program = Writer::new(secrets, form.masked).request(step, form);
        program.constant = matches!(program.ops.as_slice(), [Op::Literal(_)]);
        program
    }

    /// Compiles a single value: of a header, a target, a body.
    #[must_use]
    pub fn of_value(parts: &[Part], secrets: &Secrets) -> Program {
        let mut program = Writer::new(secrets, false).value(parts);
        program.constant = matches!(program.ops.as_slice(), [] | [Op::Literal(_)]);
        program
    }

    /// Compiles a step's body; None without one.
    #[must_use]
    pub fn of_body(step: &Step, secrets: &Secrets) -> Option<Program> {
        let mut program = Writer::new(secrets, false).body_of(step)?;
        program.constant = matches!(program.ops.as_slice(), [] | [Op::Literal(_)]);
        Some(program)
    }

    /// Compiles the length of a step's body.
    #[must_use]
    pub fn of_length(step: &Step, secrets: &Secrets) -> Program {
        Writer::new(secrets, false).length_of(step)
    }

    /// The bytes of the request, if every request is the same.
    #[must_use]
    pub fn constant(&self) -> Option<&[u8]> {
        self.constant.then_some(&self.blob)
    }

    /// Appends the request to `out`, without values and cookies of a user.
    pub fn render(&self, values: Values, out: &mut Vec<u8>) {
        let uuid = if self.needs_uuid { random::uuid4(values.seed, values.number) } else { [0; 36] };
        for op in &self.ops {
            self.append(op, values, &uuid, out);
        }
    }

    /// Appends the request of a user to `out`. `body_length`: the length to declare, if it is not that of the body that
    /// is rendered here.
    pub fn render_for(
        &self,
        values: Values,
        scope: &impl Scope,
        cookies: Option<Cookies<'_>>,
        body_length: Option<usize>,
        out: &mut Vec<u8>,
    ) {
        let uuid = if self.needs_uuid { random::uuid4(values.seed, values.number) } else { [0; 36] };
        let shown = if self.masked { Shown::Masked } else { Shown::Real };
        let begin = out.len();
        let (mut length_at, mut body_at) = (None, out.len());
        for op in &self.ops {
            match op {
                Op::Value(part) => scenario::append(std::slice::from_ref(&**part), scope, shown, out),
                Op::Cookies { joins } => {
                    if let Some(cookies) = cookies
                        && !cookies.jar.is_empty()
                    {
                        append_cookies(cookies, *joins, begin, out);
                    }
                }
                Op::LateLength => match body_length {
                    Some(length) => append_number(length as u64, out),
                    None => length_at = Some(out.len()),
                },
                Op::Body => body_at = out.len(),
                op => self.append(op, values, &uuid, out),
            }
        }
        if self.compresses {
            let plain = out.split_off(body_at);
            gzip::append(&plain, out);
        }
        if let Some(at) = length_at {
            let mut length = Vec::with_capacity(20);
            append_number((out.len() - body_at) as u64, &mut length);
            out.splice(at..at, length);
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // called for every part of a request
    fn append(&self, op: &Op, values: Values, uuid: &[u8; 36], out: &mut Vec<u8>) {
        match op {
            Op::Literal(range) => out.extend_from_slice(&self.blob[range.clone()]),
            Op::Uuid => out.extend_from_slice(uuid),
            Op::Number => append_number(values.number, out),
            Op::Random => append_number(random::random_int(values.seed, values.number), out),
            Op::Timestamp { percent } => append_timestamp(values.wall_ns, *percent, out),
            Op::Unix => append_number(values.wall_ns / 1_000_000_000, out),
            Op::ContentLength => append_number(self.body_length(values) as u64, out),
            // Only in programs that need a user.
            Op::Value(_) | Op::Cookies { .. } | Op::LateLength | Op::Body => {}
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

/// Appends the cookies for the request that begins at `begin`.
fn append_cookies(cookies: Cookies<'_>, joins: bool, begin: usize, out: &mut Vec<u8>) {
    let target = target_of(&out[begin..], cookies.origin);
    let before = out.len();
    out.extend_from_slice(if joins { b"; " } else { b"Cookie: " });
    let empty = out.len();
    cookies.append(&target, out);
    if out.len() == empty {
        out.truncate(before);
    } else if !joins {
        out.extend_from_slice(b"\r\n");
    }
}

/// The path and query of a rendered request to `origin`, also in absolute form.
pub(crate) fn target_of(request: &[u8], origin: &Origin) -> String {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or(&[]);
    let target = String::from_utf8_lossy(line.split(|byte| *byte == b' ').nth(1).unwrap_or(b"/"));
    if target.starts_with('/') {
        return target.into_owned();
    }
    let base = format!("{}://{}", origin.scheme.name(), origin.authority());
    target.strip_prefix(base.as_str()).unwrap_or(&target).to_owned()
}
