//! The wire format of frames (RFC 9113, section 4 and 6).

use crate::error::ErrorCode;

/// Bytes of a frame's header.
pub(crate) const HEADER: usize = 9;

/// The largest payload that either side may send by default, and the largest that we accept.
pub(crate) const MAX_PAYLOAD: usize = 16_384;

/// The client's connection preface.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const PRIORITY: u8 = 0x2;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PING: u8 = 0x6;
pub(crate) const GOAWAY: u8 = 0x7;
pub(crate) const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;

pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PADDED: u8 = 0x8;
pub(crate) const WITH_PRIORITY: u8 = 0x20;

pub(crate) const SETTINGS_HEADER_TABLE_SIZE: u16 = 0x1;
pub(crate) const SETTINGS_ENABLE_PUSH: u16 = 0x2;
pub(crate) const SETTINGS_MAX_CONCURRENT_STREAMS: u16 = 0x3;
pub(crate) const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 0x4;
pub(crate) const SETTINGS_MAX_FRAME_SIZE: u16 = 0x5;
pub(crate) const SETTINGS_MAX_HEADER_LIST_SIZE: u16 = 0x6;

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

impl Header {
    #[inline]
    pub(crate) fn parse(bytes: [u8; HEADER]) -> Header {
        let [a, b, c, kind, flags, stream @ ..] = bytes;
        Header {
            length: usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }

    pub(crate) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A frame's header on the wire; `length` is below 2^24.
#[inline]
#[allow(clippy::cast_possible_truncation)] // split into bytes
pub(crate) fn header(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; HEADER] {
    let [s, t, u, v] = stream.to_be_bytes();
    [(length >> 16) as u8, (length >> 8) as u8, length as u8, kind, flags, s, t, u, v]
}

pub(crate) fn append(output: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    output.extend_from_slice(&header(payload.len(), kind, flags, stream));
    output.extend_from_slice(payload);
}

pub(crate) fn append_reset(output: &mut Vec<u8>, stream: u32, code: ErrorCode) {
    append(output, RST_STREAM, 0, stream, &code.0.to_be_bytes());
}

pub(crate) fn append_window_update(output: &mut Vec<u8>, stream: u32, increment: usize) {
    append(output, WINDOW_UPDATE, 0, stream, &word_of(increment));
}

pub(crate) fn append_goaway(output: &mut Vec<u8>, code: ErrorCode) {
    let mut payload = [0; 8]; // no stream of the peer's was taken
    payload[4..].copy_from_slice(&code.0.to_be_bytes());
    append(output, GOAWAY, 0, 0, &payload);
}

/// The payload of a HEADERS or DATA frame without its padding; None if the padding is too long.
pub(crate) fn without_padding(header: Header, payload: &[u8]) -> Option<&[u8]> {
    if !header.has(PADDED) {
        return Some(payload);
    }
    let (padding, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*padding))?)
}

/// A window size in wire format; all are below 2^31.
#[allow(clippy::cast_possible_truncation)]
fn word_of(size: usize) -> [u8; 4] {
    (size as u32).to_be_bytes()
}

/// The first 32 bits of `payload`.
pub(crate) fn word(payload: &[u8]) -> Option<u32> {
    payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}
