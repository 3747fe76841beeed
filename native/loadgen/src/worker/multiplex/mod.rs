//! HTTP/2: users that share a connection. The protocol itself is the crate `h2client`; here is who uses which connection,
//! what happens when one ends, and one write for everything that a turn of the loop has to say.

mod answers;
mod heads;

use std::collections::VecDeque;
use std::sync::Arc;

use h2client::{Body, Failure, Request};

use super::Worker;
use super::connections::{Connection, ConnectionKey};
use super::exchange::{CLOSED_BEFORE, CLOSED_WITHIN, is_idempotent};
use super::user::State;
use crate::clock;
use crate::deadlines::NONE;
use crate::decode;
use crate::outcome::Outcome;
use crate::plan::{HttpVersion, Scheme};
use crate::record::{Message, RawSample, Reason};
use crate::redirect;
use crate::response::{self, Fault, Framing};
use crate::template::Values;

use answers::Sink;
pub(super) use answers::{Answer, End, Ended};
pub(super) use heads::{StreamRoute, templates};

/// A connection's part in this.
#[derive(Debug)]
pub(super) struct Multiplex {
    /// Which users may use it.
    pub(super) key: ConnectionKey,
    /// The protocol's state, once the connection is open and speaks HTTP/2.
    protocol: Option<Box<h2client::Connection>>,
    /// (user, request number): who waits for the connection, or for a free stream on it.
    queue: VecDeque<(u32, u64)>,
    /// It has something to send.
    dirty: bool,
}

impl Multiplex {
    pub(super) fn new(key: ConnectionKey, user: u32, number: u64) -> Multiplex {
        Multiplex { key, protocol: None, queue: VecDeque::from([(user, number)]), dirty: false }
    }

    pub(super) fn is_open(&self) -> bool {
        self.protocol.is_some()
    }
}

impl Worker {
    /// True where a request for `origin` may share a connection.
    pub(super) fn may_share(&self, origin: u32) -> bool {
        let place = &self.origins[origin as usize];
        let over_tls = place.scheme == Scheme::Https;
        match self.shared.plan.connections.http_version {
            HttpVersion::One => false,
            // Prior knowledge; a proxy in between would have to speak HTTP/2 itself.
            HttpVersion::Two => over_tls || self.shared.plan.connections.proxy.is_none(),
            HttpVersion::Auto => over_tls && !self.speaks_one.contains(&origin),
        }
    }

    /// The users of a group share a connection for each origin.
    fn key(&self, user: u32, origin: u32) -> ConnectionKey {
        (origin, user / self.shared.plan.connections.streams_per_connection.max(1))
    }

    /// Sends the request of `user` on the connection of its group, which is dialled where there is none.
    pub(super) fn share(&mut self, user: u32, origin: u32) {
        let key = self.key(user, origin);
        let number = self.users[user as usize].number;
        let Some(index) = self.links.get(&key).copied() else {
            self.dial(user, origin);
            let index = self.users[user as usize].connection;
            if let Some(connection) = self.connections.get(index) {
                connection.multiplex = Some(Box::new(Multiplex::new(key, user, number)));
                self.links.insert(key, index);
            }
            return;
        };
        self.users[user as usize].connection = index;
        self.detach_stream(user);
        if let Some(multiplex) = self.connections.get(index).and_then(|connection| connection.multiplex.as_deref_mut())
        {
            multiplex.queue.push_back((user, number));
        }
        self.pump(index);
    }

    fn detach_stream(&mut self, user: u32) {
        if let Some(answer) = self.users[user as usize].answer.as_deref_mut() {
            answer.stream = 0;
        }
    }

    /// A connection that may be shared is open. True where it speaks HTTP/2.
    pub(super) fn opened_shared(&mut self, index: u32) -> bool {
        let (templates, settings) = (Arc::clone(&self.templates), self.stream_settings());
        let wants_two = self.shared.plan.connections.http_version == HttpVersion::Two;
        let Some(connection) = self.connections.get(index) else { return true };
        let protocol = connection.protocol().map(<[u8]>::to_vec);
        let is_tls = connection.is_tls();
        let (user, origin) = (connection.user, connection.origin);
        let Some(multiplex) = connection.multiplex.as_deref_mut() else { return false };
        if protocol.as_deref() == Some(b"h2") || (wants_two && !is_tls) {
            multiplex.protocol = Some(Box::new(h2client::Connection::new(settings, templates)));
            self.pump(index);
            return true;
        }
        if wants_two {
            self.fail_shared(index, Outcome::TlsError, &Message::Text("the target does not speak HTTP/2"));
            return true;
        }
        // HTTP/1.1 was agreed upon: the connection is its dialler's alone, and the others get one each.
        let (key, queue) = (multiplex.key, std::mem::take(&mut multiplex.queue));
        connection.multiplex = None;
        self.links.remove(&key);
        self.speaks_one.push(origin);
        for (waiting, number) in queue {
            if waiting != user && self.waits(waiting, number, index) {
                self.users[waiting as usize].connection = NONE;
                self.dial(waiting, origin);
            }
        }
        false
    }

    fn stream_settings(&self) -> h2client::Settings {
        let streams = self.shared.plan.connections.streams_per_connection.max(1);
        h2client::Settings { max_streams: streams, ..h2client::Settings::default() }
    }

    /// True where `user` still waits on this connection with the request that it had.
    fn waits(&self, user: u32, number: u64, index: u32) -> bool {
        let state = &self.users[user as usize];
        let has_stream = state.answer.as_ref().is_some_and(|answer| answer.stream != 0);
        state.state == State::Busy && state.number == number && state.connection == index && !has_stream
    }

    /// Sends what waits, as far as there are streams.
    fn pump(&mut self, index: u32) {
        loop {
            let Some(multiplex) = self.multiplex(index) else { return };
            let Some(protocol) = multiplex.protocol.as_deref() else { return };
            if protocol.available() == 0 {
                break;
            }
            let Some((user, number)) = multiplex.queue.pop_front() else { break };
            if self.waits(user, number, index) {
                self.send_stream(user, index);
            }
        }
        self.mark_dirty(index);
    }

    fn multiplex(&mut self, index: u32) -> Option<&mut Multiplex> {
        self.connections.get(index)?.multiplex.as_deref_mut()
    }

    pub(super) fn mark_dirty(&mut self, index: u32) {
        if let Some(multiplex) = self.multiplex(index)
            && !std::mem::replace(&mut multiplex.dirty, true)
        {
            self.dirty.push(index);
        }
    }

    fn send_stream(&mut self, user: u32, index: u32) {
        let seed = self.shared.plan.seed;
        let Some(connection) = self.connections.get(index) else { return };
        let Some(protocol) =
            connection.multiplex.as_deref_mut().and_then(|multiplex| multiplex.protocol.as_deref_mut())
        else {
            return;
        };
        let state = &mut self.users[user as usize];
        let route = &self.routes[state.flow as usize];
        let before = protocol.outgoing().len();
        let head_request = state.hop.as_ref().map_or(route.expect, |hop| hop.expect).head_only;
        let want_headers = self.sampler.is_curious(route.endpoint);
        let request = Request { token: u64::from(user), body: Body::None, head_request, want_headers };
        let sent = if let Some(hop) = &state.hop {
            let (fields, body) = fields_of(&hop.request, self.origins[hop.origin as usize].scheme);
            let body = if body.is_empty() { Body::None } else { Body::Bytes(body) };
            let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            protocol.send_once(fields, Request { body, ..request })
        } else {
            let Some(stream) = &route.stream else { return };
            state.wall_ns = if route.program.needs_wall_time { clock::wall_ns() } else { 0 };
            let values = Values { seed, number: state.number, wall_ns: state.wall_ns };
            self.outgoing.clear();
            if let Some(body) = &stream.body {
                body.render(values, &mut self.outgoing);
            }
            let body = if self.outgoing.is_empty() { Body::None } else { Body::Bytes(&self.outgoing) };
            let request = Request { body, ..request };
            protocol.send_request(state.flow as usize, request, |nth, out| stream.values[nth].render(values, out))
        };
        let sent_bytes = protocol.outgoing().len().saturating_sub(before);
        let (endpoint, warm_up) = (route.endpoint, state.warm_up);
        if let Ok(stream) = sent {
            state.connection = index;
            state.answer.get_or_insert_default().start(stream.id);
            self.second.figures(endpoint, warm_up).bytes_sent += sent_bytes as u64;
        } else {
            // The connection says goodbye just now: another one takes the request.
            self.unlink(index);
            let origin = self.origin_of(user);
            self.users[user as usize].connection = NONE;
            self.share(user, origin);
        }
    }

    fn origin_of(&self, user: u32) -> u32 {
        let state = &self.users[user as usize];
        state.hop.as_ref().map_or(self.routes[state.flow as usize].origin, |hop| hop.origin)
    }

    /// New requests go elsewhere.
    fn unlink(&mut self, index: u32) {
        if let Some(key) = self.multiplex(index).map(|multiplex| multiplex.key)
            && self.links.get(&key) == Some(&index)
        {
            self.links.remove(&key);
        }
    }

    /// Writes what the turn of the loop has to say, one write for each connection.
    pub(super) fn flush_streams(&mut self) {
        while let Some(index) = self.dirty.pop() {
            let mut records = std::mem::take(&mut self.records);
            let failed = self.connections.get(index).is_some_and(|connection| !flush(connection, &mut records));
            self.records = records;
            if failed {
                self.lose_shared(index, super::exchange::RESET);
            }
        }
    }

    /// Bytes have come in on a shared connection.
    pub(super) fn take_frames(&mut self, index: u32, input: &[u8]) {
        let mut ended = std::mem::take(&mut self.ended_streams);
        let protocol = self.connections.get(index).and_then(|connection| connection.multiplex.as_deref_mut());
        let Some(protocol) = protocol.and_then(|multiplex| multiplex.protocol.as_deref_mut()) else { return };
        let mut sink = Sink {
            users: &mut self.users,
            routes: &self.routes,
            now: self.now,
            most_bytes: self.most_bytes,
            ended: &mut ended,
            goes_away: false,
        };
        let result = protocol.receive(input, &mut sink);
        let goes_away = sink.goes_away;
        self.mark_dirty(index);
        if goes_away {
            self.unlink(index);
        }
        for (user, stream, end) in ended.drain(..) {
            let current = self.users[user as usize].answer.as_ref().map_or(0, |answer| answer.stream);
            if current == stream && self.users[user as usize].connection == index {
                self.stream_ended(user, index, end);
            }
        }
        self.ended_streams = ended;
        if let Err(error) = result {
            let message = Message::Reason(Arc::from(error.to_string()));
            let outcome = match error.kind {
                h2client::ErrorKind::HeadersTooLarge => Outcome::ResponseTooLarge,
                _ => Outcome::ProtocolError,
            };
            self.fail_shared(index, outcome, &message);
            return;
        }
        self.pump(index);
        let is_spent = self.multiplex(index).is_some_and(|multiplex| {
            multiplex.queue.is_empty()
                && multiplex
                    .protocol
                    .as_ref()
                    .is_some_and(|protocol| protocol.is_draining() && protocol.in_flight() == 0)
        });
        if is_spent {
            self.flush_and_close(index);
        }
    }

    fn flush_and_close(&mut self, index: u32) {
        let token = self.connections.token(index);
        self.flush_streams();
        // Where the last words could not be sent, the connection is gone, and another may have its place.
        if self.connections.find(token).is_some() {
            self.close_shared(index);
        }
    }

    fn stream_ended(&mut self, user: u32, index: u32, end: End) {
        match end {
            End::Whole => self.complete_stream(user, index),
            End::TooLarge => {
                self.fail(user, Outcome::ResponseTooLarge, &Message::Fault(Fault::TooLarge, self.most_bytes));
            }
            End::Failed(Failure::NotProcessed) if !self.users[user as usize].redialled => {
                self.unlink(index);
                self.send_again(user);
            }
            End::Failed(failure) => {
                let message = Message::Reason(Arc::from(failure.to_string()));
                let outcome = match failure {
                    Failure::HeadersTooLarge => Outcome::ResponseTooLarge,
                    Failure::Malformed(_) => Outcome::ProtocolError,
                    Failure::Reset(_) | Failure::NotProcessed => Outcome::ConnectionClosed,
                };
                self.fail(user, outcome, &message);
            }
        }
    }

    /// The target did not look at the request: it goes out once more, on another connection.
    fn send_again(&mut self, user: u32) {
        let state = &mut self.users[user as usize];
        state.redialled = true;
        state.connection = NONE;
        let (flow, warm_up) = (state.flow as usize, state.warm_up);
        let endpoint = self.routes[flow].endpoint;
        self.second.figures(endpoint, warm_up).redialled += 1;
        self.detach_stream(user);
        let origin = self.origin_of(user);
        self.share(user, origin);
    }

    fn complete_stream(&mut self, user: u32, index: u32) {
        let Some(mut answer) = self.users[user as usize].answer.take() else { return };
        if let Some(connection) = self.connections.get(index) {
            connection.reused = true;
        }
        self.judge_stream(user, index, &mut answer);
        // A request that was sent on by a redirect has begun its next answer already.
        let place = &mut self.users[user as usize].answer;
        if place.is_none() {
            answer.stream = 0;
            *place = Some(answer);
        }
    }

    fn judge_stream(&mut self, user: u32, index: u32, answer: &mut Answer) {
        let state = &self.users[user as usize];
        let route = &self.routes[state.flow as usize];
        let (endpoint, warm_up, flow) = (route.endpoint, state.warm_up, state.flow);
        if self.follows_redirects && answer.has_location && redirect::is_redirect(answer.status) {
            let raw = answer.raw();
            if let Some(place) = self.place_after(user, &raw) {
                self.second.figures(endpoint, warm_up).bytes_received += answer.received;
                let head = response::Head {
                    status: answer.status,
                    length: answer.head.len(),
                    framing: Framing::Length(0),
                    keep_alive: true,
                    has_location: true,
                };
                self.follow(user, NONE, place, head, false);
                return;
            }
        }
        let state = &self.users[user as usize];
        let route = &self.routes[state.flow as usize];
        let step = &self.shared.plan.flows[flow as usize].steps[0];
        let expected = step.expected_statuses.iter().any(|(low, high)| (*low..=*high).contains(&answer.status));
        let (outcome, message) = if !expected {
            (Outcome::UnexpectedStatus, Message::Status(answer.status, flow))
        } else if route.checks.is_empty() {
            (Outcome::Ok, Message::None)
        } else {
            let coding = answer.coding.unwrap_or(response::Coding::Identity);
            let body = decode::decoded(&answer.body, coding, decode::MOST_DECODED);
            match route.checks.iter().position(|check| !check.holds(&body)) {
                Some(failed) => (Outcome::CheckFailed, Message::Check(flow, u32::try_from(failed).unwrap_or(0))),
                None => (Outcome::Ok, Message::None),
            }
        };
        let response = self.now.saturating_sub(state.intended);
        if let Some(reason) = self.sampler.wants(endpoint, warm_up, outcome, response) {
            self.keep_stream(user, outcome, &message, reason, answer);
        }
        self.second.figures(endpoint, warm_up).bytes_received += answer.received;
        let status = answer.status;
        self.finish(user, outcome, &message, status);
        if !self.shared.plan.connections.keep_alive {
            self.unlink(index);
            if let Some(protocol) = self.multiplex(index).and_then(|multiplex| multiplex.protocol.as_deref_mut()) {
                protocol.close();
            }
        }
    }

    fn keep_stream(&mut self, user: u32, outcome: Outcome, message: &Message, reason: Reason, answer: &Answer) {
        let state = &self.users[user as usize];
        let expect = state.hop.as_ref().map_or(self.routes[state.flow as usize].expect, |hop| hop.expect);
        let raw = answer.raw();
        let sample: RawSample = super::sampling::sample(
            state,
            &self.shared.plan,
            &self.origins,
            outcome,
            message,
            self.now,
            expect,
            &raw,
            answer.body_bytes,
        );
        self.sampler.keep(reason, RawSample { http2: true, ..sample });
    }

    /// A request on a shared connection ends without a full response; the connection goes on.
    pub(super) fn leave_stream(&mut self, user: u32, index: u32, outcome: Outcome, message: &Message) {
        let Some(mut answer) = self.users[user as usize].answer.take() else { return };
        if answer.stream != 0 {
            if let Some(protocol) = self.multiplex(index).and_then(|multiplex| multiplex.protocol.as_deref_mut()) {
                protocol.cancel(answer.stream);
            }
            self.mark_dirty(index);
            let state = &self.users[user as usize];
            let (endpoint, warm_up) = (self.routes[state.flow as usize].endpoint, state.warm_up);
            let response = self.now.saturating_sub(state.intended);
            if let Some(reason) = self.sampler.wants(endpoint, warm_up, outcome, response) {
                self.keep_stream(user, outcome, message, reason, &answer);
            }
            self.second.figures(endpoint, warm_up).bytes_received += answer.received;
        }
        answer.stream = 0;
        self.users[user as usize].answer = Some(answer);
    }

    /// Everything that used or awaited a shared connection, each with whether an answer had begun.
    fn users_of(&mut self, index: u32) -> Vec<(u32, bool)> {
        let Some(multiplex) = self.multiplex(index) else { return Vec::new() };
        let streams = multiplex.protocol.iter().flat_map(|protocol| protocol.streams());
        let mut users: Vec<(u32, u32, bool)> =
            streams.filter_map(|(stream, begun)| Some((u32::try_from(stream.token).ok()?, stream.id, begun))).collect();
        let queue = std::mem::take(&mut multiplex.queue);
        users.retain(|(user, id, _)| {
            self.users[*user as usize].answer.as_ref().is_some_and(|answer| answer.stream == *id)
        });
        let mut found: Vec<(u32, bool)> = users.into_iter().map(|(user, _, begun)| (user, begun)).collect();
        found.extend(
            queue.into_iter().filter(|(user, number)| self.waits(*user, *number, index)).map(|(user, _)| (user, false)),
        );
        for (user, _) in &found {
            // From here on they have no connection: its place may be another one's before they are looked at.
            self.users[*user as usize].connection = NONE;
            self.detach_stream(*user);
        }
        found
    }

    /// A shared connection cannot be used: so end all requests that are on it or wait for it.
    pub(super) fn fail_shared(&mut self, index: u32, outcome: Outcome, message: &Message) {
        let users = self.users_of(index);
        // What it still has to say (why it ends) is worth a try.
        self.flush_and_close(index);
        for (user, _) in users {
            self.fail(user, outcome, message);
        }
    }

    /// A shared connection is gone without our doing.
    pub(super) fn lose_shared(&mut self, index: u32, why: &'static str) {
        self.second.generator.connections_lost += 1;
        let users = self.users_of(index);
        let was_used = self.connections.get(index).is_some_and(|connection| connection.reused);
        self.close_shared(index);
        for (user, begun) in users {
            let state = &self.users[user as usize];
            let route = &self.routes[state.flow as usize];
            let idempotent = state.hop.as_ref().map_or(route.idempotent, |hop| is_idempotent(&hop.request));
            if was_used && !begun && idempotent && !state.redialled {
                self.send_again(user);
            } else {
                let words = match why {
                    CLOSED_BEFORE | CLOSED_WITHIN if begun => CLOSED_WITHIN,
                    CLOSED_BEFORE | CLOSED_WITHIN => CLOSED_BEFORE,
                    other => other,
                };
                self.fail(user, Outcome::ConnectionClosed, &Message::Text(words));
            }
        }
    }

    fn close_shared(&mut self, index: u32) {
        self.unlink(index);
        self.connections.close(index);
    }
}

/// Writes what there is; false where the connection is broken.
fn flush(connection: &mut Connection, records: &mut Vec<u8>) -> bool {
    let Some(mut multiplex) = connection.multiplex.take() else { return true };
    multiplex.dirty = false;
    let mut works = true;
    if let Some(protocol) = multiplex.protocol.as_deref_mut() {
        // While the socket is full, what is left waits in the protocol, where windows and limits hold it.
        while works && !connection.has_unsent() && !protocol.outgoing().is_empty() {
            let count = protocol.outgoing().len();
            works = connection.send(protocol.outgoing(), records).is_ok();
            protocol.consume(count);
        }
    }
    connection.multiplex = Some(multiplex);
    works
}

/// The fields of a request in HTTP/1.1's form, as HTTP/2 has them, and its body.
fn fields_of(request: &[u8], scheme: Scheme) -> (Vec<(String, String)>, &[u8]) {
    let end = memchr::memmem::find(request, b"\r\n\r\n").unwrap_or(request.len());
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    let body = request.get(end + 4..).unwrap_or(&[]);
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or("").split(' ');
    let (method, target) = (words.next().unwrap_or("GET"), words.next().unwrap_or("/"));
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let authority = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")).map_or("", |(_, value)| value);
    let mut fields: Vec<(String, String)> =
        [(":method", method), (":scheme", scheme.name()), (":authority", authority), (":path", target)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if h2client::is_allowed(name.as_bytes()) && (name != "te" || value == "trailers") {
            fields.push((name, value.to_owned()));
        }
    }
    (fields, body)
}
