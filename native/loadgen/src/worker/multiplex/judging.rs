//! How a request on a stream ends, and what is kept of it. Its connection goes on.

use std::sync::Arc;

use h2client::Failure;

use super::answers::{Answer, End, Sink};
use crate::deadlines::NONE;
use crate::decode;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::record::{RawSample, Reason};
use crate::redirect;
use crate::response::{self, Fault, Framing};
use crate::worker::redirects::Next;
use crate::worker::{Worker, sampling};

impl Worker {
    /// Bytes have come in on a shared connection.
    pub(in crate::worker) fn take_frames(&mut self, index: u32, input: &[u8]) {
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
    pub(super) fn send_again(&mut self, user: u32) {
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
        let mut withheld = false;
        if self.follows_redirects && answer.has_location && redirect::is_redirect(answer.status) {
            let raw = answer.raw();
            match self.next_after(user, answer.status, &raw) {
                Next::Follow(place) => {
                    self.second.figures(endpoint, warm_up).bytes_received += answer.received;
                    let head = response::Head {
                        status: answer.status,
                        length: answer.head.len(),
                        framing: Framing::Length(0),
                        keep_alive: true,
                        has_location: true,
                    };
                    return self.follow(user, NONE, place, head, false);
                }
                Next::Withheld => withheld = true,
                Next::Answer => {}
            }
        }
        let state = &self.users[user as usize];
        let route = &self.routes[state.flow as usize];
        let step = &self.shared.plan.flows[flow as usize].steps[0];
        let expected = step.expected_statuses.iter().any(|(low, high)| (*low..=*high).contains(&answer.status));
        let (outcome, message) = if !expected {
            (Outcome::UnexpectedStatus, Message::status(answer.status, flow, withheld))
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
        let sample: RawSample = sampling::sample(
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
    pub(in crate::worker) fn leave_stream(&mut self, user: u32, index: u32, outcome: Outcome, message: &Message) {
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
}
