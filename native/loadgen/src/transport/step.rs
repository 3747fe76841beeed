//! A step of the plan, rendered with the current secrets and ready to be sent many times.

use super::multiplex::heads::StreamStep;
use crate::plan::{HttpVersion, Part, Plan, Scheme, Step, StepId};
use crate::response::Expect;
use crate::template::{AbsoluteForm, Form, Program, Secrets, Values};

/// Bytes of a body that checks can see.
const MOST_CHECKED_BYTES: usize = 4 * 1024 * 1024;

/// The parts of a step's requests that only change with a secret.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent properties
pub(super) struct PreparedStep {
    pub(super) origin: u32,
    pub(super) program: Program,
    pub(super) expect: Expect,
    pub(super) idempotent: bool,
    /// The request has `Connection: close`.
    pub(super) closes: bool,
    pub(super) has_checks: bool,
    /// The user's cookies are sent, and those of the response are kept.
    pub(super) uses_cookies: bool,
    /// Bytes of a body in pieces to store.
    pub(super) keep: usize,
    /// Names of the headers that hold a secret, in lower case.
    pub(super) secret_headers: Vec<String>,
    pub(super) body_has_secret: bool,
    /// Set if the plan may use HTTP/2.
    pub(super) stream: Option<StreamStep>,
}

impl PreparedStep {
    pub(super) fn new((id, step): (StepId, &Step), plan: &Plan, secrets: &Secrets) -> PreparedStep {
        let origin = &plan.origins[step.origin];
        let proxy = plan.connections.proxy.as_ref().filter(|_| origin.scheme == Scheme::Http);
        let absolute = proxy.map(|proxy| AbsoluteForm {
            origin,
            authorization: secrets.get(&proxy.authorization_slot).map_or("", String::as_str),
        });
        let uses_cookies = plan.flows[id.flow as usize].uses_cookies;
        let program = Program::new(step, secrets, Form { masked: false, uses_cookies, proxy: absolute });
        let mut request = Vec::new();
        if step.headers.iter().any(|header| header.name.eq_ignore_ascii_case("connection")) {
            program.render(Values { seed: plan.seed, number: 1, wall_ns: 0 }, &mut request);
        }
        let secret_headers = step.headers.iter().filter(|header| header.is_secret());
        let is_judged = !(step.checks.is_empty() && step.named_checks.is_empty() && step.extracts.is_empty());
        let multiplexes = plan.connections.http_version != HttpVersion::One;
        PreparedStep {
            // Origins are fewer than 2^32, and steps refer to existing ones.
            origin: u32::try_from(step.origin).unwrap_or(u32::MAX),
            program,
            expect: Expect { head_only: step.method == "HEAD" },
            idempotent: is_idempotent(step.method.as_bytes()),
            closes: requests_close(&request),
            has_checks: is_judged || uses_cookies,
            uses_cookies,
            keep: if is_judged { MOST_CHECKED_BYTES } else { plan.sampling.body_bytes },
            secret_headers: secret_headers.map(|header| header.name.to_ascii_lowercase()).collect(),
            body_has_secret: step.body.as_ref().is_some_and(|body| body.iter().any(Part::is_secret)),
            stream: multiplexes.then(|| StreamStep::new(step, plan, secrets)),
        }
    }
}

/// True if a request with this method (or whole request) may be sent twice.
pub(super) fn is_idempotent(request: &[u8]) -> bool {
    let method = request.split(|byte| *byte == b' ').next().unwrap_or(&[]);
    matches!(method, b"GET" | b"HEAD" | b"PUT" | b"DELETE" | b"OPTIONS" | b"TRACE")
}

/// True if the head of a request has `close` in a Connection header (RFC 9112, section 9.6).
pub(super) fn requests_close(request: &[u8]) -> bool {
    let lines = request.split(|byte| *byte == b'\n').skip(1).map(<[u8]>::trim_ascii);
    lines.take_while(|line| !line.is_empty()).any(|line| {
        let Some(colon) = memchr::memchr(b':', line) else { return false };
        let mut tokens = line[colon + 1..].split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        line[..colon].eq_ignore_ascii_case(b"connection") && tokens.any(|token| token.eq_ignore_ascii_case(b"close"))
    })
}
