//! The end of a request on a stream; its connection stays open.

use std::sync::Arc;

use h2client::Failure;

use super::sink::{End, Sink};
use super::stream_response::StreamResponse;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::redirect;
use crate::response::Fault;
use crate::transport::Transport;
use crate::transport::connection::NONE;
use crate::transport::events::{Ended, Events, Exchanged};
use crate::transport::exchange::place_of;
use crate::transport::redirects::Next;

impl Transport {
    /// Processes data received on a shared connection.
    pub(in crate::transport) fn take_frames(&mut self, index: u32, input: &[u8], events: &mut impl Events) {
        let mut ended = std::mem::take(&mut self.links.ended);
        let protocol = self.pool.get(index).and_then(|connection| connection.multiplex.as_deref_mut());
        let Some(protocol) = protocol.and_then(|multiplex| multiplex.protocol.as_deref_mut()) else { return };
        let mut sink = Sink {
            exchanges: &mut self.exchanges,
            steps: &self.steps,
            now: events.now(),
            most_bytes: self.options.most_bytes,
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
            let exchange = &self.exchanges[user as usize];
            let current = exchange.response.as_ref().map_or(0, |response| response.stream);
            if current == stream && exchange.connection == index {
                self.stream_ended(user, index, end, events);
            }
        }
        self.links.ended = ended;
        if let Err(error) = result {
            let message = Message::Reason(Arc::from(error.to_string()));
            let outcome = match error.kind {
                h2client::ErrorKind::HeadersTooLarge => Outcome::ResponseTooLarge,
                _ => Outcome::ProtocolError,
            };
            self.fail_shared(index, outcome, &message, events);
            return;
        }
        self.pump(index, events);
        let is_spent = self.multiplex(index).is_some_and(|multiplex| {
            multiplex.queue.is_empty()
                && multiplex
                    .protocol
                    .as_ref()
                    .is_some_and(|protocol| protocol.is_draining() && protocol.in_flight() == 0)
        });
        if is_spent {
            self.flush_and_close(index, events);
        }
    }

    fn stream_ended(&mut self, user: u32, index: u32, end: End, events: &mut impl Events) {
        match end {
            End::Whole => self.complete_stream(user, index, events),
            End::TooLarge => {
                let message = Message::Fault { fault: Fault::TooLarge, most_bytes: self.options.most_bytes };
                self.fail(user, Outcome::ResponseTooLarge, &message, events);
            }
            End::Failed(Failure::NotProcessed) if events.may_retry(user) => {
                self.unlink(index);
                self.send_again(user, events);
            }
            End::Failed(failure) => {
                let message = Message::Reason(Arc::from(failure.to_string()));
                let outcome = match failure {
                    Failure::HeadersTooLarge => Outcome::ResponseTooLarge,
                    Failure::Malformed(_) => Outcome::ProtocolError,
                    Failure::Reset(_) | Failure::NotProcessed => Outcome::ConnectionClosed,
                };
                self.fail(user, outcome, &message, events);
            }
        }
    }

    /// Sends a request again on another connection, because the target has not processed it.
    pub(super) fn send_again(&mut self, user: u32, events: &mut impl Events) {
        self.detach_stream(user);
        let exchange = &mut self.exchanges[user as usize];
        exchange.connection = NONE;
        let origin = exchange.origin(&self.steps[exchange.step as usize]);
        self.share(user, origin, events);
    }

    fn complete_stream(&mut self, user: u32, index: u32, events: &mut impl Events) {
        let Some(mut response) = self.exchanges[user as usize].response.take() else { return };
        if let Some(connection) = self.pool.get(index) {
            connection.reused = true;
        }
        self.judge_stream(user, index, &response, events);
        // A redirected request has already begun its next response.
        let place = &mut self.exchanges[user as usize].response;
        if place.is_none() {
            response.stream = 0;
            *place = Some(response);
        }
    }

    fn judge_stream(&mut self, user: u32, index: u32, response: &StreamResponse, events: &mut impl Events) {
        let mut is_withheld = false;
        if self.options.redirects > 0 && response.has_location && redirect::is_redirect(response.status) {
            let mut raw = Vec::new();
            response.raw().append_beginning(usize::MAX, &mut raw);
            match self.next_after(user, response.status, &raw, events) {
                Next::Follow(place) => {
                    return self.follow(user, response.status, place, (response.received, response.raw()), events);
                }
                Next::Withheld => is_withheld = true,
                Next::Final => {}
            }
        }
        let ended = Ended { is_withheld, ..self.ended(user, response) };
        events.response(user, ended, response.status, || self.exchanged(user, response));
        self.exchanges[user as usize].end();
        if !self.options.keep_alive {
            self.unlink(index);
            if let Some(protocol) = self.multiplex(index).and_then(|multiplex| multiplex.protocol.as_deref_mut()) {
                protocol.close();
            }
        }
    }

    fn ended(&self, user: u32, response: &StreamResponse) -> Ended {
        Ended { first_byte: self.exchanges[user as usize].first_byte, received: response.received, is_withheld: false }
    }

    /// The data of the request of `user`, whose response came on a stream.
    fn exchanged<'a>(&'a self, user: u32, response: &'a StreamResponse) -> Exchanged<'a> {
        let exchange = &self.exchanges[user as usize];
        Exchanged {
            wall_ns: exchange.wall_ns,
            body_bytes: response.body_bytes,
            expect: exchange.expect(&self.steps[exchange.step as usize]),
            raw: response.raw(),
            hop: exchange.hop.as_ref().map(|hop| (self.dialer.origin(hop.origin), hop.request.as_slice())),
            place: place_of(exchange, &self.steps, &self.dialer),
        }
    }

    /// Ends a request on a shared connection without a full response; the connection stays open.
    pub(in crate::transport) fn leave_stream(
        &mut self,
        user: u32,
        index: u32,
        outcome: Outcome,
        message: &Message,
        events: &mut impl Events,
    ) {
        let Some(mut response) = self.exchanges[user as usize].response.take() else { return };
        if let Some(protocol) = self.multiplex(index).and_then(|multiplex| multiplex.protocol.as_deref_mut()) {
            protocol.cancel(response.stream);
        }
        self.mark_dirty(index);
        events.failure(user, self.ended(user, &response), outcome, message, || self.exchanged(user, &response));
        response.stream = 0;
        let exchange = &mut self.exchanges[user as usize];
        exchange.response = Some(response);
        exchange.end();
    }
}
