//! Passes the transport's reports to users and ledger; here, requests end.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use crate::ledger::{Finished, Ledger, LoadState, RawSample, Reason};
use crate::message::Message;
use crate::outcome::Outcome;
use crate::plan::Origin;
use crate::poller::Poller;
use crate::response;
use crate::scenario::{Place, Value};
use crate::schedule::Schedule;
use crate::shared::Shared;
use crate::template::{Cookies, Program, Values};
use crate::transport::{ConnectionEvent, Ended, Events, Exchanged, Raw};
use crate::users::{User, Users};

/// The loop's parts except the transport, which reports to them.
pub(super) struct Parts {
    pub(super) shared: Arc<Shared>,
    pub(super) schedule: Schedule,
    pub(super) users: Users,
    pub(super) ledger: Ledger,
    pub(super) poller: Poller,
    /// ns since the start of the run, as last read.
    pub(super) now: u64,
    /// The number of users reported for the generator in the open model.
    pub(super) most_in_flight: u64,
    /// Values of the response being judged, which become variables after it is counted.
    pub(super) staged: Vec<(usize, Value)>,
}

impl Events for Parts {
    #[inline]
    fn now(&self) -> u64 {
        self.now
    }

    #[inline]
    fn touch(&mut self, open_connections: usize) -> u64 {
        self.now = self.shared.now();
        if self.now >= self.ledger.end_of_second() {
            self.end_seconds(open_connections);
        }
        self.now
    }

    fn watch(&mut self, socket: RawFd, token: u64) -> io::Result<()> {
        self.poller.add(socket, token)
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // a few instructions per request
    fn sent(&mut self, user: u32, bytes: u64) {
        let (state, rules) = self.users.with_rules(user);
        self.ledger.figures(rules.endpoint, state.iteration.arrival.warm_up).bytes_sent += bytes;
    }

    fn render(&self, user: u32, program: &Program, values: Values, origin: Option<&Origin>, out: &mut Vec<u8>) {
        self.users.render(user, program, values, origin, out);
    }

    fn render_part(&self, user: u32, program: &Program, values: Values, body_length: usize, out: &mut Vec<u8>) {
        let scope = self.users.knowledge(user, values);
        program.render_for(values, &scope, None, Some(body_length), out);
    }

    fn cookies<'a>(&'a self, user: u32, origin: &'a Origin) -> Option<Cookies<'a>> {
        self.users.cookies(user, origin)
    }

    fn redirected(&mut self, user: u32, received: u64, raw: Raw<'_>, place: Option<Place<'_>>) {
        if let Some(place) = place {
            self.users.store_cookies(user, raw, &place);
        }
        let (state, rules) = self.users.with_rules(user);
        let figures = self.ledger.figures(rules.endpoint, state.iteration.arrival.warm_up);
        figures.redirect_hops += 1;
        figures.bytes_received += received;
    }

    fn may_retry(&mut self, user: u32) -> bool {
        let may = self.users.retry(user);
        let (state, rules) = self.users.with_rules(user);
        if may {
            self.ledger.figures(rules.endpoint, state.iteration.arrival.warm_up).redialled += 1;
        }
        may
    }

    fn wants_headers(&self, user: u32) -> bool {
        self.ledger.wants_headers(self.users.with_rules(user).1.endpoint) || self.users.is_traced(user)
    }

    fn connection(&mut self, event: ConnectionEvent) {
        let generator = self.ledger.generator();
        match event {
            ConnectionEvent::Dialled => generator.dials += 1,
            ConnectionEvent::Lost => generator.connections_lost += 1,
            ConnectionEvent::Connected { took } => drop(generator.connect.record(took)),
            ConnectionEvent::Secured { took } => drop(generator.tls.record(took)),
            ConnectionEvent::Resolved { took } => drop(generator.dns.record(took)),
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // called at the end of every request, in one place per HTTP version
    fn response<'a>(&mut self, user: u32, ended: Ended, status: u16, exchange: impl Fn() -> Exchanged<'a>) {
        if self.users.has_journeys() {
            return self.journey_response(user, ended, status, exchange);
        }
        let (state, rules) = self.users.with_rules(user);
        let (outcome, message) = rules.judge(status, ended.is_withheld, || {
            let exchange = exchange();
            exchange.raw.text(exchange.expect, exchange.body_bytes)
        });
        self.count_request(user, *state, rules.endpoint, ended, (outcome, status), &message, exchange);
        self.users.finish(user, outcome, self.now);
    }

    #[cold]
    fn failure<'a>(
        &mut self,
        user: u32,
        ended: Ended,
        outcome: Outcome,
        message: &Message,
        exchange: impl Fn() -> Exchanged<'a>,
    ) {
        let (state, rules) = self.users.with_rules(user);
        self.count_request(user, *state, rules.endpoint, ended, (outcome, 0), message, &exchange);
        if self.users.has_journeys() {
            self.trace_request(user, ended, outcome, message, &[], &exchange());
            self.end_step(user, outcome, false);
        } else {
            self.users.finish(user, outcome, self.now);
        }
    }
}

impl Parts {
    /// Counts a request that has ended, and takes a sample of it if one is wanted.
    #[inline(always)]
    #[allow(clippy::inline_always, clippy::too_many_arguments)] // as `response`; none of them is worth a second look-up
    pub(super) fn count_request<'a>(
        &mut self,
        user: u32,
        state: User,
        endpoint: usize,
        ended: Ended,
        (outcome, status): (Outcome, u16),
        message: &Message,
        exchange: impl Fn() -> Exchanged<'a>,
    ) {
        let now = self.now;
        let warm_up = state.iteration.arrival.warm_up;
        let response = now.saturating_sub(state.request.intended);
        if let Some(reason) = self.ledger.wants(endpoint, warm_up, outcome, response) {
            let sample = self.sample(user, reason, outcome, message, ended, &exchange());
            self.ledger.keep(sample);
        }
        let finished = Finished {
            outcome,
            status,
            received: ended.received,
            response,
            service: now.saturating_sub(state.request.actual),
            first_byte: ended.first_byte.saturating_sub(state.request.actual),
            is_drained: now >= self.schedule.drains_from(),
        };
        self.ledger.finished(endpoint, warm_up, finished);
        if outcome != Outcome::Ok {
            self.ledger.failed(endpoint, warm_up, outcome, message, now);
        }
    }

    #[cold]
    fn sample(
        &self,
        user: u32,
        reason: Reason,
        outcome: Outcome,
        message: &Message,
        ended: Ended,
        exchange: &Exchanged<'_>,
    ) -> RawSample {
        let plan = &self.shared.plan;
        let (state, rules) = self.users.with_rules(user);
        let values = Values { seed: plan.seed, number: state.iteration.arrival.number, wall_ns: exchange.wall_ns };
        let (request, hidden) = self.request_of_user(user, values);
        let mut response = Vec::new();
        exchange.raw.append_beginning(self.most_of_response(), &mut response);
        RawSample {
            reason,
            step: rules.id(),
            warm_up: state.iteration.arrival.warm_up,
            outcome,
            message: message.clone(),
            values,
            intended_ns: state.request.intended,
            actual_ns: state.request.actual,
            finish_ns: self.now,
            first_byte_ns: (ended.first_byte > 0).then_some(ended.first_byte),
            expect: exchange.expect,
            response,
            body_bytes: exchange.body_bytes,
            hop: exchange.last_hop(),
            http2: exchange.raw.is_two(),
            request,
            hidden,
        }
    }

    /// The masked request of a user, if it held values, and the secret values that its sample must not show.
    fn request_of_user(&self, user: u32, values: Values) -> (Option<Vec<u8>>, Vec<String>) {
        let plan = &self.shared.plan;
        let (_, rules) = self.users.with_rules(user);
        let step = plan.step(rules.id());
        if !rules.has_values && !self.users.has_journeys() {
            return (None, Vec::new());
        }
        let staged = self.staged.iter().filter(|(slot, _)| self.users.is_secret_slot(user, *slot));
        let staged = staged.filter_map(|(_, value)| value.seen().map(|value| value.text().into_owned()));
        let hidden = self.users.secret_values(user, step, values).into_iter().chain(staged).collect();
        (Some(self.users.masked_request(user, plan, step, values, true)), hidden)
    }

    /// Bytes of a response that a sample needs: the head and the shown part of the body; a chunked or compressed body
    /// may take more bytes than it decodes to.
    pub(super) fn most_of_response(&self) -> usize {
        response::MOST_HEAD_BYTES + self.shared.plan.sampling.body_bytes + 4096
    }

    #[cold]
    fn end_seconds(&mut self, open_connections: usize) {
        let load_state = self.load_state(open_connections);
        while self.now >= self.ledger.end_of_second() {
            self.ledger.end_second(load_state);
        }
    }

    /// The current state of the load.
    pub(super) fn load_state(&self, open_connections: usize) -> LoadState {
        let is_closed = self.schedule.is_closed();
        LoadState {
            users: if is_closed { self.users.running_or_free() as u64 } else { self.most_in_flight },
            in_flight: self.users.requests_in_flight() as u64,
            waiting: self.schedule.waiting() as u64,
            open_connections: open_connections as u64,
        }
    }
}
