//! Control frames: SETTINGS, PING, GOAWAY, windows, resets, priorities (RFC 9113, sections 6.3 to 6.9).

use crate::answer::Events;
use crate::connection::{Connection, LARGEST_WINDOW};
use crate::error::{ConnectionError, ErrorCode, Failure};
use crate::frame::{self, Header};

impl Connection {
    pub(super) fn reset(
        &mut self,
        header: Header,
        payload: &[u8],
        events: &mut impl Events,
    ) -> Result<(), ConnectionError> {
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

    pub(super) fn settings(
        &mut self,
        header: Header,
        payload: &[u8],
        events: &mut impl Events,
    ) -> Result<(), ConnectionError> {
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

    pub(super) fn ping(&mut self, header: Header, payload: &[u8]) -> Result<(), ConnectionError> {
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

    pub(super) fn go_away(
        &mut self,
        header: Header,
        payload: &[u8],
        events: &mut impl Events,
    ) -> Result<(), ConnectionError> {
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

    pub(super) fn window_update(
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

pub(super) fn priority(header: Header) -> Result<(), ConnectionError> {
    if header.stream == 0 {
        return Err(ConnectionError::protocol("PRIORITY without a stream"));
    }
    if header.length != 5 {
        return Err(ConnectionError::size("PRIORITY with a wrong length"));
    }
    Ok(())
}
