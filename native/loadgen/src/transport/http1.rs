//! HTTP/1.1: sends a request on a connection of its user, and reads the response.

use std::sync::Arc;

use super::Transport;
use super::connection::{CLOSED_BEFORE, CLOSED_WITHIN, RESET, Received};
use super::events::{ConnectionEvent, Ended, Events, Exchanged, Raw};
use super::exchange::place_of;
use super::redirects::Next;
use crate::clock;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::redirect;
use crate::response::{self, Framing, Head, Progress, Reader};
use crate::template;

impl Transport {
    /// Sends the request of `user` on an open connection.
    #[inline]
    pub(super) fn send(&mut self, user: u32, index: u32, events: &mut impl Events) {
        let exchange = &mut self.exchanges[user as usize];
        let step = &self.steps[exchange.step as usize];
        // Closing a connection removes it from its owner, so it exists.
        let Some(connection) = self.pool.get(index) else { return };
        exchange.connection = index;
        connection.busy = true;
        connection.reader.start(exchange.expect(step), step.keep, self.options.most_bytes);
        let bytes = if let Some(hop) = &exchange.hop {
            hop.request.as_slice()
        } else if let Some(bytes) = step.program.constant() {
            bytes
        } else if step.program.needs_user {
            exchange.wall_ns = if step.program.needs_wall_time { clock::wall_ns() } else { 0 };
            let origin = self.dialer.origin(step.origin);
            let outgoing = &mut self.buffers.outgoing;
            outgoing.clear();
            events.render(user, &step.program, exchange.values(self.options.seed), Some(origin), outgoing);
            if step.uses_cookies {
                exchange.target = template::target_of(outgoing, origin);
            }
            outgoing
        } else {
            exchange.wall_ns = if step.program.needs_wall_time { clock::wall_ns() } else { 0 };
            self.buffers.outgoing.clear();
            step.program.render(exchange.values(self.options.seed), &mut self.buffers.outgoing);
            &self.buffers.outgoing
        };
        let sent = connection.send(bytes, &mut self.buffers.records);
        events.sent(user, bytes.len() as u64);
        if sent.is_err() {
            self.send_failed(index, events);
        }
    }

    /// Sends stored bytes when the socket has room again.
    pub(super) fn send_rest(&mut self, index: u32, events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        let is_multiplexed = connection.is_multiplexed();
        if connection.send_rest().is_err() {
            self.send_failed(index, events);
        } else if is_multiplexed {
            self.mark_dirty(index);
        }
    }

    /// Handles a failed write: a target that has closed may have responded before, and that response counts.
    #[cold]
    fn send_failed(&mut self, index: u32, events: &mut impl Events) {
        let token = self.pool.token(index);
        self.receive(index, true, events);
        if self.pool.find(token).is_some() && self.pool.get(index).is_some_and(|connection| connection.busy) {
            self.lost(index, RESET, events);
        }
    }

    /// Reads available data; with `hangup`, up to the end.
    #[inline]
    pub(super) fn receive(&mut self, index: u32, hangup: bool, events: &mut impl Events) {
        let token = self.pool.token(index);
        let mut buffer = std::mem::take(&mut self.buffers.input);
        while self.pool.find(token).is_some() {
            let Some(connection) = self.pool.get(index) else { break };
            let is_tls = connection.is_tls();
            if is_tls {
                self.buffers.plain.clear();
            }
            let received = connection.receive(&mut buffer, &mut self.buffers.records, &mut self.buffers.plain);
            events.touch(self.pool.len());
            match received {
                Received::Bytes(count) => {
                    if is_tls {
                        let plain = std::mem::take(&mut self.buffers.plain);
                        if !plain.is_empty() {
                            self.take_input(index, &plain, events);
                        }
                        self.buffers.plain = plain;
                    } else {
                        self.take_input(index, &buffer[..count], events);
                    }
                    // Less than the buffer's size: the socket is empty, and more data triggers a new event.
                    if count < buffer.len() && !hangup {
                        break;
                    }
                }
                Received::Nothing => break,
                Received::End => {
                    self.input_ended(index, events);
                    break;
                }
                Received::Reset => {
                    self.lost(index, RESET, events);
                    break;
                }
                Received::Broken(error) => {
                    self.tls_failed(index, &error, events);
                    break;
                }
            }
        }
        self.buffers.input = buffer;
    }

    pub(super) fn take_input(&mut self, index: u32, input: &[u8], events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        if connection.is_multiplexed() {
            self.take_frames(index, input, events);
            return;
        }
        if !connection.busy {
            // There is no request that this could be a response to.
            self.drop_connection(index);
            return;
        }
        let user = connection.user;
        let exchange = &mut self.exchanges[user as usize];
        let begun = connection.reader.has_begun();
        let progress = connection.reader.feed(input, &mut self.head_caches[exchange.step as usize]);
        if !begun && connection.reader.has_begun() {
            exchange.first_byte = events.now();
        }
        match progress {
            Ok(Progress::More) => {}
            Ok(Progress::Done(consumed)) => self.complete(index, &input[..consumed], consumed < input.len(), events),
            Err(fault) => {
                let outcome = match fault {
                    response::Fault::Protocol(_) => Outcome::ProtocolError,
                    response::Fault::HeadTooLarge | response::Fault::TooLarge => Outcome::ResponseTooLarge,
                };
                let message = match connection.reader.bad_header(input, fault) {
                    Some(why) => Message::Reason(Arc::from(format!("not HTTP: {why}"))),
                    None => Message::Fault { fault, most_bytes: self.options.most_bytes },
                };
                self.fail(user, outcome, &message, events);
            }
        }
    }

    /// Handles the end of input from the target.
    fn input_ended(&mut self, index: u32, events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        if connection.is_multiplexed() {
            self.lose_shared(index, CLOSED_BEFORE, events);
            return;
        }
        if connection.busy && connection.reader.end_of_input() {
            self.complete(index, &[], true, events);
            return;
        }
        let why = if connection.reader.is_untouched() { CLOSED_BEFORE } else { CLOSED_WITHIN };
        self.lost(index, why, events);
    }

    /// Handles a connection that the target has closed.
    fn lost(&mut self, index: u32, why: &'static str, events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        if connection.is_multiplexed() {
            self.lose_shared(index, why, events);
            return;
        }
        let (user, origin) = (connection.user, connection.origin);
        let (busy, stale) = (connection.busy, connection.reused && connection.reader.is_untouched());
        events.connection(ConnectionEvent::Lost);
        if !busy {
            self.drop_connection(index);
            return;
        }
        let exchange = &self.exchanges[user as usize];
        let step = &self.steps[exchange.step as usize];
        if stale && exchange.is_idempotent(step) && events.may_retry(user) {
            self.drop_connection(index);
            self.dial(user, origin, events);
            return;
        }
        self.fail(user, Outcome::ConnectionClosed, &Message::Text(why), events);
    }

    /// Handles a full response; `input` is its last piece.
    #[inline]
    fn complete(&mut self, index: u32, input: &[u8], ends_connection: bool, events: &mut impl Events) {
        let Some(connection) = self.pool.get(index) else { return };
        let Some(head) = connection.reader.head().copied() else { return };
        let user = connection.user;
        let exchange = &self.exchanges[user as usize];
        let ends_connection = ends_connection || exchange.closes(&self.steps[exchange.step as usize]);
        let mut is_withheld = false;
        if self.options.redirects > 0 && head.has_location && redirect::is_redirect(head.status) {
            let (raw, received) = (connection.reader.raw(input).to_vec(), connection.reader.received());
            match self.next_after(user, head.status, &raw, events) {
                Next::Follow(place) => {
                    self.release(index, head, ends_connection);
                    return self.follow(user, head.status, place, (received, Raw::One(&raw)), events);
                }
                Next::Withheld => is_withheld = true,
                Next::Final => {}
            }
        }
        let Some(connection) = self.pool.get(index) else { return };
        let reader = &connection.reader;
        let exchange = &self.exchanges[user as usize];
        let (steps, dialer) = (&self.steps, &self.dialer);
        let ended = Ended { first_byte: exchange.first_byte, received: reader.received(), is_withheld };
        events.response(user, ended, head.status, || Exchanged {
            wall_ns: exchange.wall_ns,
            body_bytes: reader.body_bytes(),
            expect: exchange.expect(&steps[exchange.step as usize]),
            raw: Raw::One(reader.raw(input)),
            hop: exchange.hop.as_ref().map(|hop| (dialer.origin(hop.origin), hop.request.as_slice())),
            place: place_of(exchange, steps, dialer),
        });
        self.exchanges[user as usize].end();
        self.release(index, head, ends_connection);
    }

    /// Releases the connection of a full response for the next request, or closes it.
    #[inline]
    fn release(&mut self, index: u32, head: Head, ends_connection: bool) {
        let Some(connection) = self.pool.get(index) else { return };
        connection.busy = false;
        connection.reused = true;
        connection.reader.finish();
        let reusable = self.options.keep_alive
            && head.keep_alive
            && !ends_connection
            && head.framing != Framing::UntilClose
            && !connection.has_unsent();
        if !reusable {
            self.drop_connection(index);
        }
    }

    /// Ends the request of `user` without a full response, and closes its connection.
    #[cold]
    pub(super) fn fail(&mut self, user: u32, outcome: Outcome, message: &Message, events: &mut impl Events) {
        events.touch(self.pool.len());
        let index = self.exchanges[user as usize].connection;
        let is_shared = self.pool.get(index).is_some_and(|connection| connection.multiplex.is_some());
        if is_shared && self.exchanges[user as usize].has_stream() {
            self.leave_stream(user, index, outcome, message, events);
            return;
        }
        let exchange = &self.exchanges[user as usize];
        let (steps, dialer) = (&self.steps, &self.dialer);
        let reader = self.pool.get(index).map(|connection| &connection.reader);
        let received = reader.map_or(0, Reader::received);
        let ended = Ended { first_byte: exchange.first_byte, received, is_withheld: false };
        events.failure(user, ended, outcome, message, || Exchanged {
            wall_ns: exchange.wall_ns,
            // For an incomplete response, everything received.
            body_bytes: ended.received,
            expect: exchange.expect(&steps[exchange.step as usize]),
            raw: Raw::One(reader.map_or(&[], |reader| reader.raw(&[]))),
            hop: exchange.hop.as_ref().map(|hop| (dialer.origin(hop.origin), hop.request.as_slice())),
            place: place_of(exchange, steps, dialer),
        });
        // Others may wait for a shared connection; this user no longer does.
        if !is_shared {
            self.drop_connection(index);
        }
        self.exchanges[user as usize].end();
    }
}
