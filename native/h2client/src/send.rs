//! Renders requests: HEADERS at once, and the body as far as the peer's windows allow (RFC 9113, sections 5.2 and 8.1).

use crate::connection::{Connection, Request};
use crate::error::Refusal;
use crate::frame;
use crate::streams::{Slot, Stream};

/// Request bodies are rendered this many bytes ahead at most; the rest waits.
pub(crate) const BODY_AHEAD: usize = 256 * 1024;

impl Connection {
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.available() > 0 {
            Ok(())
        } else if self.failed.is_some() {
            Err(Refusal::Failed)
        } else if self.is_draining() {
            Err(Refusal::Draining)
        } else {
            Err(Refusal::Busy)
        }
    }

    #[inline]
    pub(crate) fn begin_head(&mut self) -> usize {
        let begin = self.output.len();
        self.output.extend_from_slice(&[0; frame::HEADER]);
        begin
    }

    /// Completes the HEADERS frame at `begin`, and sends what the windows allow of the body.
    #[inline]
    pub(crate) fn complete(&mut self, begin: usize, request: Request<'_>) -> Stream {
        let id = self.next_id;
        self.next_id += 2;
        let body = request.body.bytes();
        let ends = if body.is_empty() { frame::END_STREAM } else { 0 };
        let length = self.output.len() - begin - frame::HEADER;
        if length <= self.peer.max_payload {
            let header = frame::header(length, frame::HEADERS, frame::END_HEADERS | ends, id);
            self.output[begin..begin + frame::HEADER].copy_from_slice(&header);
        } else {
            self.split_head(begin, id, ends);
        }
        let mut slot = Slot {
            id,
            token: request.token,
            head_request: request.head_request,
            want_headers: request.want_headers,
            send_window: self.peer.initial_window,
            ..Slot::default()
        };
        let stream = slot.stream();
        if !body.is_empty() {
            let count = self.body_allowance(slot.send_window).min(body.len());
            self.append_body(id, &body[..count], count == body.len());
            slot.send_window -= signed(count);
            if count < body.len() {
                slot.rest = request.body.rest(count);
                self.waiting.push(id);
            }
        }
        self.streams.insert(slot);
        stream
    }

    /// Splits a head that is larger than a frame into CONTINUATION frames.
    #[cold]
    fn split_head(&mut self, begin: usize, id: u32, ends: u8) {
        let block = self.output.split_off(begin + frame::HEADER);
        self.output.truncate(begin);
        let pieces = block.len().div_ceil(self.peer.max_payload);
        for (nth, piece) in block.chunks(self.peer.max_payload).enumerate() {
            let last = if nth + 1 == pieces { frame::END_HEADERS } else { 0 };
            let (kind, flags) = if nth == 0 { (frame::HEADERS, ends | last) } else { (frame::CONTINUATION, last) };
            frame::append(&mut self.output, kind, flags, id, piece);
        }
    }

    /// Bytes of body that a stream with this window may send now.
    fn body_allowance(&self, window: i64) -> usize {
        let room = BODY_AHEAD.saturating_sub(self.output.len() - self.sent);
        usize::try_from(window.min(self.send_window)).unwrap_or(0).min(room)
    }

    fn append_body(&mut self, id: u32, body: &[u8], last: bool) {
        self.send_window -= signed(body.len());
        let pieces = body.len().div_ceil(self.peer.max_payload);
        for (nth, piece) in body.chunks(self.peer.max_payload).enumerate() {
            let flags = if last && nth + 1 == pieces { frame::END_STREAM } else { 0 };
            frame::append(&mut self.output, frame::DATA, flags, id, piece);
        }
    }

    /// Sends what the windows allow of the waiting bodies.
    pub(crate) fn resume_bodies(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|id| self.resume_body(*id));
        self.waiting = waiting;
    }

    /// Returns whether there is more to send.
    fn resume_body(&mut self, id: u32) -> bool {
        let Some(slot) = self.streams.find(id) else { return false };
        let window = slot.send_window;
        let mut rest = std::mem::take(&mut slot.rest);
        let length = rest.bytes().len();
        let count = self.body_allowance(window).min(length);
        if count > 0 {
            self.append_body(id, &rest.bytes()[..count], count == length);
            rest.advance(count);
            self.idle_frames = 0;
        }
        if count < length
            && let Some(slot) = self.streams.find(id)
        {
            slot.send_window -= signed(count);
            slot.rest = rest;
        }
        count < length
    }
}

#[allow(clippy::cast_possible_wrap)] // lengths of slices fit
fn signed(length: usize) -> i64 {
    length as i64
}
