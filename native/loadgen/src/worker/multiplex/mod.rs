//! HTTP/2: users that share a connection. The protocol itself is the crate `h2client`.
//!
//! # Layout
//!
//! - `mod.rs`: who uses which connection, and what happens when one ends;
//! - `heads.rs`, `sending.rs`: what goes out on streams; `answers.rs`: what comes in on them;
//! - `judging.rs`: how a request on a stream ends.

mod answers;
mod heads;
mod judging;
mod sending;

use std::collections::VecDeque;
use std::sync::Arc;

use super::Worker;
use super::connections::ConnectionKey;
use super::exchange::{CLOSED_BEFORE, CLOSED_WITHIN, is_idempotent};
use super::user::State;
use crate::deadlines::NONE;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::plan::{HttpVersion, Scheme};

pub(super) use answers::{Answer, Ended};
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

    /// New requests go elsewhere.
    fn unlink(&mut self, index: u32) {
        if let Some(key) = self.multiplex(index).map(|multiplex| multiplex.key)
            && self.links.get(&key) == Some(&index)
        {
            self.links.remove(&key);
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
