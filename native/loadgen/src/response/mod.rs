//! Parses one HTTP/1.1 response (RFC 9112) that arrives in pieces. No I/O.
//!
//! Bodies are counted and dropped. A response in a single piece is never copied; of one in several pieces, the head and
//! the start of the body are stored (`raw`), because only its end shows whether it is a failure or slow, and so to be
//! sampled.

mod chunks;
mod head;
#[cfg(test)]
mod tests;
mod whole;

pub use head::{Expect, Framing, Head, HeadCache, MOST_HEAD_BYTES, parse_head};
pub use whole::{Coding, Whole, coding_of, take_apart};

use chunks::Chunks;

/// Why bytes are not a valid response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// `not HTTP: …`.
    Protocol(&'static str),
    /// Over 64 KiB of head.
    HeadTooLarge,
    /// Over the plan's limit.
    TooLarge,
}

/// The result of a piece of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More input is needed.
    More,
    /// The response ended after this many bytes of the input.
    Done(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Head,
    Length(u64),
    Chunks(Chunks),
    UntilClose,
    Done,
}

/// Parser state of one response.
#[derive(Debug)]
pub struct Reader {
    body: Body,
    expect: Expect,
    /// The final head, once complete.
    head: Option<Head>,
    /// A byte of the final response was received, not only heads of 1xx.
    begun: bool,
    /// Bytes of this response so far, heads of 1xx included.
    received: u64,
    /// For a response in several pieces: the head and the start of the body, as received.
    raw: Vec<u8>,
    /// Bytes of the body so far, without framing.
    body_bytes: u64,
    /// Number of body bytes to store in `raw`.
    keep: usize,
    most_bytes: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Reader {
            body: Body::Done,
            expect: Expect { head_only: false },
            head: None,
            begun: false,
            received: 0,
            raw: Vec::new(),
            body_bytes: 0,
            keep: 0,
            most_bytes: u64::MAX,
        }
    }
}

impl Reader {
    /// Prepares for the next response. If it comes in pieces, `keep` bytes of its body are stored; a body of more than
    /// `most_bytes` is a fault.
    pub fn start(&mut self, expect: Expect, keep: usize, most_bytes: u64) {
        self.body = Body::Head;
        self.expect = expect;
        self.head = None;
        self.begun = false;
        self.received = 0;
        self.body_bytes = 0;
        self.raw.clear();
        self.keep = keep;
        self.most_bytes = most_bytes;
    }

    /// True before the first byte of the response.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.received == 0
    }

    /// True once a byte of the final response was received.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Bytes of this response so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes of the body so far, without its framing.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// The final head, once complete.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The response as received, from its start: `input` is the last piece, which holds all of a response in one piece.
    /// Truncated to the stored length.
    #[must_use]
    pub fn raw<'a>(&'a self, input: &'a [u8]) -> &'a [u8] {
        if self.raw.is_empty() { input } else { &self.raw }
    }

    /// The name of the header that `fault` is about, if any; `input` is the piece in which it occurred.
    #[must_use]
    pub fn bad_header(&self, input: &[u8], fault: Fault) -> Option<String> {
        if self.head.is_some() || !matches!(fault, Fault::Protocol(head::BAD_NAME | head::BAD_VALUE)) {
            return None;
        }
        head::bad_header(&[&self.raw, input].concat())
    }

    /// Frees memory that an ordinary response does not need.
    pub fn finish(&mut self) {
        self.body = Body::Done;
        if self.raw.capacity() > 16 * 1024 {
            self.raw = Vec::new();
        } else {
            self.raw.clear();
        }
    }

    /// Consumes the next piece of input.
    ///
    /// # Errors
    /// [`Fault`] if it is not a valid response, or too large.
    #[inline]
    pub fn feed(&mut self, input: &[u8], cache: &mut HeadCache) -> Result<Progress, Fault> {
        let consumed = if self.body == Body::Head { self.feed_head(input, cache)? } else { self.feed_body(input, 0)? };
        let taken = consumed.unwrap_or(input.len());
        self.received += taken as u64;
        if self.body_bytes > self.most_bytes {
            return Err(Fault::TooLarge);
        }
        match consumed {
            Some(consumed) if self.raw.is_empty() => {
                self.body = Body::Done;
                Ok(Progress::Done(consumed))
            }
            Some(consumed) => {
                self.keep_raw(&input[..consumed]);
                self.body = Body::Done;
                Ok(Progress::Done(consumed))
            }
            None => {
                self.keep_raw(input);
                Ok(Progress::More)
            }
        }
    }

    /// Handles the end of the connection; returns true if it ends this response.
    pub fn end_of_input(&mut self) -> bool {
        let ended = self.body == Body::UntilClose;
        if ended {
            self.body = Body::Done;
        }
        ended
    }

    fn feed_head(&mut self, input: &[u8], cache: &mut HeadCache) -> Result<Option<usize>, Fault> {
        let before = self.raw.len();
        let head = if before == 0 {
            if let Some(head) = cache.find(input, self.expect) {
                self.begun = true;
                Some((0, head))
            } else {
                let found = self.skip_interim(input)?;
                if let Some((0, head)) = found {
                    cache.learn(input, head, self.expect);
                }
                found
            }
        } else if before + input.len() <= MOST_HEAD_BYTES && memchr::memchr(b'\n', input).is_none() {
            // A head ends with a line feed: without one, it need not be parsed again.
            self.begun = true;
            None
        } else {
            // The head is in pieces: join them. `keep_raw` will find it already stored.
            let mut raw = std::mem::take(&mut self.raw);
            raw.extend_from_slice(input);
            let head = self.skip_interim(&raw);
            raw.truncate(before);
            self.raw = raw;
            head?
        };
        let Some((begin, head)) = head else { return Ok(None) };
        self.head = Some(head);
        self.body = match head.framing {
            Framing::Length(length) if length > self.most_bytes => return Err(Fault::TooLarge),
            Framing::Length(length) => Body::Length(length),
            Framing::Chunked => Body::Chunks(Chunks::START),
            Framing::UntilClose => Body::UntilClose,
        };
        self.feed_body(input, (begin + head.length).saturating_sub(before))
    }

    /// The final head in `bytes` and its offset, after any 1xx.
    fn skip_interim(&mut self, bytes: &[u8]) -> Result<Option<(usize, Head)>, Fault> {
        let mut begin = 0;
        loop {
            self.begun = bytes.len() > begin;
            match parse_head(&bytes[begin..], self.expect)? {
                Some(head) if head.status == 101 => return Err(Fault::Protocol("it switched protocols unasked")),
                Some(head) if head.status < 200 => {
                    begin += head.length;
                    if begin > MOST_HEAD_BYTES {
                        return Err(Fault::HeadTooLarge);
                    }
                }
                Some(head) => return Ok(Some((begin, head))),
                None => return Ok(None),
            }
        }
    }

    fn feed_body(&mut self, input: &[u8], begin: usize) -> Result<Option<usize>, Fault> {
        let here = &input[begin.min(input.len())..];
        match &mut self.body {
            Body::Length(left) => {
                let taken = (here.len() as u64).min(*left);
                *left -= taken;
                self.body_bytes += taken;
                // No more was taken than is here.
                Ok((*left == 0).then(|| begin + usize::try_from(taken).unwrap_or(here.len())))
            }
            Body::Chunks(chunks) => {
                let mut bytes = 0;
                let ended = chunks.feed(here, |data| bytes += data.len() as u64)?;
                self.body_bytes += bytes;
                Ok(ended.map(|consumed| begin + consumed))
            }
            Body::UntilClose => {
                self.body_bytes += here.len() as u64;
                Ok(None)
            }
            Body::Head | Body::Done => Ok(Some(begin)),
        }
    }

    fn keep_raw(&mut self, input: &[u8]) {
        let most = match &self.head {
            Some(head) => head.length.saturating_add(self.keep).saturating_add(4096),
            None => usize::MAX,
        };
        let room = most.saturating_sub(self.raw.len()).min(input.len());
        self.raw.extend_from_slice(&input[..room]);
    }
}
