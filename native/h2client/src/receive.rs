//! Taking in what the peer sends: frames from bytes, and what each of them means (RFC 9113, sections 4 to 8).

mod body;
mod control;
mod head;

use crate::answer::Events;
use crate::connection::Connection;
use crate::error::{ConnectionError, ErrorCode, Failure};
use crate::frame::{self, Header};
pub(crate) use body::Data;
pub(crate) use head::Continued;

/// So many frames may come one after another without anything going forward.
pub(crate) const MOST_IDLE_FRAMES: u32 = 10_000;

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
