//! HTTP/2: users that share a connection. The crate `h2client` implements the protocol.
//!
//! # Layout
//!
//! - `mod.rs`: assigns users to connections, and handles the end of a connection;
//! - `link.rs`: one shared connection, and all of them; `heads.rs`, `send.rs`: outgoing data of streams;
//! - `stream_response.rs`, `sink.rs`: incoming data of streams;
//! - `streams.rs`: the end of a request on a stream.

pub(super) mod heads;
pub(super) mod link;
mod send;
mod sink;
pub(super) mod stream_response;
mod streams;

use std::sync::Arc;

use super::Transport;
use super::connection::{CLOSED_BEFORE, CLOSED_WITHIN, NONE};
use super::events::{ConnectionEvent, Events};
use crate::message::Message;
use crate::outcome::Outcome;
use crate::plan::HttpVersion;

use link::Multiplex;

impl Transport {
    /// True if a request for `origin` may share a connection.
    pub(super) fn may_share(&self, origin: u32) -> bool {
        let over_tls = self.dialer.is_secure(origin);
        match self.options.http_version {
            HttpVersion::One => false,
            // Prior knowledge; a proxy in between would have to support HTTP/2 itself.
            HttpVersion::Two => over_tls || !self.dialer.has_proxy(),
            HttpVersion::Auto => over_tls && !self.links.speaks_one.contains(&origin),
        }
    }

    /// True if [`Transport::flush`] has data to send.
    #[inline]
    pub(crate) fn has_unflushed(&self) -> bool {
        !self.links.dirty.is_empty()
    }

    /// Sends the request of `user` on the connection of its group, dialled if there is none.
    pub(super) fn share(&mut self, user: u32, origin: u32, events: &mut impl Events) {
        let key = self.links.key(user, origin);
        let serial = self.exchanges[user as usize].serial;
        let Some(index) = self.links.by_key.get(&key).copied() else {
            self.dial(user, origin, events);
            let index = self.exchanges[user as usize].connection;
            if let Some(connection) = self.pool.get(index) {
                connection.multiplex = Some(Box::new(Multiplex::new(key, user, serial)));
                self.links.by_key.insert(key, index);
            }
            return;
        };
        self.exchanges[user as usize].connection = index;
        self.detach_stream(user);
        if let Some(multiplex) = self.multiplex(index) {
            multiplex.queue.push_back((user, serial));
        }
        self.pump(index, events);
    }

    fn detach_stream(&mut self, user: u32) {
        if let Some(response) = self.exchanges[user as usize].response.as_deref_mut() {
            response.stream = 0;
        }
    }

    /// Handles a new connection that may be shared; returns true if it is HTTP/2.
    pub(super) fn opened_shared(&mut self, index: u32, events: &mut impl Events) -> bool {
        let (templates, settings) = (Arc::clone(&self.links.templates), self.stream_settings());
        let wants_two = self.options.http_version == HttpVersion::Two;
        let Some(connection) = self.pool.get(index) else { return true };
        let protocol = connection.protocol().map(<[u8]>::to_vec);
        let is_tls = connection.is_tls();
        let (user, origin) = (connection.user, connection.origin);
        let Some(multiplex) = connection.multiplex.as_deref_mut() else { return false };
        if protocol.as_deref() == Some(b"h2") || (wants_two && !is_tls) {
            multiplex.protocol = Some(Box::new(h2client::Connection::new(settings, templates)));
            self.pump(index, events);
            return true;
        }
        if wants_two {
            self.fail_shared(index, Outcome::TlsError, &Message::Text("the target does not speak HTTP/2"), events);
            return true;
        }
        // HTTP/1.1 was negotiated: the connection belongs to the user that dialled it, and the others dial their own.
        let (key, queue) = (multiplex.key, std::mem::take(&mut multiplex.queue));
        connection.multiplex = None;
        self.links.by_key.remove(&key);
        self.links.speaks_one.push(origin);
        for (waiting, serial) in queue {
            if waiting != user && self.waits(waiting, serial, index) {
                self.exchanges[waiting as usize].connection = NONE;
                self.dial(waiting, origin, events);
            }
        }
        false
    }

    fn stream_settings(&self) -> h2client::Settings {
        h2client::Settings { max_streams: self.links.streams_per_connection, ..h2client::Settings::default() }
    }

    /// True if `user` still waits for this connection with the same request.
    fn waits(&self, user: u32, serial: u32, index: u32) -> bool {
        let exchange = &self.exchanges[user as usize];
        exchange.is_active && exchange.serial == serial && exchange.connection == index && !exchange.has_stream()
    }

    /// Sends waiting requests as far as streams are available.
    fn pump(&mut self, index: u32, events: &mut impl Events) {
        loop {
            let Some(multiplex) = self.multiplex(index) else { return };
            let Some(protocol) = multiplex.protocol.as_deref() else { return };
            if protocol.available() == 0 {
                break;
            }
            let Some((user, serial)) = multiplex.queue.pop_front() else { break };
            if self.waits(user, serial, index) {
                self.send_stream(user, index, events);
            }
        }
        self.mark_dirty(index);
    }

    fn multiplex(&mut self, index: u32) -> Option<&mut Multiplex> {
        self.pool.get(index)?.multiplex.as_deref_mut()
    }

    pub(super) fn mark_dirty(&mut self, index: u32) {
        if let Some(multiplex) = self.multiplex(index)
            && !std::mem::replace(&mut multiplex.dirty, true)
        {
            self.links.dirty.push(index);
        }
    }

    /// Excludes the connection from new requests.
    fn unlink(&mut self, index: u32) {
        if let Some(key) = self.multiplex(index).map(|multiplex| multiplex.key)
            && self.links.by_key.get(&key) == Some(&index)
        {
            self.links.by_key.remove(&key);
        }
    }

    fn flush_and_close(&mut self, index: u32, events: &mut impl Events) {
        let token = self.pool.token(index);
        self.flush(events);
        // If its last frames could not be sent, the connection is closed, and another may have its index.
        if self.pool.find(token).is_some() {
            self.close_shared(index);
        }
    }

    /// All users of a shared connection, active or waiting, each with whether a response had begun.
    fn users_of(&mut self, index: u32) -> Vec<(u32, bool)> {
        let Some(multiplex) = self.multiplex(index) else { return Vec::new() };
        let streams = multiplex.protocol.iter().flat_map(|protocol| protocol.streams());
        let mut users: Vec<(u32, u32, bool)> =
            streams.filter_map(|(stream, begun)| Some((u32::try_from(stream.token).ok()?, stream.id, begun))).collect();
        let queue = std::mem::take(&mut multiplex.queue);
        users.retain(|(user, id, _)| {
            self.exchanges[*user as usize].response.as_ref().is_some_and(|response| response.stream == *id)
        });
        let mut found: Vec<(u32, bool)> = users.into_iter().map(|(user, _, begun)| (user, begun)).collect();
        found.extend(
            queue.into_iter().filter(|(user, serial)| self.waits(*user, *serial, index)).map(|(user, _)| (user, false)),
        );
        for (user, _) in &found {
            // Detach them now: the connection's index may be reused before they are handled.
            self.exchanges[*user as usize].connection = NONE;
            self.detach_stream(*user);
        }
        found
    }

    /// Fails all requests on or waiting for a shared connection that cannot be used.
    pub(super) fn fail_shared(&mut self, index: u32, outcome: Outcome, message: &Message, events: &mut impl Events) {
        let users = self.users_of(index);
        // Send the target the reason for closing.
        self.flush_and_close(index, events);
        for (user, _) in users {
            self.fail(user, outcome, message, events);
        }
    }

    /// Handles a shared connection that the target has closed.
    pub(super) fn lose_shared(&mut self, index: u32, why: &'static str, events: &mut impl Events) {
        events.connection(ConnectionEvent::Lost);
        let users = self.users_of(index);
        let was_used = self.pool.get(index).is_some_and(|connection| connection.reused);
        self.close_shared(index);
        for (user, begun) in users {
            let exchange = &self.exchanges[user as usize];
            let idempotent = exchange.is_idempotent(&self.steps[exchange.step as usize]);
            if was_used && !begun && idempotent && events.may_retry(user) {
                self.send_again(user, events);
            } else {
                let why = match why {
                    CLOSED_BEFORE | CLOSED_WITHIN if begun => CLOSED_WITHIN,
                    CLOSED_BEFORE | CLOSED_WITHIN => CLOSED_BEFORE,
                    other => other,
                };
                self.fail(user, Outcome::ConnectionClosed, &Message::Text(why), events);
            }
        }
    }

    fn close_shared(&mut self, index: u32) {
        self.unlink(index);
        self.pool.close(index);
    }
}
