//! What is known about each flow's requests before any is sent, with the secrets of the moment.

use std::sync::Arc;

use regex::Regex;

use super::multiplex::StreamRoute;
use super::{Worker, exchange};
use crate::deadlines::NONE;
use crate::pattern;
use crate::plan::{BodyCheck, CheckKind, HttpVersion, Scheme};
use crate::response::Expect;
use crate::template::{AbsoluteForm, Program};

/// What does not change about a flow's requests until a secret does.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) endpoint: usize,
    pub(super) origin: u32,
    pub(super) program: Program,
    pub(super) expect: Expect,
    pub(super) idempotent: bool,
    pub(super) deadline_list: u32,
    /// Bytes of a body in pieces that are worth keeping.
    pub(super) keep: usize,
    pub(super) checks: Vec<Check>,
    /// Where the plan may speak HTTP/2.
    pub(super) stream: Option<StreamRoute>,
}

#[derive(Debug)]
pub(super) enum Check {
    Contains(Box<memchr::memmem::Finder<'static>>),
    Regex(Regex),
}

impl Worker {
    /// Writes the plan's templates and the secrets of the moment into programs.
    pub(super) fn compile_routes(&mut self) {
        let shared = Arc::clone(&self.shared);
        let plan = &shared.plan;
        let secrets = shared.with_secrets(|store| store.current.clone());
        let mut old = std::mem::take(&mut self.routes).into_iter();
        for flow in &plan.flows {
            let step = &flow.steps[0];
            let origin = &plan.origins[step.origin];
            let proxy =
                plan.connections.proxy.as_ref().filter(|_| origin.scheme == Scheme::Http).map(|proxy| AbsoluteForm {
                    origin,
                    authorization: secrets.get(&proxy.authorization_slot).map_or("", String::as_str),
                });
            let program = Program::new(step, &secrets, false, proxy);
            let multiplexes = plan.connections.http_version != HttpVersion::One;
            let checks = match old.next() {
                Some(route) => route.checks,
                None => step.checks.iter().map(Check::new).collect(),
            };
            let keep = if checks.is_empty() { plan.sampling.body_bytes } else { exchange::MOST_CHECKED_BYTES };
            self.routes.push(Route {
                endpoint: step.endpoint,
                origin: u32::try_from(step.origin).unwrap_or(NONE),
                program,
                expect: Expect { head_only: step.method == "HEAD" },
                idempotent: matches!(step.method.as_str(), "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"),
                deadline_list: self.deadlines.list(step.timeout_ns),
                keep,
                checks,
                stream: multiplexes.then(|| StreamRoute::new(step, plan, &secrets)),
            });
        }
    }
}

impl Check {
    fn new(check: &BodyCheck) -> Check {
        let contains = |text: &str| Check::Contains(Box::new(memchr::memmem::Finder::new(text).into_owned()));
        match check.kind {
            CheckKind::Contains => contains(&check.pattern),
            // The plan was checked: the pattern compiles. One that did not would match nothing, visibly.
            CheckKind::Regex => pattern::compile(&check.pattern).map_or_else(|_| contains("\u{0}"), Check::Regex),
        }
    }

    pub(super) fn holds(&self, body: &[u8]) -> bool {
        match self {
            Check::Contains(finder) => finder.find(body).is_some(),
            Check::Regex(regex) => regex.is_match(&String::from_utf8_lossy(body)),
        }
    }
}
