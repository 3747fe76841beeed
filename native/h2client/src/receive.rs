//! Processes the peer's frames (RFC 9113, sections 4 to 8).

mod body;
mod control;
mod head;

use crate::answer::Events;
use crate::connection::Connection;
use crate::error::{ConnectionError, ErrorCode, Failure};
use crate::frame::{self, Header};
pub(crate) use body::Data;
pub(crate) use head::Continued;

/// Most consecutive frames without progress.
pub(crate) const MOST_IDLE_FRAMES: u32 = 10_000;

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reading {
    /// A frame's header.
    Header,
    /// The payload of a frame that is processed as a whole.
    Payload(Header),
    /// The payload of a DATA frame, passed on as it arrives.
    Data(Data),
    /// The payload of an ignored frame, with this many bytes left.
    Skip(usize),
}

impl Connection {
    /// Processes bytes from the socket, split anywhere, and reports their events.
    ///
    /// # Errors
    /// [`ConnectionError`] when the connection cannot continue; again with every further call. The requests in flight
    /// are still in [`streams`](Connection::streams), and a GOAWAY frame is in the outgoing bytes.
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

    /// The next frame's header, once complete.
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

    /// Checks a frame before its payload was received.
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

    /// Processes a whole frame other than DATA.
    #[inline]
    fn frame(&mut self, header: Header, payload: &[u8], events: &mut impl Events) -> Result<(), ConnectionError> {
        match header.kind {
            frame::HEADERS => self.headers(header, payload, events),
            frame::CONTINUATION => self.continuation(header, payload, events),
            _ => {
                self.count_idle_frame()?;
                match header.kind {
                    frame::PRIORITY => control::priority(header),
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

    // Invalid streams

    /// Resets a stream.
    #[cold]
    fn give_up(&mut self, id: u32, code: ErrorCode, failure: Failure, events: &mut impl Events) {
        if let Some(stream) = self.streams.remove(id) {
            self.gave_up = true;
            frame::append_reset(&mut self.output, id, code);
            events.failed(stream, failure);
        }
    }

    /// Checks that a frame is for a stream that was opened at some time.
    #[inline]
    fn check_known(&self, id: u32) -> Result<(), ConnectionError> {
        if id & 1 == 0 || id >= self.next_id {
            return Err(ConnectionError::protocol("a frame for a stream that was never opened"));
        }
        Ok(())
    }

    /// Checks that a frame for a closed stream may still be in transit, because this side has reset streams.
    #[cold]
    fn check_gone(&self, reason: &'static str) -> Result<(), ConnectionError> {
        if self.gave_up { Ok(()) } else { Err(ConnectionError::new(ErrorCode::STREAM_CLOSED, reason)) }
    }
}

/// Checks the peer's first frame, which must be SETTINGS; an HTTP/1 server sends something else.
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
