//! Sending a request, reading its response, and the one place in which a request ends.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;

use super::{State, User, Worker};
use crate::clock;
use crate::deadlines::NONE;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::record::{Message, RawSample, Reason};
use crate::response::{self, Expect, Framing, Progress};
use crate::template::Values;

/// Checks look at so much of a body at most.
pub(super) const MOST_CHECKED_BYTES: usize = 64 * 1024 * 1024;

const CLOSED_BEFORE: &str = "closed before any byte of the answer";
const CLOSED_WITHIN: &str = "closed in the middle of the answer";
const RESET: &str = "reset by the target";

impl Worker {
    /// Sends the request of `user` on an open connection.
    #[inline]
    pub(super) fn send(&mut self, user: u32, index: u32) {
        let state = &mut self.users[user as usize];
        let route = &self.routes[state.flow as usize];
        // Whoever closes a connection takes it from its owner, so it is there.
        let Some(connection) = self.connections.get(index) else { return };
        state.connection = index;
        connection.busy = true;
        connection.reader.start(
            route.expect,
            route.keep,
            self.shared.plan.connections.max_response_bytes.unwrap_or(u64::MAX),
        );
        let sent = if let Some(bytes) = route.program.constant() {
            connection.send(bytes)
        } else {
            state.wall_ns = if route.program.needs_wall_time { clock::wall_ns() } else { 0 };
            self.outgoing.clear();
            let values = Values { seed: self.shared.plan.seed, number: state.number, wall_ns: state.wall_ns };
            route.program.render(values, &mut self.outgoing);
            connection.send(&self.outgoing)
        };
        let (endpoint, warm_up) = (route.endpoint, state.warm_up);
        match sent {
            Ok(sent) => self.second.figures(endpoint, warm_up).bytes_sent += sent as u64,
            Err(_) => self.send_failed(index),
        }
    }

    /// There is room again for what did not fit.
    pub(super) fn send_rest(&mut self, index: u32) {
        let Some(connection) = self.connections.get(index) else { return };
        let user = connection.user;
        match connection.send_rest() {
            Ok(sent) => {
                let state = &self.users[user as usize];
                let endpoint = self.routes[state.flow as usize].endpoint;
                self.second.figures(endpoint, state.warm_up).bytes_sent += sent as u64;
            }
            Err(_) => self.send_failed(index),
        }
    }

    /// A target that has closed may have answered before: what it said counts.
    fn send_failed(&mut self, index: u32) {
        let token = self.connections.token(index);
        self.receive(index, true);
        if self.connections.find(token).is_some()
            && self.connections.get(index).is_some_and(|connection| connection.busy)
        {
            self.lost(index, RESET);
        }
    }

    /// Reads what has come. With `hangup`, until the end shows.
    #[inline]
    pub(super) fn receive(&mut self, index: u32, hangup: bool) {
        let token = self.connections.token(index);
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(index) = self.connections.find(token) {
            let Some(connection) = self.connections.get(index) else { break };
            let received = connection.receive(&mut buffer);
            self.touch();
            match received {
                Ok(0) => {
                    self.input_ended(index);
                    break;
                }
                Ok(count) => {
                    self.take_input(index, &buffer[..count]);
                    // Less than the room: the socket is empty, and what comes later is a new event.
                    if count < buffer.len() && !hangup {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.lost(index, RESET);
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    fn take_input(&mut self, index: u32, input: &[u8]) {
        let Some(connection) = self.connections.get(index) else { return };
        if !connection.busy {
            // Nobody asked for this.
            self.drop_connection(index);
            return;
        }
        let user = connection.user;
        let begun = connection.reader.has_begun();
        let progress = connection.reader.feed(input);
        if !begun && connection.reader.has_begun() {
            self.users[user as usize].first_byte = self.now;
        }
        match progress {
            Ok(Progress::More) => {}
            Ok(Progress::Done(consumed)) => self.complete(index, &input[..consumed], consumed < input.len()),
            Err(fault) => {
                let outcome = match fault {
                    response::Fault::Protocol(_) => Outcome::ProtocolError,
                    response::Fault::HeadTooLarge | response::Fault::TooLarge => Outcome::ResponseTooLarge,
                };
                let most = self.shared.plan.connections.max_response_bytes.unwrap_or(0);
                self.fail(user, outcome, &Message::Fault(fault, most));
            }
        }
    }

    /// The target has closed its side.
    fn input_ended(&mut self, index: u32) {
        let Some(connection) = self.connections.get(index) else { return };
        if connection.busy && connection.reader.end_of_input() {
            self.complete(index, &[], true);
            return;
        }
        let why = if connection.reader.is_untouched() { CLOSED_BEFORE } else { CLOSED_WITHIN };
        self.lost(index, why);
    }

    /// The connection is gone without our doing.
    fn lost(&mut self, index: u32, why: &'static str) {
        let Some(connection) = self.connections.get(index) else { return };
        let (user, origin) = (connection.user, connection.origin);
        let (busy, stale) = (connection.busy, connection.reused && connection.reader.is_untouched());
        self.second.generator.connections_lost += 1;
        if !busy {
            self.drop_connection(index);
            return;
        }
        let state = &mut self.users[user as usize];
        let route = &self.routes[state.flow as usize];
        if stale && route.idempotent && !state.redialled {
            state.redialled = true;
            state.dials = 0;
            let (endpoint, warm_up) = (route.endpoint, state.warm_up);
            self.second.figures(endpoint, warm_up).redialled += 1;
            self.drop_connection(index);
            self.dial(user, origin);
            return;
        }
        self.fail(user, Outcome::ConnectionClosed, &Message::Text(why));
    }

    /// A whole response is there; `input` is its last piece.
    #[inline]
    fn complete(&mut self, index: u32, input: &[u8], ends_connection: bool) {
        let Some(connection) = self.connections.get(index) else { return };
        let Some(head) = connection.reader.head().copied() else { return };
        let user = connection.user;
        let state = &self.users[user as usize];
        let route = &self.routes[state.flow as usize];
        let received = connection.reader.received();
        let step = &self.shared.plan.flows[state.flow as usize].steps[0];
        let expected = step.expected_statuses.iter().any(|(low, high)| (*low..=*high).contains(&head.status));
        let (outcome, message) = if !expected {
            (Outcome::UnexpectedStatus, Message::Status(head.status, state.flow))
        } else if route.checks.is_empty() {
            (Outcome::Ok, Message::None)
        } else {
            let body = crate::decode::text(connection.reader.raw(input), route.expect, received);
            match route.checks.iter().position(|check| !check.holds(&body)) {
                // Checks are as few as people write.
                Some(failed) => (Outcome::CheckFailed, Message::Check(state.flow, u32::try_from(failed).unwrap_or(0))),
                None => (Outcome::Ok, Message::None),
            }
        };
        let response = self.now.saturating_sub(state.intended);
        if let Some(reason) = self.sampler.wants(route.endpoint, state.warm_up, outcome, response) {
            let raw = connection.reader.raw(input);
            self.sampler.keep(
                reason,
                sample(state, &self.shared.plan, outcome, &message, self.now, route.expect, raw, received),
            );
        }
        let (endpoint, warm_up) = (route.endpoint, state.warm_up);
        connection.busy = false;
        connection.reused = true;
        connection.reader.finish();
        let reusable = self.shared.plan.connections.keep_alive
            && head.keep_alive
            && !ends_connection
            && head.framing != Framing::UntilClose
            && !connection.has_unsent();
        self.second.figures(endpoint, warm_up).bytes_received += received;
        if !reusable {
            self.drop_connection(index);
        }
        self.finish(user, outcome, &message, head.status);
    }

    /// The request of `user` ends without a full response; its connection is closed.
    #[cold]
    pub(super) fn fail(&mut self, user: u32, outcome: Outcome, message: &Message) {
        self.touch();
        let state = &self.users[user as usize];
        let (index, warm_up) = (state.connection, state.warm_up);
        let route = &self.routes[state.flow as usize];
        let endpoint = route.endpoint;
        let reader = self.connections.get(index).map(|connection| &connection.reader);
        let received = reader.as_ref().map_or(0, |reader| reader.received());
        let response = self.now.saturating_sub(state.intended);
        if let Some(reason) = self.sampler.wants(endpoint, warm_up, outcome, response) {
            let raw = reader.map_or(&[][..], |reader| reader.raw(&[]));
            self.sampler.keep(
                reason,
                sample(state, &self.shared.plan, outcome, message, self.now, route.expect, raw, received),
            );
        }
        if received > 0 {
            self.second.figures(endpoint, warm_up).bytes_received += received;
        }
        if index != NONE {
            self.drop_connection(index);
        }
        self.finish(user, outcome, message, 0);
    }

    /// The one place in which a request ends.
    #[inline]
    pub(super) fn finish(&mut self, user: u32, outcome: Outcome, message: &Message, status: u16) {
        let state = &mut self.users[user as usize];
        state.state = State::Idle;
        state.connection = NONE;
        self.in_flight -= 1;
        self.last_finish = self.now;
        self.deadlines.remove(user);
        let (endpoint, warm_up) = (self.routes[state.flow as usize].endpoint, state.warm_up);
        let response = self.now.saturating_sub(state.intended);
        let service = self.now.saturating_sub(state.actual);
        let figures = self.second.figures(endpoint, warm_up);
        figures.outcomes[outcome as usize] += 1;
        let mut clamped = false;
        match outcome {
            Outcome::Ok | Outcome::UnexpectedStatus | Outcome::CheckFailed => {
                figures.count_status(status);
                clamped |= if outcome == Outcome::Ok {
                    figures.response_ok.record(response)
                } else {
                    figures.response_failed.record(response)
                };
                figures.first_byte.record(state.first_byte.saturating_sub(state.actual));
                if !self.times_are_equal {
                    figures.service.record(service);
                }
            }
            Outcome::Timeout => {
                clamped |= figures.response_timeout.record(response);
                if !self.times_are_equal {
                    figures.service.record(service);
                }
            }
            Outcome::GeneratorError | Outcome::Unfinished => {}
            _ => clamped |= figures.error_time.record(response),
        }
        figures.clamped += u64::from(clamped);
        if self.now >= self.end_of_sending && !self.total_reached {
            figures.drained_ok += u64::from(outcome == Outcome::Ok);
            figures.drained_failed += u64::from(outcome.is_failure());
        }
        if outcome == Outcome::Ok {
            self.freed.push_back(user);
            return;
        }
        if outcome.is_failure() || outcome == Outcome::GeneratorError {
            self.second.count_failure(endpoint, warm_up, outcome, message, self.now);
        }
        if outcome == Outcome::GeneratorError && self.shared.plan.load.model == crate::plan::Model::Closed {
            self.pause(user);
        } else {
            self.freed.push_back(user);
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn sample(
    user: &User,
    plan: &Plan,
    outcome: Outcome,
    message: &Message,
    now: u64,
    expect: Expect,
    raw: &[u8],
    received: u64,
) -> RawSample {
    // Head and the part of the body that is shown; a chunked or compressed one may take more than it gives.
    let most = response::MOST_HEAD_BYTES + plan.sampling.body_bytes + 4096;
    RawSample {
        reason: Reason::First,
        flow: user.flow,
        warm_up: user.warm_up,
        outcome,
        message: message.clone(),
        values: Values { seed: plan.seed, number: user.number, wall_ns: user.wall_ns },
        intended_ns: user.intended,
        actual_ns: user.actual,
        finish_ns: now,
        first_byte_ns: (user.first_byte > 0).then_some(user.first_byte),
        expect,
        response: raw[..raw.len().min(most)].to_vec(),
        response_bytes: received,
        hop: None,
    }
}

/// Decides which requests are kept whole.
#[derive(Debug)]
pub(super) struct Sampler {
    first_left: Vec<u64>,
    failures_per_kind: u64,
    failures: HashMap<(usize, Outcome), u64>,
    slowest: usize,
    /// The longest response times so far.
    slow_times: BinaryHeap<Reverse<u64>>,
    /// Slower than this is among the slowest.
    slow_over: u64,
    kept: Vec<RawSample>,
    slow: Vec<RawSample>,
}

impl Sampler {
    pub(super) fn new(plan: &Plan) -> Sampler {
        Sampler {
            first_left: vec![plan.sampling.first_per_endpoint; plan.endpoints.len()],
            failures_per_kind: plan.sampling.failures_per_kind,
            failures: HashMap::new(),
            slowest: plan.sampling.slowest,
            slow_times: BinaryHeap::new(),
            slow_over: if plan.sampling.slowest == 0 { u64::MAX } else { 0 },
            kept: Vec::new(),
            slow: Vec::new(),
        }
    }

    /// Whether a request that ends is to be kept, and why.
    #[inline]
    fn wants(&mut self, endpoint: usize, warm_up: bool, outcome: Outcome, response: u64) -> Option<Reason> {
        if outcome == Outcome::Ok && self.first_left[endpoint] == 0 && (response <= self.slow_over || warm_up) {
            return None;
        }
        self.choose(endpoint, warm_up, outcome, response)
    }

    #[cold]
    fn choose(&mut self, endpoint: usize, warm_up: bool, outcome: Outcome, response: u64) -> Option<Reason> {
        if outcome == Outcome::Unfinished {
            return None;
        }
        let slow = response > self.slow_over && !warm_up && outcome != Outcome::GeneratorError;
        if slow {
            self.slow_times.push(Reverse(response));
            if self.slow_times.len() > self.slowest {
                self.slow_times.pop();
            }
            if self.slow_times.len() == self.slowest {
                self.slow_over = self.slow_times.peek().map_or(0, |Reverse(least)| *least);
            }
        }
        if self.first_left[endpoint] > 0 {
            self.first_left[endpoint] -= 1;
            return Some(Reason::First);
        }
        if outcome != Outcome::Ok {
            let seen = self.failures.entry((endpoint, outcome)).or_default();
            if *seen < self.failures_per_kind {
                *seen += 1;
                return Some(Reason::Failure);
            }
        }
        slow.then_some(Reason::Slowest)
    }

    fn keep(&mut self, reason: Reason, mut sample: RawSample) {
        sample.reason = reason;
        if reason != Reason::Slowest {
            self.kept.push(sample);
        } else if self.slow.len() < self.slowest {
            self.slow.push(sample);
        } else {
            // While everything gets slower and slower, only the slowest of this second are kept.
            let time = |sample: &RawSample| sample.finish_ns - sample.intended_ns;
            if let Some(fastest) = self.slow.iter_mut().min_by_key(|sample| time(sample)) {
                *fastest = sample;
            }
        }
    }

    /// Gives away what was kept in this second.
    pub(super) fn hand_over(&mut self, samples: &mut Vec<RawSample>) {
        samples.append(&mut self.kept);
        samples.append(&mut self.slow);
    }
}
