//! HTTP/2 as far as a benchmark needs it: it answers every stream as soon as the client has ended its side, and all
//! requests of a read with one write. It reads no header, and ignores the client's windows, which are far larger than
//! all answers in flight.

use crate::SMALL;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const FRAME_HEADER: usize = 9;

/// The answer, HEADERS and DATA, and the places of its two stream numbers.
pub struct Answer {
    bytes: Vec<u8>,
    streams: [usize; 2],
}

impl Answer {
    pub fn new() -> Answer {
        let mut head = vec![0x88]; // :status 200, then two fields with names of the static table
        for (name, value) in [(16, "application/json"), (13, &SMALL.len().to_string()[..])] {
            head.extend_from_slice(&[0x0f, name, value.len() as u8]);
            head.extend_from_slice(value.as_bytes());
        }
        let mut bytes = Vec::new();
        frame(&mut bytes, HEADERS, END_HEADERS, &head);
        let second = bytes.len();
        frame(&mut bytes, DATA, END_STREAM, SMALL.as_bytes());
        Answer {
            bytes,
            streams: [5, second + 5],
        }
    }

    fn append(&self, stream: [u8; 4], out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&self.bytes);
        for place in self.streams {
            out[begin + place..begin + place + 4].copy_from_slice(&stream);
        }
    }
}

/// Appends the server's first frame.
pub fn begin(out: &mut Vec<u8>) {
    // MAX_CONCURRENT_STREAMS: 256.
    frame(out, SETTINGS, 0, &[0, 3, 0, 0, 1, 0]);
}

/// Answers the whole frames at the beginning of `input`; returns their length.
pub fn take(input: &[u8], answer: &Answer, requests: &mut u64, out: &mut Vec<u8>) -> usize {
    let mut rest = input;
    while let Some((header, more)) = rest.split_first_chunk::<FRAME_HEADER>() {
        let [a, b, c, kind, flags, stream @ ..] = *header;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let Some(payload) = more.get(..length) else {
            break;
        };
        match kind {
            HEADERS | DATA if flags & END_STREAM != 0 => {
                *requests += 1;
                answer.append(stream, out);
            }
            SETTINGS if flags & ACK == 0 => frame(out, SETTINGS, ACK, &[]),
            PING if flags & ACK == 0 => frame(out, PING, ACK, payload),
            _ => {}
        }
        rest = &more[length..];
    }
    input.len() - rest.len()
}

/// Appends a frame of stream 0; all of them are short.
fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, payload: &[u8]) {
    out.extend_from_slice(&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 0]);
    out.extend_from_slice(payload);
}
