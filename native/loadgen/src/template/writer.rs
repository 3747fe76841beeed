//! Compiles steps and values to programs.

use super::encodings::{TIMESTAMP_LENGTH, encoded};
use super::program::{Op, Program};
use super::{AbsoluteForm, Form, MASK, Secrets};
use crate::plan::{Encoding, Part, Source, Step, Variable};

pub(super) struct Writer<'a> {
    program: Program,
    secrets: &'a Secrets,
}

impl Writer<'_> {
    pub(super) fn new(secrets: &Secrets, masked: bool) -> Writer<'_> {
        let program = Program {
            blob: Vec::new(),
            ops: Vec::new(),
            needs_wall_time: false,
            needs_user: false,
            needs_uuid: false,
            body_fixed: 0,
            body_varying: Vec::new(),
            constant: false,
            masked,
        };
        Writer { program, secrets }
    }

    /// Compiles a request.
    pub(super) fn request(mut self, step: &Step, form: Form<'_>) -> Program {
        self.measure_body(step);
        self.literal(step.method.as_bytes());
        self.literal(b" ");
        if let Some(AbsoluteForm { origin, .. }) = form.proxy {
            self.literal(format!("{}://{}", origin.scheme.name(), origin.authority()).as_bytes());
        }
        self.template(&step.target);
        self.literal(b" HTTP/1.1\r\n");
        let mut awaits_cookies = form.uses_cookies;
        for header in &step.headers {
            self.literal(header.name.as_bytes());
            self.literal(b": ");
            self.template(&header.value);
            if awaits_cookies && header.name.eq_ignore_ascii_case("cookie") {
                self.user_op(Op::Cookies { joins: true });
                awaits_cookies = false;
            }
            self.literal(b"\r\n");
        }
        if awaits_cookies {
            self.user_op(Op::Cookies { joins: false });
        }
        if step.sends_length() {
            self.literal(b"Content-Length: ");
            self.length(step);
            self.literal(b"\r\n");
        }
        if let Some(AbsoluteForm { authorization, .. }) = form.proxy
            && !authorization.is_empty()
        {
            let value = if form.masked { MASK } else { authorization };
            self.literal(format!("Proxy-Authorization: {value}\r\n").as_bytes());
        }
        self.literal(b"\r\n");
        if let Some(body) = &step.body {
            if has_values(body) {
                self.user_op(Op::Body);
            }
            self.template(body);
        }
        self.program
    }

    /// Compiles a single value.
    pub(super) fn value(mut self, parts: &[Part]) -> Program {
        self.template(parts);
        self.program
    }

    /// Compiles the length of a step's body.
    pub(super) fn length_of(mut self, step: &Step) -> Program {
        self.measure_body(step);
        self.length(step);
        self.program
    }

    fn length(&mut self, step: &Step) {
        if step.body.as_ref().is_some_and(|body| has_values(body)) {
            self.user_op(Op::LateLength);
        } else if self.program.body_varying.is_empty() {
            self.literal(self.program.body_fixed.to_string().as_bytes());
        } else {
            self.program.ops.push(Op::ContentLength);
        }
    }

    fn user_op(&mut self, op: Op) {
        self.program.needs_user = true;
        self.program.ops.push(op);
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
                    let value =
                        if self.program.masked { MASK.to_owned() } else { secret(self.secrets, slot, *encoding) };
                    self.literal(value.as_bytes());
                }
                Part::Variable { name, encoding } => {
                    let op = op_of(*name, *encoding);
                    self.program.needs_uuid |= op == Op::Uuid;
                    self.program.needs_wall_time |= matches!(op, Op::Timestamp { .. } | Op::Unix);
                    self.program.ops.push(op);
                }
                Part::Value { source, .. } => {
                    self.program.needs_wall_time |= matches!(source, Source::Now { .. });
                    self.user_op(Op::Value(Box::new(part.clone())));
                }
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
                // Measured when it is rendered.
                Part::Value { .. } => {}
            }
        }
    }
}

fn has_values(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part, Part::Value { .. }))
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
