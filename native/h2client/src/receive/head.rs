//! Header blocks: heads, informational ones, trailers, and the end of a stream (RFC 9113, sections 6.2, 6.10 and 8.1).

use crate::answer::Events;
use crate::connection::{Connection, HEADER_LIMIT};
use crate::error::{ConnectionError, ErrorCode, ErrorKind, Failure};
use crate::frame::{self, Header};
use crate::hpack::decoder::CompressionError;

/// Most frames of one header block.
const MOST_CONTINUATIONS: u32 = 256;

/// A header block that continues in CONTINUATION frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Continued {
    pub(super) stream: u32,
    ends: bool,
    frames: u32,
}

impl Connection {
    #[inline]
    pub(super) fn headers(
        &mut self,
        header: Header,
        payload: &[u8],
        events: &mut impl Events,
    ) -> Result<(), ConnectionError> {
        self.check_known(header.stream)?;
        let mut block =
            frame::without_padding(header, payload).ok_or(ConnectionError::protocol("padding that does not fit"))?;
        if header.has(frame::WITH_PRIORITY) {
            block = block.get(5..).ok_or(ConnectionError::size("a priority that does not fit"))?;
        }
        let ends = header.has(frame::END_STREAM);
        if header.has(frame::END_HEADERS) {
            return self.block(header.stream, ends, block, events);
        }
        self.block.clear();
        self.block.extend_from_slice(block);
        self.continued = Some(Continued { stream: header.stream, ends, frames: 0 });
        self.check_block(header.stream, events)
    }

    pub(super) fn continuation(
        &mut self,
        header: Header,
        payload: &[u8],
        events: &mut impl Events,
    ) -> Result<(), ConnectionError> {
        let Some(continued) = &mut self.continued else { return Ok(()) };
        continued.frames += 1;
        if continued.frames > MOST_CONTINUATIONS {
            return Err(ConnectionError::flood("a header block in too many frames"));
        }
        let ends = continued.ends;
        self.block.extend_from_slice(payload);
        self.check_block(header.stream, events)?;
        if !header.has(frame::END_HEADERS) {
            return Ok(());
        }
        self.continued = None;
        let block = std::mem::take(&mut self.block);
        let result = self.block(header.stream, ends, &block, events);
        self.block = block;
        result
    }

    /// Ends the connection if a block exceeds the limit, because the header table would be lost with it.
    fn check_block(&mut self, id: u32, events: &mut impl Events) -> Result<(), ConnectionError> {
        if self.block.len() <= HEADER_LIMIT {
            return Ok(());
        }
        if let Some(stream) = self.streams.remove(id) {
            events.failed(stream, Failure::HeadersTooLarge);
        }
        Err(ConnectionError {
            kind: ErrorKind::HeadersTooLarge,
            code: ErrorCode::ENHANCE_YOUR_CALM,
            reason: "headers over 64 KiB",
        })
    }

    /// Processes a whole header block.
    #[inline]
    fn block(&mut self, id: u32, ends: bool, block: &[u8], events: &mut impl Events) -> Result<(), ConnectionError> {
        let want_all = self.streams.find(id).is_some_and(|slot| slot.want_headers);
        if !self.repetition.is_known(block) || self.collector.wants_all() != want_all {
            self.collector.begin(want_all);
            self.repetition
                .decode(&mut self.decoder, block, &mut self.collector)
                .map_err(|CompressionError(reason)| ConnectionError::new(ErrorCode::COMPRESSION_ERROR, reason))?;
        }
        // Only now: the table must follow the peer's even if the stream is gone.
        let Some(slot) = self.streams.find(id) else {
            self.check_gone("headers after the end of an answer")?;
            return self.count_idle_frame();
        };
        if self.collector.too_large() {
            self.give_up(id, ErrorCode::CANCEL, Failure::HeadersTooLarge, events);
            return Ok(());
        }
        if let Some(reason) = self.collector.malformed() {
            self.give_up(id, ErrorCode::PROTOCOL_ERROR, Failure::Malformed(reason), events);
            return Ok(());
        }
        if slot.answered {
            if !ends || self.collector.status().is_some() {
                let failure = Failure::Malformed("a second head");
                self.give_up(id, ErrorCode::PROTOCOL_ERROR, failure, events);
                return Ok(());
            }
            events.trailers(slot.stream(), self.collector.fields());
            self.end_stream(id, events);
            return Ok(());
        }
        match self.collector.status() {
            None => self.give_up(id, ErrorCode::PROTOCOL_ERROR, Failure::Malformed("a head without a status"), events),
            Some(100..=199) if ends => {
                let failure = Failure::Malformed("an informational head that ends the answer");
                self.give_up(id, ErrorCode::PROTOCOL_ERROR, failure, events);
            }
            Some(101) => {
                let failure = Failure::Malformed("a change of protocol");
                self.give_up(id, ErrorCode::PROTOCOL_ERROR, failure, events);
            }
            Some(100..=199) => self.count_idle_frame()?,
            Some(status) => {
                self.idle_frames = 0;
                slot.answered = true;
                if !slot.head_request && status != 204 && status != 304 {
                    slot.announced = self.collector.content_length();
                }
                events.head(slot.stream(), &self.collector.head(status, block.len()));
                if ends {
                    self.end_stream(id, events);
                }
            }
        }
        Ok(())
    }

    /// Handles the end of the peer's side of a stream.
    #[inline]
    pub(super) fn end_stream(&mut self, id: u32, events: &mut impl Events) {
        let Some(slot) = self.streams.find(id) else { return };
        if !slot.answered {
            self.give_up(id, ErrorCode::PROTOCOL_ERROR, Failure::Malformed("an end before the answer's head"), events);
            return;
        }
        if slot.announced.is_some_and(|announced| slot.received < announced) {
            let failure = Failure::Malformed("a body shorter than its content-length");
            self.give_up(id, ErrorCode::PROTOCOL_ERROR, failure, events);
            return;
        }
        if !slot.rest.bytes().is_empty() {
            // The response ended before the request was sent: cancel the rest.
            self.gave_up = true;
            frame::append_reset(&mut self.output, id, ErrorCode::CANCEL);
        }
        self.idle_frames = 0;
        if let Some(stream) = self.streams.remove(id) {
            events.end(stream);
        }
    }
}
