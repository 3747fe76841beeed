//! A chunked body (RFC 9112, section 7.1), byte by byte.

use super::{Fault, MOST_HEAD_BYTES};

const MOST_CHUNK_LINE: usize = 16 * 1024;

/// Position in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunks {
    place: Place,
    /// The size being read, or the rest of the chunk.
    left: u64,
    /// Bytes of the line, or of all trailers, so far.
    line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Size,
    /// Space after the size: only an extension or the end of the line may follow.
    SizeSpace,
    Extension,
    SizeEnd,
    Data,
    DataReturn,
    DataFeed,
    TrailerStart,
    Trailer,
    TrailerFeed,
    LastFeed,
}

impl Place {
    fn after_size(byte: u8) -> Place {
        match byte {
            b'\r' => Place::SizeEnd,
            b';' => Place::Extension,
            _ => Place::SizeSpace,
        }
    }
}

impl Chunks {
    pub(super) const START: Chunks = Chunks { place: Place::Size, left: 0, line: 0 };

    /// Consumes input; calls `data` with each run of body bytes. If the body has ended, returns the number of bytes
    /// consumed.
    pub(super) fn feed(&mut self, input: &[u8], mut data: impl FnMut(&[u8])) -> Result<Option<usize>, Fault> {
        const BAD_SIZE: Fault = Fault::Protocol("bad chunk size");
        let mut at = 0;
        while at < input.len() {
            let byte = input[at];
            if self.place == Place::Data {
                let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len() - at);
                data(&input[at..at + here]);
                at += here;
                self.left -= here as u64;
                if self.left == 0 {
                    self.place = Place::DataReturn;
                }
                continue;
            }
            at += 1;
            self.line += 1;
            match (self.place, byte) {
                (Place::Size, _) if byte.is_ascii_hexdigit() => {
                    let digit = char::from(byte).to_digit(16).unwrap_or(0);
                    if self.line > 16 || self.left > u64::MAX >> 8 {
                        return Err(BAD_SIZE);
                    }
                    self.left = self.left << 4 | u64::from(digit);
                }
                (Place::Size, b'\r' | b';' | b' ' | b'\t') if self.line > 1 => self.place = Place::after_size(byte),
                (Place::SizeSpace, b'\r' | b';' | b' ' | b'\t') if self.line <= MOST_CHUNK_LINE => {
                    self.place = Place::after_size(byte);
                }
                (Place::Extension, b'\r') => self.place = Place::SizeEnd,
                (Place::Extension, byte) if byte != b'\n' && self.line <= MOST_CHUNK_LINE => {}
                (Place::SizeEnd, b'\n') => {
                    self.line = 0;
                    self.place = if self.left == 0 { Place::TrailerStart } else { Place::Data };
                }
                (Place::DataReturn, b'\r') => self.place = Place::DataFeed,
                (Place::DataFeed, b'\n') => *self = Chunks::START,
                (Place::TrailerStart, b'\r') => self.place = Place::LastFeed,
                (Place::TrailerStart | Place::Trailer, byte) if byte != b'\r' && byte != b'\n' => {
                    self.place = Place::Trailer;
                    if self.line > MOST_HEAD_BYTES {
                        return Err(Fault::HeadTooLarge);
                    }
                }
                (Place::Trailer, b'\r') => self.place = Place::TrailerFeed,
                (Place::TrailerFeed, b'\n') => self.place = Place::TrailerStart,
                (Place::LastFeed, b'\n') => return Ok(Some(at)),
                (Place::Size | Place::SizeSpace | Place::Extension | Place::SizeEnd, _) => return Err(BAD_SIZE),
                (Place::DataReturn | Place::DataFeed, _) => return Err(Fault::Protocol("a chunk without its end")),
                _ => return Err(Fault::Protocol("bad trailer")),
            }
        }
        Ok(None)
    }
}
