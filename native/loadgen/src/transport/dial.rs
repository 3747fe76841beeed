//! Opens connections: TCP, the proxy's tunnel, the TLS handshake.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use super::connection::{Connection, Received, Stage};
use super::dialer::{Route, dial_error};
use super::events::{ConnectionEvent, Events};
use super::{Transport, tls};
use crate::message::Message;
use crate::outcome::Outcome;
use crate::poller::Event;
use crate::response::{Expect, HeadCache, Progress};

impl Transport {
    /// Dials a connection for the request of `user`.
    pub(super) fn dial(&mut self, user: u32, origin: u32, events: &mut impl Events) {
        let opened = match self.dialer.route(origin) {
            Route::Address(address) => {
                events.connection(ConnectionEvent::Dialled);
                self.begin_dial(user, origin, address, events)
            }
            Route::Unknown => {
                let request = (user, self.exchanges[user as usize].serial);
                self.dialer.wait_for_name(origin, request)
            }
            Route::Refused(reason) => {
                self.fail(user, Outcome::DnsError, &reason, events);
                return;
            }
        };
        if let Err(error) = opened {
            let (outcome, message) = dial_error(&error);
            self.fail(user, outcome, &message, events);
        }
    }

    fn begin_dial(&mut self, user: u32, origin: u32, address: SocketAddr, events: &mut impl Events) -> io::Result<()> {
        let socket = self.dialer.open(address)?;
        let handle = socket.as_raw_fd();
        let (index, token) = self.pool.insert(Connection::new(socket, user, origin, events.now()));
        if let Err(error) = events.watch(handle, token) {
            self.pool.close(index);
            return Err(error);
        }
        self.exchanges[user as usize].connection = index;
        Ok(())
    }

    /// Handles an event of a connection that is not open yet.
    pub(super) fn advance_dial(&mut self, index: u32, event: Event, events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        if connection.stage == Stage::Connecting {
            if let Ok(Some(error)) | Err(error) = connection.socket.take_error() {
                let (outcome, message) = dial_error(&error);
                self.refuse(index, outcome, &message, events);
                return;
            }
            if !event.writable {
                return;
            }
            self.connected(index, events);
            if self.pool.find(event.token).is_none() {
                return;
            }
            if self.pool.is_open(index) {
                // If the target sends first, its event has already occurred, and there is no other.
                if event.readable {
                    self.receive(index, event.hangup, events);
                }
                return;
            }
        }
        let Some(connection) = self.pool.get(index) else { return };
        if event.writable && connection.has_unsent() && connection.send_rest().is_err() {
            self.broken_dial(index, events);
            return;
        }
        if event.readable {
            self.read_handshake(index, event, events);
        }
    }

    /// Reads until the connection is open or closed.
    fn read_handshake(&mut self, index: u32, event: Event, events: &mut impl Events) {
        let token = self.pool.token(index);
        let mut buffer = std::mem::take(&mut self.buffers.input);
        let mut plain = std::mem::take(&mut self.buffers.plain);
        plain.clear();
        while self.pool.find(token).is_some() && !self.pool.is_open(index) {
            let Some(connection) = self.pool.get(index) else { break };
            match connection.receive(&mut buffer, &mut self.buffers.records, &mut plain) {
                Received::Bytes(count) if connection.stage == Stage::Tunnel => {
                    self.read_tunnel(index, &buffer[..count], events);
                }
                Received::Bytes(_) => {}
                Received::Nothing => break,
                Received::End | Received::Reset => self.broken_dial(index, events),
                Received::Broken(error) => self.tls_failed(index, &error, events),
            }
        }
        self.buffers.input = buffer;
        if self.pool.find(token).is_some() && self.pool.is_open(index) {
            events.touch(self.pool.len());
            self.opened(index, events);
            if !plain.is_empty() {
                self.take_input(index, &plain, events);
            }
            // Data that arrived with the end of the handshake has no further event.
            if self.pool.find(token).is_some() {
                self.receive(index, event.hangup, events);
            }
        }
        self.buffers.plain = plain;
    }

    fn connected(&mut self, index: u32, events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        let (began, origin) = (connection.began, connection.origin);
        events.connection(ConnectionEvent::Connected { took: events.now().saturating_sub(began) });
        if !self.dialer.is_secure(origin) {
            connection.stage = Stage::Open;
            self.opened(index, events);
        } else if self.dialer.has_proxy() {
            self.request_tunnel(index, events);
        } else {
            self.begin_handshake(index, events);
        }
    }

    /// Starts sending requests on the connection.
    fn opened(&mut self, index: u32, events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        let (user, origin) = (connection.user, connection.origin);
        if let Some(session) = &connection.tls {
            let took = events.now().saturating_sub(session.began);
            events.connection(ConnectionEvent::Secured { took });
        }
        let is_shared = connection.multiplex.is_some();
        if is_shared && self.opened_shared(index, events) {
            return;
        }
        let exchange = &mut self.exchanges[user as usize];
        exchange.owned.push((origin, index));
        // If others waited for it too, the request that dialled it may have ended meanwhile.
        if exchange.is_active && exchange.connection == index {
            self.send(user, index, events);
        }
    }

    fn request_tunnel(&mut self, index: u32, events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        connection.stage = Stage::Tunnel;
        connection.reader.start(Expect { head_only: true }, 0, u64::MAX);
        let request = self.dialer.tunnel_request(connection.origin);
        if connection.transmit(request.as_bytes()).is_err() {
            self.broken_dial(index, events);
        }
    }

    fn read_tunnel(&mut self, index: u32, input: &[u8], events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        let outcome = connection.reader.feed(input, &mut HeadCache::default());
        let status = connection.reader.head().map_or(0, |head| head.status);
        match outcome {
            Ok(Progress::More) => {}
            Ok(Progress::Done(_)) if (200..300).contains(&status) => {
                connection.reader.finish();
                events.touch(self.pool.len());
                self.begin_handshake(index, events);
            }
            Ok(Progress::Done(_)) => {
                let why = Message::Reason(Arc::from(format!("proxy answered {status} to CONNECT")));
                self.refuse(index, Outcome::ConnectError, &why, events);
            }
            Err(_) => {
                let why = Message::Text("proxy did not answer in HTTP");
                self.refuse(index, Outcome::ConnectError, &why, events);
            }
        }
    }

    fn begin_handshake(&mut self, index: u32, events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        let Some(session) = self.dialer.session(connection.origin, events.now()) else { return };
        let buffers = &mut self.buffers;
        buffers.records.clear();
        buffers.plain.clear();
        let session = session.and_then(|mut session| {
            session.process(&mut [], &mut buffers.records, &mut buffers.plain)?;
            Ok(session)
        });
        match session {
            Ok(session) => {
                connection.tls = Some(Box::new(session));
                connection.stage = Stage::Handshake;
                if connection.transmit(&buffers.records).is_err() {
                    self.broken_dial(index, events);
                }
            }
            Err(error) => {
                let why = Message::Reason(Arc::from(tls::message(&error)));
                self.refuse(index, Outcome::TlsError, &why, events);
            }
        }
    }

    /// Handles a connection that was closed before it was open.
    fn broken_dial(&mut self, index: u32, events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        let is_tunnel = connection.stage == Stage::Tunnel;
        events.connection(ConnectionEvent::Lost);
        if is_tunnel {
            self.refuse(index, Outcome::ConnectError, &Message::Text("proxy closed the connection"), events);
        } else {
            self.refuse(index, Outcome::TlsError, &Message::Text("closed during the handshake"), events);
        }
    }

    /// Handles a TLS error, during the handshake or later.
    pub(super) fn tls_failed(&mut self, index: u32, error: &rustls::Error, events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        let is_idle = connection.stage == Stage::Open && !connection.busy;
        if is_idle && connection.multiplex.is_none() {
            events.connection(ConnectionEvent::Lost);
            self.drop_connection(index);
        } else {
            self.refuse(index, Outcome::TlsError, &Message::Reason(Arc::from(tls::message(error))), events);
        }
    }

    /// Fails the requests that waited for a connection. Bytes read so far are not a response.
    fn refuse(&mut self, index: u32, outcome: Outcome, message: &Message, events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        if connection.multiplex.is_some() {
            self.fail_shared(index, outcome, message, events);
            return;
        }
        let user = connection.user;
        connection.reader.finish();
        self.fail(user, outcome, message, events);
    }
}
