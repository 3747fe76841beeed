//! Sending a request, reading its response, and the one place in which a request ends.

use super::Worker;
use super::connections::Received;
use super::redirects::Next;
use super::sampling::sample;
use super::user::State;
use crate::clock;
use crate::deadlines::NONE;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::redirect;
use crate::response::{self, Framing, Head, Progress};
use crate::template::Values;

/// Checks look at so much of a body at most.
pub(super) const MOST_CHECKED_BYTES: usize = 4 * 1024 * 1024;

pub(super) const CLOSED_BEFORE: &str = "closed before any byte of the answer";
pub(super) const CLOSED_WITHIN: &str = "closed in the middle of the answer";
pub(super) const RESET: &str = "reset by the target";

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
        let expect = state.hop.as_ref().map_or(route.expect, |hop| hop.expect);
        connection.reader.start(expect, route.keep, self.most_bytes);
        let bytes = if let Some(hop) = &state.hop {
            hop.request.as_slice()
        } else if let Some(bytes) = route.program.constant() {
            bytes
        } else {
            state.wall_ns = if route.program.needs_wall_time { clock::wall_ns() } else { 0 };
            self.outgoing.clear();
            let values = Values { seed: self.shared.plan.seed, number: state.number, wall_ns: state.wall_ns };
            route.program.render(values, &mut self.outgoing);
            &self.outgoing
        };
        let sent = connection.send(bytes, &mut self.records);
        self.second.figures(route.endpoint, state.warm_up).bytes_sent += bytes.len() as u64;
        if sent.is_err() {
            self.send_failed(index);
        }
    }

    /// There is room again for what did not fit.
    pub(super) fn send_rest(&mut self, index: u32) {
        let Some(connection) = self.connections.get(index) else { return };
        let is_multiplexed = connection.is_multiplexed();
        if connection.send_rest().is_err() {
            self.send_failed(index);
        } else if is_multiplexed {
            self.mark_dirty(index);
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
        while self.connections.find(token).is_some() {
            let Some(connection) = self.connections.get(index) else { break };
            let is_tls = connection.is_tls();
            if is_tls {
                self.plain.clear();
            }
            let received = connection.receive(&mut buffer, &mut self.records, &mut self.plain);
            self.touch();
            match received {
                Received::Bytes(count) => {
                    if is_tls {
                        let plain = std::mem::take(&mut self.plain);
                        if !plain.is_empty() {
                            self.take_input(index, &plain);
                        }
                        self.plain = plain;
                    } else {
                        self.take_input(index, &buffer[..count]);
                    }
                    // Less than the room: the socket is empty, and what comes later is a new event.
                    if count < buffer.len() && !hangup {
                        break;
                    }
                }
                Received::Nothing => break,
                Received::End => {
                    self.input_ended(index);
                    break;
                }
                Received::Reset => {
                    self.lost(index, RESET);
                    break;
                }
                Received::Broken(error) => {
                    self.tls_failed(index, &error);
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    pub(super) fn take_input(&mut self, index: u32, input: &[u8]) {
        let Some(connection) = self.connections.get(index) else { return };
        if connection.is_multiplexed() {
            self.take_frames(index, input);
            return;
        }
        if !connection.busy {
            // Nobody asked for this.
            self.drop_connection(index);
            return;
        }
        let user = connection.user;
        let begun = connection.reader.has_begun();
        let cache = &mut self.head_caches[self.users[user as usize].flow as usize];
        let progress = connection.reader.feed(input, cache);
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
                self.fail(user, outcome, &Message::Fault(fault, self.most_bytes));
            }
        }
    }

    /// The target has closed its side.
    fn input_ended(&mut self, index: u32) {
        let Some(connection) = self.connections.get(index) else { return };
        if connection.is_multiplexed() {
            self.lose_shared(index, CLOSED_BEFORE);
            return;
        }
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
        if connection.is_multiplexed() {
            self.lose_shared(index, why);
            return;
        }
        let (user, origin) = (connection.user, connection.origin);
        let (busy, stale) = (connection.busy, connection.reused && connection.reader.is_untouched());
        self.second.generator.connections_lost += 1;
        if !busy {
            self.drop_connection(index);
            return;
        }
        let state = &mut self.users[user as usize];
        let route = &self.routes[state.flow as usize];
        let idempotent = state.hop.as_ref().map_or(route.idempotent, |hop| is_idempotent(&hop.request));
        if stale && idempotent && !state.redialled {
            state.redialled = true;
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
        let mut withheld = false;
        if self.follows_redirects && head.has_location && redirect::is_redirect(head.status) {
            let raw = connection.reader.raw(input).to_vec();
            match self.next_after(user, head.status, &raw) {
                Next::Follow(place) => return self.follow(user, index, place, head, ends_connection),
                Next::Withheld => withheld = true,
                Next::Answer => {}
            }
        }
        let Some(connection) = self.connections.get(index) else { return };
        let state = &self.users[user as usize];
        let route = &self.routes[state.flow as usize];
        let expect = state.hop.as_ref().map_or(route.expect, |hop| hop.expect);
        let received = connection.reader.received();
        let step = &self.shared.plan.flows[state.flow as usize].steps[0];
        let expected = step.expected_statuses.iter().any(|(low, high)| (*low..=*high).contains(&head.status));
        let (outcome, message) = if !expected {
            (Outcome::UnexpectedStatus, Message::status(head.status, state.flow, withheld))
        } else if route.checks.is_empty() {
            (Outcome::Ok, Message::None)
        } else {
            let body = crate::decode::text(connection.reader.raw(input), expect);
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
                sample(
                    state,
                    &self.shared.plan,
                    &self.origins,
                    outcome,
                    &message,
                    self.now,
                    expect,
                    raw,
                    connection.reader.body_bytes(),
                ),
            );
        }
        let (endpoint, warm_up) = (route.endpoint, state.warm_up);
        self.second.figures(endpoint, warm_up).bytes_received += received;
        self.release(index, head, ends_connection);
        self.finish(user, outcome, &message, head.status);
    }

    /// A response has been read to its end: its connection is free for the next request, or closed.
    #[inline]
    pub(super) fn release(&mut self, index: u32, head: Head, ends_connection: bool) {
        let keep_alive = self.shared.plan.connections.keep_alive;
        let Some(connection) = self.connections.get(index) else { return };
        connection.busy = false;
        connection.reused = true;
        connection.reader.finish();
        let reusable = keep_alive
            && head.keep_alive
            && !ends_connection
            && head.framing != Framing::UntilClose
            && !connection.has_unsent();
        if !reusable {
            self.drop_connection(index);
        }
    }

    /// The request of `user` ends without a full response; its connection is closed.
    #[cold]
    pub(super) fn fail(&mut self, user: u32, outcome: Outcome, message: &Message) {
        self.touch();
        let state = &self.users[user as usize];
        let (index, warm_up) = (state.connection, state.warm_up);
        let route = &self.routes[state.flow as usize];
        let endpoint = route.endpoint;
        let is_shared = self.connections.get(index).is_some_and(|connection| connection.multiplex.is_some());
        if is_shared && state.answer.as_ref().is_some_and(|answer| answer.has_stream()) {
            self.leave_stream(user, index, outcome, message);
            self.finish(user, outcome, message, 0);
            return;
        }
        let reader = self.connections.get(index).map(|connection| &connection.reader);
        let received = reader.as_ref().map_or(0, |reader| reader.received());
        let response = self.now.saturating_sub(state.intended);
        if let Some(reason) = self.sampler.wants(endpoint, warm_up, outcome, response) {
            let raw = reader.map_or(&[][..], |reader| reader.raw(&[]));
            self.sampler.keep(
                reason,
                sample(
                    state,
                    &self.shared.plan,
                    &self.origins,
                    outcome,
                    message,
                    self.now,
                    route.expect,
                    raw,
                    received,
                ),
            );
        }
        if received > 0 {
            self.second.figures(endpoint, warm_up).bytes_received += received;
        }
        // Others wait for a connection that is shared; this one no longer does.
        if index != NONE && !is_shared {
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

/// By its method, the first word of the request.
pub(super) fn is_idempotent(request: &[u8]) -> bool {
    let method = request.split(|byte| *byte == b' ').next().unwrap_or(&[]);
    matches!(method, b"GET" | b"HEAD" | b"PUT" | b"DELETE" | b"OPTIONS" | b"TRACE")
}
