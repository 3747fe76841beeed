//! DATA frames: passed on as they arrive, counted, and their windows updated (RFC 9113, sections 5.2 and 6.1).

use super::Reading;
use crate::answer::Events;
use crate::connection::Connection;
use crate::error::{ConnectionError, ErrorCode, Failure};
use crate::frame::{self, Header};

/// A partly received DATA frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Data {
    stream: u32,
    ends: bool,
    padded: bool,
    /// The length of the padding is known, and the body was counted.
    counted: bool,
    /// Bytes of body left.
    body: usize,
    /// Bytes of padding left.
    padding: usize,
}

impl Connection {
    #[inline]
    pub(super) fn begin_data(&mut self, header: Header) -> Result<Reading, ConnectionError> {
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

    /// Continues a DATA frame; returns the bytes after it, once it is complete.
    #[inline]
    pub(super) fn data<'a>(
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
            // The stream is gone if the caller or the frame's start ended it.
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

    /// Counts the body of a DATA frame before any of it is passed on, so that the result does not depend on how it is
    /// split.
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

    /// Updates the windows when they are half used. Received data is not stored, so there is no reason to wait; and
    /// because half a window is more than a frame, a peer cannot overrun one.
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
}
