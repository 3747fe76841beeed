//! Taking in what the peer sends: frames from bytes, and what each of them means (RFC 9113, sections 4 to 8).

use crate::answer::Events;
use crate::connection::{Connection, HEADER_LIMIT, LARGEST_WINDOW};
use crate::error::{ConnectionError, ErrorCode, ErrorKind, Failure};
use crate::frame::{self, Header};
use crate::hpack::decoder::CompressionError;

/// So many frames may come one after another without anything going forward.
pub(crate) const MOST_IDLE_FRAMES: u32 = 10_000;

/// So many frames may make up one header block.
const MOST_CONTINUATIONS: u32 = 256;

/// What the next byte is part of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reading {
    /// A frame's header.
    Header,
    /// The payload of a frame that is taken whole.
    Payload(Header),
    /// The payload of a DATA frame, passed on as it comes.
    Data(Data),
    /// The payload of a frame that means nothing to us: so many bytes.
    Skip(usize),
}

/// A DATA frame in the middle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Data {
    stream: u32,
    ends: bool,
    padded: bool,
    /// The padding's length is known, and the body's was counted.
    counted: bool,
    /// Bytes of body to come.
    body: usize,
    /// Bytes of padding after them.
    padding: usize,
}

/// A header block that goes on in CONTINUATION frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Continued {
    stream: u32,
    ends: bool,
    frames: u32,
}

impl Connection {
    /// Takes in bytes from the socket, cut anywhere, and tells `events` what they mean.
    ///
    /// # Errors
    /// [`ConnectionError`], when the connection cannot go on; again with every further call. The requests in flight are
    /// still in [`streams`](Connection::streams), and a GOAWAY frame waits in the outgoing bytes.
    pub fn receive(&mut self, bytes: &[u8], events: &mut impl Events) -> Result<(), ConnectionError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.read(bytes, events);
        if let Err(error) = result {
            self.failed = Some(error);
            frame::append_goaway(&mut self.output, error.code);
        }
        result
    }

    fn read(&mut self, mut bytes: &[u8], events: &mut impl Events) -> Result<(), ConnectionError> {
        loop {
            match self.reading {
                Reading::Header => {
                    let Some(header) = self.header(&mut bytes) else { return Ok(()) };
                    self.reading = self.begin_frame(header)?;
                }
                Reading::Payload(header) => {
                    let missing = header.length - self.partial.len();
                    let Some((payload, rest)) = bytes.split_at_checked(missing) else {
                        self.partial.extend_from_slice(bytes);
                        return Ok(());
                    };
                    bytes = rest;
                    self.reading = Reading::Header;
                    if self.partial.is_empty() {
                        self.frame(header, payload, events)?;
                    } else {
                        let mut whole = std::mem::take(&mut self.partial);
                        whole.extend_from_slice(payload);
                        let result = self.frame(header, &whole, events);
                        whole.clear();
                        self.partial = whole;
                        result?;
                    }
                }
                Reading::Data(data) => {
                    let Some(rest) = self.data(data, bytes, events)? else { return Ok(()) };
                    bytes = rest;
                }
                Reading::Skip(length) => {
                    let Some(rest) = bytes.get(length..) else {
                        self.reading = Reading::Skip(length - bytes.len());
                        return Ok(());
                    };
                    bytes = rest;
                    self.reading = Reading::Header;
                }
            }
        }
    }

    /// The next frame's header, when all of it is here.
    #[inline]
    fn header(&mut self, bytes: &mut &[u8]) -> Option<Header> {
        if self.partial.is_empty()
            && let Some((header, rest)) = bytes.split_first_chunk()
        {
            *bytes = rest;
            return Some(Header::parse(*header));
        }
        let count = (frame::HEADER - self.partial.len()).min(bytes.len());
        let (taken, rest) = bytes.split_at(count);
        self.partial.extend_from_slice(taken);
        *bytes = rest;
        let header = *self.partial.first_chunk()?;
        self.partial.clear();
        Some(Header::parse(header))
    }

    /// What can be said of a frame before its payload is here.
    #[inline]
    fn begin_frame(&mut self, header: Header) -> Result<Reading, ConnectionError> {
        if !self.peer.known {
            first_frame(header)?;
        }
        if header.length > frame::MAX_PAYLOAD {
            return Err(ConnectionError::size("a frame over 16 KiB"));
        }
        match (header.kind, &self.continued) {
            (frame::CONTINUATION, None) => Err(ConnectionError::protocol("CONTINUATION without HEADERS")),
            (frame::CONTINUATION, Some(continued)) if continued.stream == header.stream => Ok(Reading::Payload(header)),
            (_, Some(_)) => Err(ConnectionError::protocol("a frame within a header block")),
            (frame::DATA, None) => self.begin_data(header),
            (frame::HEADERS..=frame::WINDOW_UPDATE, None) => Ok(Reading::Payload(header)),
            (_, None) => {
                self.count_idle_frame()?;
                Ok(Reading::Skip(header.length))
            }
        }
    }

    /// A frame other than DATA, whole.
    #[inline]
    fn frame(&mut self, header: Header, payload: &[u8], events: &mut impl Events) -> Result<(), ConnectionError> {
        match header.kind {
            frame::HEADERS => self.headers(header, payload, events),
            frame::CONTINUATION => self.continuation(header, payload, events),
            _ => {
                self.count_idle_frame()?;
                match header.kind {
                    frame::PRIORITY => priority(header),
                    frame::RST_STREAM => self.reset(header, payload, events),
                    frame::SETTINGS => self.settings(header, payload, events),
                    frame::PING => self.ping(header, payload),
                    frame::GOAWAY => self.go_away(header, payload, events),
                    frame::WINDOW_UPDATE => self.window_update(header, payload, events),
                    _ => Err(ConnectionError::protocol("a push that was switched off")),
                }
            }
        }
    }

    fn count_idle_frame(&mut self) -> Result<(), ConnectionError> {
        self.idle_frames += 1;
        if self.idle_frames > MOST_IDLE_FRAMES {
            return Err(ConnectionError::flood("too many frames that lead nowhere"));
        }
        Ok(())
    }

    // Bodies

    #[inline]
    fn begin_data(&mut self, header: Header) -> Result<Reading, ConnectionError> {
        self.check_known(header.stream)?;
        let padded = header.has(frame::PADDED);
        if padded && header.length == 0 {
            return Err(ConnectionError::size("padding that does not fit"));
        }
        self.received += header.length;
        match self.streams.find(header.stream) {
            Some(slot) => slot.received_frames += header.length,
            None => self.check_gone("data after the end of an answer")?,
        }
        Ok(Reading::Data(Data {
            stream: header.stream,
            ends: header.has(frame::END_STREAM),
            padded,
            counted: false,
            body: header.length,
            padding: 0,
        }))
    }

    /// Goes on with a DATA frame; returns what follows it, once it is whole.
    #[inline]
    fn data<'a>(
        &mut self,
        mut data: Data,
        mut bytes: &'a [u8],
        events: &mut impl Events,
    ) -> Result<Option<&'a [u8]>, ConnectionError> {
        if !data.counted {
            if data.padded {
                let Some((padding, rest)) = bytes.split_first() else { return Ok(None) };
                bytes = rest;
                data.padding = usize::from(*padding);
                data.body = (data.body - 1)
                    .checked_sub(data.padding)
                    .ok_or(ConnectionError::protocol("padding that does not fit"))?;
            }
            data.counted = true;
            self.count_body(data, events)?;
        }
        if data.body > 0 && !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(data.body.min(bytes.len()));
            bytes = rest;
            data.body -= piece.len();
            // The stream is gone where the caller or the frame's beginning ended it.
            if let Some(slot) = self.streams.find(data.stream) {
                events.data(slot.stream(), piece);
            }
        }
        if data.body == 0 {
            let (padding, rest) = bytes.split_at(data.padding.min(bytes.len()));
            bytes = rest;
            data.padding -= padding.len();
        }
        if data.body > 0 || data.padding > 0 {
            self.reading = Reading::Data(data);
            return Ok(None);
        }
        self.reading = Reading::Header;
        self.replenish(data);
        if data.ends {
            self.end_stream(data.stream, events);
        }
        Ok(Some(bytes))
    }

    /// Counts the body in a DATA frame before any of it is passed on, so that it does not matter how the frame is cut.
    #[inline]
    fn count_body(&mut self, data: Data, events: &mut impl Events) -> Result<(), ConnectionError> {
        if data.body == 0 {
            return if data.ends { Ok(()) } else { self.count_idle_frame() };
        }
        let Some(slot) = self.streams.find(data.stream) else { return Ok(()) };
        slot.received += data.body as u64;
        let reason = if !slot.answered {
            "data before the answer's head"
        } else if slot.announced.is_some_and(|announced| slot.received > announced) {
            "a body longer than its content-length"
        } else {
            self.idle_frames = 0;
            return Ok(());
        };
        self.give_up(data.stream, ErrorCode::PROTOCOL_ERROR, Failure::Malformed(reason), events);
        Ok(())
    }

    /// Opens the windows again when they are half used. Nothing of what came is kept, so there is no reason to wait; and
    /// because half a window is more than a frame, no peer can be seen to overrun one.
    #[inline]
    fn replenish(&mut self, data: Data) {
        let half = self.settings.window as usize / 2;
        if self.received >= half {
            frame::append_window_update(&mut self.output, 0, self.received);
            self.received = 0;
        }
        if data.ends {
            return;
        }
        if let Some(slot) = self.streams.find(data.stream)
            && slot.received_frames >= half
        {
            frame::append_window_update(&mut self.output, data.stream, slot.received_frames);
            slot.received_frames = 0;
        }
    }

    // Heads and trailers

    #[inline]
    fn headers(&mut self, header: Header, payload: &[u8], events: &mut impl Events) -> Result<(), ConnectionError> {
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

    fn continuation(
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

    /// Ends the connection where a block grows over the limit: the header table would be lost with it.
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

    /// A header block, whole.
    #[inline]
    fn block(&mut self, id: u32, ends: bool, block: &[u8], events: &mut impl Events) -> Result<(), ConnectionError> {
        let want_all = self.streams.find(id).is_some_and(|slot| slot.want_headers);
        if !self.repetition.is_known(block) || self.collector.wants_all() != want_all {
            self.collector.begin(want_all);
            self.repetition
                .decode(&mut self.decoder, block, &mut self.collector)
                .map_err(|CompressionError(reason)| ConnectionError::new(ErrorCode::COMPRESSION_ERROR, reason))?;
        }
        // Only now: the table must follow the peer's even where nobody waits for the answer.
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

    /// The peer has ended its side of a stream.
    #[inline]
    fn end_stream(&mut self, id: u32, events: &mut impl Events) {
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
            // Answered before the request was sent: the rest is not wanted.
            self.gave_up = true;
            frame::append_reset(&mut self.output, id, ErrorCode::CANCEL);
        }
        self.idle_frames = 0;
        if let Some(stream) = self.streams.remove(id) {
            events.end(stream);
        }
    }

    // Streams that are not as they should be

    /// Ends a stream on our side.
    #[cold]
    fn give_up(&mut self, id: u32, code: ErrorCode, failure: Failure, events: &mut impl Events) {
        if let Some(stream) = self.streams.remove(id) {
            self.gave_up = true;
            frame::append_reset(&mut self.output, id, code);
            events.failed(stream, failure);
        }
    }

    /// Frames come only for streams that we have opened at some time.
    #[inline]
    fn check_known(&self, id: u32) -> Result<(), ConnectionError> {
        if id & 1 == 0 || id >= self.next_id {
            return Err(ConnectionError::protocol("a frame for a stream that was never opened"));
        }
        Ok(())
    }

    /// Frames for a stream that is gone may only come where we gave up one.
    #[cold]
    fn check_gone(&self, reason: &'static str) -> Result<(), ConnectionError> {
        if self.gave_up { Ok(()) } else { Err(ConnectionError::new(ErrorCode::STREAM_CLOSED, reason)) }
    }

    fn reset(&mut self, header: Header, payload: &[u8], events: &mut impl Events) -> Result<(), ConnectionError> {
        self.check_known(header.stream)?;
        let code = match frame::word(payload) {
            Some(code) if payload.len() == 4 => ErrorCode(code),
            _ => return Err(ConnectionError::size("RST_STREAM with a wrong length")),
        };
        if let Some(stream) = self.streams.remove(header.stream) {
            let refused = code == ErrorCode::REFUSED_STREAM;
            events.failed(stream, if refused { Failure::NotProcessed } else { Failure::Reset(code) });
        }
        Ok(())
    }

    // The connection as a whole

    fn settings(&mut self, header: Header, payload: &[u8], events: &mut impl Events) -> Result<(), ConnectionError> {
        if header.stream != 0 {
            return Err(ConnectionError::protocol("SETTINGS on a stream"));
        }
        if header.has(frame::ACK) {
            if !payload.is_empty() {
                return Err(ConnectionError::size("SETTINGS with a wrong length"));
            }
            if !self.acknowledged {
                self.acknowledged = true;
                self.decoder.set_limit(self.settings.header_table_size as usize);
                self.repetition.forget();
                events.settings_acknowledged();
            }
            return Ok(());
        }
        let (pairs, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err(ConnectionError::size("SETTINGS with a wrong length"));
        }
        if !self.peer.known {
            self.peer.known = true;
            self.peer.max_streams = u32::MAX;
        }
        for [a, b, value @ ..] in pairs {
            self.setting(u16::from_be_bytes([*a, *b]), u32::from_be_bytes(*value))?;
        }
        self.count_answer()?;
        frame::append(&mut self.output, frame::SETTINGS, frame::ACK, 0, &[]);
        self.resume_bodies();
        Ok(())
    }

    fn setting(&mut self, name: u16, value: u32) -> Result<(), ConnectionError> {
        match name {
            frame::SETTINGS_HEADER_TABLE_SIZE => self.encoder.set_limit(value as usize),
            frame::SETTINGS_ENABLE_PUSH if value != 0 => {
                return Err(ConnectionError::protocol("SETTINGS that offer push"));
            }
            frame::SETTINGS_MAX_CONCURRENT_STREAMS => self.peer.max_streams = value,
            frame::SETTINGS_INITIAL_WINDOW_SIZE => {
                let window = i64::from(value);
                let change = window - self.peer.initial_window;
                let largest = self.streams.iter().map(|slot| slot.send_window).max().unwrap_or(0);
                if window > LARGEST_WINDOW || largest + change > LARGEST_WINDOW {
                    return Err(ConnectionError::new(ErrorCode::FLOW_CONTROL_ERROR, "a window over 2^31 - 1"));
                }
                self.peer.initial_window = window;
                self.streams.iter_mut().for_each(|slot| slot.send_window += change);
            }
            frame::SETTINGS_MAX_FRAME_SIZE => {
                if !(16_384..1 << 24).contains(&value) {
                    return Err(ConnectionError::protocol("SETTINGS with a wrong frame size"));
                }
                self.peer.max_payload = value as usize;
            }
            _ => {}
        }
        Ok(())
    }

    fn ping(&mut self, header: Header, payload: &[u8]) -> Result<(), ConnectionError> {
        if header.stream != 0 {
            return Err(ConnectionError::protocol("PING on a stream"));
        }
        if payload.len() != 8 {
            return Err(ConnectionError::size("PING with a wrong length"));
        }
        if !header.has(frame::ACK) {
            self.count_answer()?;
            frame::append(&mut self.output, frame::PING, frame::ACK, 0, payload);
        }
        Ok(())
    }

    fn go_away(&mut self, header: Header, payload: &[u8], events: &mut impl Events) -> Result<(), ConnectionError> {
        if header.stream != 0 {
            return Err(ConnectionError::protocol("GOAWAY on a stream"));
        }
        let (Some(last), Some(code)) = (frame::word(payload), payload.get(4..).and_then(frame::word)) else {
            return Err(ConnectionError::size("GOAWAY with a wrong length"));
        };
        let last = last & 0x7fff_ffff;
        self.draining = true;
        self.gave_up = true;
        events.go_away(last, ErrorCode(code));
        let mut refused: Vec<u32> = self.streams.iter().map(|slot| slot.id).filter(|id| *id > last).collect();
        refused.sort_unstable();
        for id in refused {
            if let Some(stream) = self.streams.remove(id) {
                events.failed(stream, Failure::NotProcessed);
            }
        }
        Ok(())
    }

    fn window_update(
        &mut self,
        header: Header,
        payload: &[u8],
        events: &mut impl Events,
    ) -> Result<(), ConnectionError> {
        let increment = match frame::word(payload) {
            Some(word) if payload.len() == 4 => i64::from(word & 0x7fff_ffff),
            _ => return Err(ConnectionError::size("WINDOW_UPDATE with a wrong length")),
        };
        if header.stream == 0 {
            self.send_window += increment;
            if increment == 0 {
                return Err(ConnectionError::protocol("WINDOW_UPDATE of nothing"));
            }
            if self.send_window > LARGEST_WINDOW {
                return Err(ConnectionError::new(ErrorCode::FLOW_CONTROL_ERROR, "a window over 2^31 - 1"));
            }
        } else {
            self.check_known(header.stream)?;
            let Some(slot) = self.streams.find(header.stream) else { return Ok(()) };
            slot.send_window += increment;
            if increment == 0 {
                let failure = Failure::Malformed("WINDOW_UPDATE of nothing");
                self.give_up(header.stream, ErrorCode::PROTOCOL_ERROR, failure, events);
            } else if slot.send_window > LARGEST_WINDOW {
                let failure = Failure::Malformed("a window over 2^31 - 1");
                self.give_up(header.stream, ErrorCode::FLOW_CONTROL_ERROR, failure, events);
            }
        }
        self.resume_bodies();
        Ok(())
    }
}

/// The first thing that a peer sends is SETTINGS; a server of HTTP/1 sends something else.
#[cold]
fn first_frame(header: Header) -> Result<(), ConnectionError> {
    if header.kind == frame::SETTINGS && !header.has(frame::ACK) && header.stream == 0 {
        return Ok(());
    }
    // "HTT" as a length, "P" as a kind, "/" as flags.
    if header.length == 0x48_54_54 && header.kind == b'P' && header.flags == b'/' {
        return Err(ConnectionError::protocol("the target answers in HTTP/1"));
    }
    Err(ConnectionError::protocol("the first frame is not SETTINGS"))
}

fn priority(header: Header) -> Result<(), ConnectionError> {
    if header.stream == 0 {
        return Err(ConnectionError::protocol("PRIORITY without a stream"));
    }
    if header.length != 5 {
        return Err(ConnectionError::size("PRIORITY with a wrong length"));
    }
    Ok(())
}
