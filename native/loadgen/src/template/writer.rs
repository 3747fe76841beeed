//! Compiles steps and values to programs.

use super::encodings::{TIMESTAMP_LENGTH, encoded};
use super::program::{Op, Program};
use super::{AbsoluteForm, Form, MASK, Secrets, gzip};
use crate::plan::{Encoding, Part, Source, Step, Variable};

pub(super) struct Writer<'a> {
    program: Program,
    secrets: &'a Secrets,
    /// A body that is always the same, compressed.
    compressed: Option<Vec<u8>>,
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
            compresses: false,
        };
        Writer { program, secrets, compressed: None }
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
        self.body(step);
        self.program
    }

    /// Compiles the body of a step alone; None without one.
    pub(super) fn body_of(mut self, step: &Step) -> Option<Program> {
        step.body.as_ref()?;
        self.measure_body(step);
        self.body(step);
        Some(self.program)
    }

    /// Appends the body of a step, which has been measured. A masked one is not compressed.
    fn body(&mut self, step: &Step) {
        let Some(body) = &step.body else { return };
        if let Some(compressed) = self.compressed.take().filter(|_| !self.program.masked) {
            self.literal(&compressed);
            return;
        }
        if has_late_length(step) {
            self.program.compresses = step.compresses && !self.program.masked;
            self.user_op(Op::Body);
        }
        self.template(body);
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
        if has_late_length(step) {
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
                Part::Bytes { bytes } => self.literal(bytes),
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

    /// The body of a step that is always the same, compressed.
    fn compressed_body(&self, step: &Step) -> Vec<u8> {
        let plain = Writer::new(self.secrets, false).value(step.body.as_deref().unwrap_or(&[])).blob;
        let mut compressed = Vec::new();
        gzip::append(&plain, &mut compressed);
        compressed
    }

    /// Sets the length to that of the body with the real secrets, even if the program is masked.
    fn measure_body(&mut self, step: &Step) {
        if step.compresses && !has_late_length(step) {
            let compressed = self.compressed_body(step);
            self.program.body_fixed = compressed.len();
            self.compressed = Some(compressed);
            return;
        }
        for part in step.body.iter().flatten() {
            match part {
                Part::Literal { text } => self.program.body_fixed += text.len(),
                Part::Bytes { bytes } => self.program.body_fixed += bytes.len(),
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

/// True if the length of the body is known only when it has been rendered.
fn has_late_length(step: &Step) -> bool {
    step.body.iter().flatten().any(|part| match part {
        Part::Value { .. } => true,
        Part::Variable { .. } => step.compresses,
        Part::Literal { .. } | Part::Bytes { .. } | Part::Secret { .. } => false,
    })
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
