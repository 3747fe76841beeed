//! Reading one HTTP/1.1 response (RFC 9112) out of whatever pieces it arrives in. No I/O.
//!
//! Bodies are counted and dropped. A response that comes in one piece is never copied; of one that comes in several, head
//! and the first bytes of the body are kept (`raw`), because only its end shows whether it is a failure or a slow one that
//! somebody will want to look at.

use std::borrow::Cow;
use std::mem::MaybeUninit;

/// The head of a response may be as large as this.
pub const MOST_HEAD_BYTES: usize = 64 * 1024;
/// Headers that fit on the stack; a response with more is parsed again with room for all of them.
const USUAL_HEADERS: usize = 96;
const MOST_CHUNK_LINE: usize = 16 * 1024;

/// Why bytes are not the response that was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// `not HTTP: …`.
    Protocol(&'static str),
    /// Over 64 KiB of head.
    HeadTooLarge,
    /// Over the plan's limit.
    TooLarge,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// gzip or x-gzip.
    Gzip,
    /// zlib or raw deflate.
    Deflate,
    /// Brotli.
    Brotli,
    /// Zstandard.
    Zstd,
    /// Something that we cannot undo.
    Unknown,
}

/// What the head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// 100 to 999.
    pub status: u16,
    /// Bytes of the head, the empty line included.
    pub length: usize,
    /// How the body ends.
    pub framing: Framing,
    /// Another request may follow on this connection.
    pub keep_alive: bool,
    /// There is a Location header.
    pub has_location: bool,
}

/// What a head is to be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// The request was a HEAD: no body, whatever the head says.
    pub head_only: bool,
}

/// What a piece of input led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More is needed.
    More,
    /// The response ended after so many bytes of this input.
    Done(usize),
}

/// Reads a head; None while it is not complete.
///
/// # Errors
/// [`Fault`] where it is not one.
pub fn parse_head(bytes: &[u8], expect: Expect) -> Result<Option<Head>, Fault> {
    let mut room = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; USUAL_HEADERS];
    match parse_in(bytes, expect, &mut room) {
        Err(Fault::Protocol("too many headers")) => {
            // Each header takes at least four bytes ("a:\r\n"), so this is room for all that fit into a head.
            let mut room =
                vec![MaybeUninit::<httparse::Header<'_>>::uninit(); bytes.len().min(MOST_HEAD_BYTES) / 3 + 1];
            parse_in(bytes, expect, &mut room)
        }
        other => other,
    }
}

fn parse_in<'b>(
    bytes: &'b [u8],
    expect: Expect,
    room: &mut [MaybeUninit<httparse::Header<'b>>],
) -> Result<Option<Head>, Fault> {
    let mut response = httparse::Response::new(&mut []);
    let length = match parser().parse_response_with_uninit_headers(&mut response, bytes, room) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() > MOST_HEAD_BYTES => return Err(Fault::HeadTooLarge),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(Fault::Protocol(reason_of(error))),
    };
    if length > MOST_HEAD_BYTES {
        return Err(Fault::HeadTooLarge);
    }
    let status = response.code.unwrap_or(0);
    if status < 100 {
        return Err(Fault::Protocol("bad status code"));
    }
    let mut head = Head {
        status,
        length,
        framing: Framing::UntilClose,
        keep_alive: response.version == Some(1),
        has_location: false,
    };
    let (mut content_length, mut transfer_encoding) = (None, None);
    for header in response.headers.iter() {
        // The length decides first: comparing names is most of what is done per header.
        match header.name.len() {
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                let value = content_length_of(header.value)?;
                if content_length.is_some_and(|before| before != value) {
                    return Err(Fault::Protocol("contradictory Content-Length"));
                }
                content_length = Some(value);
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => transfer_encoding = Some(header.value),
            10 if header.name.eq_ignore_ascii_case("connection") => {
                for token in tokens(header.value) {
                    if token.eq_ignore_ascii_case(b"close") {
                        head.keep_alive = false;
                    } else if token.eq_ignore_ascii_case(b"keep-alive") && response.version == Some(0) {
                        head.keep_alive = true;
                    }
                }
            }
            8 if header.name.eq_ignore_ascii_case("location") => head.has_location = true,
            _ => {}
        }
    }
    if content_length.is_some() && transfer_encoding.is_some() {
        return Err(Fault::Protocol("both Content-Length and Transfer-Encoding"));
    }
    head.framing = if expect.head_only || status < 200 || status == 204 || status == 304 {
        Framing::Length(0)
    } else if let Some(value) = transfer_encoding {
        // HTTP/1.0 does not know it: the framing is not to be trusted any further (RFC 9112, 6.1).
        head.keep_alive &= response.version == Some(1);
        let last = tokens(value).last().unwrap_or(b"");
        if last.eq_ignore_ascii_case(b"chunked") { Framing::Chunked } else { Framing::UntilClose }
    } else {
        content_length.map_or(Framing::UntilClose, Framing::Length)
    };
    Ok(Some(head))
}

/// Folded values are read, as every client must (RFC 9112, 5.2).
fn parser() -> httparse::ParserConfig {
    let mut config = httparse::ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    config
}

/// A value in one line: each fold becomes one space.
fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'\n') {
        return Cow::Borrowed(value);
    }
    let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    Cow::Owned(lines.collect::<Vec<_>>().join(&b' '))
}

fn reason_of(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "bad header name",
        httparse::Error::HeaderValue => "bad header value",
        httparse::Error::NewLine => "bad line end",
        httparse::Error::Status => "bad status line",
        httparse::Error::TooManyHeaders => "too many headers",
        httparse::Error::Version => "no HTTP version",
        httparse::Error::Token => "bad character in the head",
    }
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

fn content_length_of(value: &[u8]) -> Result<u64, Fault> {
    let bad = Fault::Protocol("bad Content-Length");
    let mut found = None;
    // "5, 5" is what some intermediaries make of two equal headers (RFC 9112, 6.3).
    for token in value.split(|byte| *byte == b',') {
        let token = token.trim_ascii();
        if token.is_empty() || token.len() > 18 || !token.iter().all(u8::is_ascii_digit) {
            return Err(bad);
        }
        let number = token.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        if found.is_some_and(|before| before != number) {
            return Err(Fault::Protocol("contradictory Content-Length"));
        }
        found = Some(number);
    }
    found.ok_or(bad)
}

/// The head that was read last, and what it said. Answers of one endpoint mostly have the same head for as long as the
/// second in their Date lasts, and comparing bytes is far cheaper than reading them.
#[derive(Debug, Default)]
pub struct HeadCache {
    bytes: Vec<u8>,
    /// None while nothing was read; what was expected is part of what a head says.
    known: Option<(Head, Expect)>,
}

impl HeadCache {
    #[inline]
    fn find(&self, input: &[u8], expect: Expect) -> Option<Head> {
        let (head, expected) = self.known?;
        (expected == expect && input.get(..head.length) == Some(self.bytes.as_slice())).then_some(head)
    }

    fn learn(&mut self, input: &[u8], head: Head, expect: Expect) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&input[..head.length]);
        self.known = Some((head, expect));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Head,
    Length(u64),
    Chunks(Chunks),
    UntilClose,
    Done,
}

/// Where in a chunked body we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chunks {
    place: Place,
    /// The size that is being read, or what is left of the chunk.
    left: u64,
    /// Bytes of the line, or of all trailers, so far.
    line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Size,
    /// Space after the size: an extension or the end of the line may follow, and no word.
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
    const START: Chunks = Chunks { place: Place::Size, left: 0, line: 0 };

    /// Consumes input; calls `data` with each run of body bytes. Returns the bytes consumed where the body has ended.
    fn feed(&mut self, input: &[u8], mut data: impl FnMut(&[u8])) -> Result<Option<usize>, Fault> {
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

/// One response as it comes in.
#[derive(Debug)]
pub struct Reader {
    body: Body,
    expect: Expect,
    /// The final head, once it is there.
    head: Option<Head>,
    /// A byte of the final response has come, not only heads of 1xx.
    begun: bool,
    /// Bytes of this response so far, heads of 1xx included.
    received: u64,
    /// Of a response in several pieces, the head and the first bytes of the body as they came.
    raw: Vec<u8>,
    /// Bytes of the body so far, without framing.
    body_bytes: u64,
    /// How many bytes are worth keeping in `raw` once the head is there.
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
    /// Makes ready for the next response. Of one that comes in pieces, `keep` bytes of body are kept; a body of more than
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

    /// True where not a byte of the response has come.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.received == 0
    }

    /// True where a byte of the final response has come.
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

    /// The final head, once it is there.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The response as it came, from the beginning: `input` is the last piece fed, which holds all of it where it came in
    /// one piece. Cut at what was to be kept.
    #[must_use]
    pub fn raw<'a>(&'a self, input: &'a [u8]) -> &'a [u8] {
        if self.raw.is_empty() { input } else { &self.raw }
    }

    /// Gives back memory that an ordinary response does not need.
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
    /// [`Fault`] where this is not a valid response, or too large a one.
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

    /// The connection ended. True where that is how this response ends.
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
            // A head ends with a line feed: without one there is no need to read it all again.
            self.begun = true;
            None
        } else {
            // The head is in pieces: put together what is there. `keep_raw` will find it already kept.
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

    /// The final head in `bytes` and where it begins, after any 1xx.
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
                // What was taken is at most what is here.
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

/// A response taken apart for a check or a sample.
#[derive(Debug)]
pub struct Whole<'a> {
    /// `HTTP/1.1 200 OK`.
    pub status_line: String,
    /// In order.
    pub headers: Vec<(String, Cow<'a, [u8]>)>,
    /// Without chunk framing, as far as it was kept.
    pub body: Cow<'a, [u8]>,
    /// How the body is compressed.
    pub coding: Coding,
    /// The value of Location.
    pub location: Option<Cow<'a, [u8]>>,
}

/// Takes apart what [`Reader::raw`] gives (the beginning of a response is enough); None where there is no whole head.
#[must_use]
pub fn take_apart(raw: &[u8], expect: Expect) -> Option<Whole<'_>> {
    let mut begin = 0;
    let head = loop {
        let head = parse_head(&raw[begin..], expect).ok()??;
        if head.status >= 200 {
            break head;
        }
        begin += head.length;
    };
    let bytes = &raw[begin..];
    let mut room = vec![httparse::EMPTY_HEADER; head.length / 3 + 1];
    let mut response = httparse::Response::new(&mut room);
    parser().parse_response(&mut response, bytes).ok()?;
    let mut whole = Whole {
        status_line: format!("HTTP/1.{} {} {}", response.version?, head.status, response.reason.unwrap_or(""))
            .trim_end()
            .to_owned(),
        headers: Vec::with_capacity(response.headers.len()),
        body: Cow::Borrowed(&[]),
        coding: Coding::Identity,
        location: None,
    };
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-encoding") {
            whole.coding = coding_of(&unfolded(header.value));
        } else if header.name.eq_ignore_ascii_case("location") && whole.location.is_none() {
            whole.location = Some(unfolded(header.value));
        }
        whole.headers.push((header.name.to_owned(), unfolded(header.value)));
    }
    let rest = &bytes[head.length..];
    whole.body = match head.framing {
        Framing::Length(declared) => {
            Cow::Borrowed(&rest[..rest.len().min(usize::try_from(declared).unwrap_or(usize::MAX))])
        }
        Framing::Chunked => {
            let mut body = Vec::new();
            // A bad chunk was the reader's to report; here what came before it is wanted.
            let mut chunks = Chunks::START;
            let _ = chunks.feed(rest, |data| body.extend_from_slice(data));
            Cow::Owned(body)
        }
        Framing::UntilClose => Cow::Borrowed(rest),
    };
    Some(whole)
}

/// The coding that a Content-Encoding names.
#[must_use]
pub fn coding_of(value: &[u8]) -> Coding {
    let mut coding = Coding::Identity;
    for token in tokens(value) {
        coding = match (coding, token.to_ascii_lowercase().as_slice()) {
            (known, b"identity") => known,
            (Coding::Identity, b"gzip" | b"x-gzip") => Coding::Gzip,
            (Coding::Identity, b"deflate") => Coding::Deflate,
            (Coding::Identity, b"br") => Coding::Brotli,
            (Coding::Identity, b"zstd") => Coding::Zstd,
            _ => Coding::Unknown,
        };
    }
    coding
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXPECT: Expect = Expect { head_only: false };

    fn reader() -> Reader {
        let mut reader = Reader::default();
        reader.start(EXPECT, 10_240, u64::MAX);
        reader
    }

    /// Feeds `pieces` until the response ends; gives what is left over of the input.
    fn read<'a>(reader: &mut Reader, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<usize>, Fault> {
        let mut cache = HeadCache::default();
        for piece in pieces {
            if let Progress::Done(consumed) = reader.feed(piece, &mut cache)? {
                return Ok(Some(piece.len() - consumed));
            }
        }
        Ok(None)
    }

    const WHOLE: &[(&[u8], u16, &[u8], bool)] = &[
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", true),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, b"", true),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304, b"", true),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", false),
        (b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", true),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok", false),
        (b"HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\nContent-Length:\r\n 2\r\n\r\nok", 200, b"ok", true),
        (b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2, 2\r\n\r\nok", 200, b"ok", false),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0A \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", 200, b"abc0123456789", true),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 201 \r\nContent-Length: 0\r\n\r\n", 201, b"", true),
    ];

    #[test]
    fn a_whole_response_is_read_in_one_piece_and_in_any_two() {
        for (bytes, status, body, keep_alive) in WHOLE {
            for cut in 0..=bytes.len() {
                let mut reader = reader();
                let mut pieces = bytes.to_vec();
                pieces.extend_from_slice(b"next");
                let (first, second) = pieces.split_at(cut);
                let left = read(&mut reader, [first, second]).unwrap();
                assert_eq!(
                    left,
                    Some(if cut == bytes.len() { 0 } else { 4 }),
                    "cut at {cut} of {}",
                    String::from_utf8_lossy(bytes)
                );
                let head = *reader.head().unwrap();
                assert_eq!((head.status, head.keep_alive), (*status, *keep_alive));
                assert_eq!(reader.received(), bytes.len() as u64);
                let last = if cut == bytes.len() { first } else { second };
                let raw = reader.raw(if cut == 0 || cut == bytes.len() { last } else { second });
                let whole = take_apart(raw, EXPECT).unwrap();
                assert_eq!(whole.body.as_ref(), *body);
            }
        }
    }

    #[test]
    fn a_folded_value_is_shown_and_followed_in_one_line() {
        let raw = b"HTTP/1.1 302 Found\r\nX: a\r\n \t b \r\n\tc\r\nLocation: /x\r\n Y: z\r\n\r\n";
        let whole = take_apart(raw, EXPECT).unwrap();
        let values: Vec<_> = whole.headers.iter().map(|(_, value)| value.as_ref()).collect();
        assert_eq!(values, [b"a b c".as_slice(), b"/x Y: z"]);
        assert_eq!(whole.location.as_deref(), Some(b"/x Y: z".as_slice()));
    }

    #[test]
    fn one_byte_at_a_time_is_the_same() {
        for (bytes, status, body, _) in WHOLE {
            let mut reader = reader();
            assert_eq!(read(&mut reader, bytes.chunks(1)).unwrap(), Some(0));
            assert_eq!(reader.head().unwrap().status, *status);
            assert_eq!(take_apart(reader.raw(b""), EXPECT).unwrap().body.as_ref(), *body);
        }
    }

    #[test]
    fn a_response_cut_anywhere_is_not_whole() {
        for (bytes, ..) in WHOLE {
            for cut in 0..bytes.len() {
                let mut reader = reader();
                assert_eq!(read(&mut reader, [&bytes[..cut]]).unwrap(), None);
                assert!(!reader.end_of_input());
            }
        }
    }

    #[test]
    fn without_a_length_the_connection_ends_the_body() {
        let mut reader = reader();
        assert_eq!(reader.feed(b"HTTP/1.1 200 OK\r\n\r\nabc", &mut HeadCache::default()).unwrap(), Progress::More);
        assert_eq!(reader.feed(b"def", &mut HeadCache::default()).unwrap(), Progress::More);
        assert!(reader.end_of_input());
        assert_eq!(take_apart(reader.raw(b""), EXPECT).unwrap().body.as_ref(), b"abcdef");
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        let mut reader = Reader::default();
        reader.start(Expect { head_only: true }, 0, u64::MAX);
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";
        assert_eq!(reader.feed(bytes, &mut HeadCache::default()).unwrap(), Progress::Done(bytes.len()));
    }

    #[test]
    fn what_is_not_http_is_named() {
        let fault = |bytes: &[u8]| reader().feed(bytes, &mut HeadCache::default()).unwrap_err();
        assert_eq!(fault(b"SSH-2.0-OpenSSH\r\n"), Fault::Protocol("no HTTP version"));
        assert_eq!(fault(b"HTTP/1.1 2x0 OK\r\n\r\n"), Fault::Protocol("bad status line"));
        let framed = |headers: &str| fault(format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\nzz\r\n").as_bytes());
        assert_eq!(framed("Content-Length: 1\r\nContent-Length: 2"), Fault::Protocol("contradictory Content-Length"));
        assert_eq!(framed("Content-Length: +1"), Fault::Protocol("bad Content-Length"));
        assert_eq!(framed("Content-Length: 99999999999999999999"), Fault::Protocol("bad Content-Length"));
        assert_eq!(
            framed("Content-Length: 1\r\nTransfer-Encoding: chunked"),
            Fault::Protocol("both Content-Length and Transfer-Encoding")
        );
        assert_eq!(framed("Transfer-Encoding: chunked"), Fault::Protocol("bad chunk size"));
        assert_eq!(framed("Transfer-Encoding: chunked\r\n\r\n5 5"), Fault::Protocol("bad chunk size"));
        assert_eq!(fault(b"HTTP/1.1 101 Switching\r\n\r\n"), Fault::Protocol("it switched protocols unasked"));
    }

    #[test]
    fn sizes_are_bounded() {
        let mut endless = reader();
        let mut outcome = Ok(Progress::More);
        assert_eq!(endless.feed(b"HTTP/1.1 200 OK\r\n", &mut HeadCache::default()), Ok(Progress::More));
        for _ in 0..10_000 {
            outcome = endless.feed(b"X-Header: aaaaaaaaaaaa\r\n", &mut HeadCache::default());
            if outcome.is_err() {
                break;
            }
        }
        assert_eq!(outcome, Err(Fault::HeadTooLarge));
        assert!(endless.raw.len() <= MOST_HEAD_BYTES + 100);

        let mut many = b"HTTP/1.1 200 OK\r\n".to_vec();
        (0..5000).for_each(|_| many.extend_from_slice(b"a:b\r\n"));
        many.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        assert_eq!(reader().feed(&many, &mut HeadCache::default()).unwrap(), Progress::Done(many.len()));

        let mut limited = Reader::default();
        limited.start(EXPECT, 0, 100);
        assert_eq!(
            limited.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", &mut HeadCache::default()),
            Err(Fault::TooLarge)
        );
        limited.start(EXPECT, 0, 100);
        assert_eq!(limited.feed(b"HTTP/1.1 200 OK\r\n\r\n", &mut HeadCache::default()).unwrap(), Progress::More);
        assert_eq!(limited.feed(&[0; 100], &mut HeadCache::default()), Ok(Progress::More));
        assert_eq!(limited.feed(&[0; 1], &mut HeadCache::default()), Err(Fault::TooLarge));
    }

    #[test]
    fn a_large_body_is_not_kept_whole() {
        let mut reader = reader();
        assert_eq!(
            reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n", &mut HeadCache::default()).unwrap(),
            Progress::More
        );
        for _ in 0..99 {
            assert_eq!(reader.feed(&vec![b'x'; 100_000], &mut HeadCache::default()).unwrap(), Progress::More);
        }
        assert!(reader.raw.len() < 20_000);
        assert_eq!(reader.feed(&vec![b'x'; 100_000], &mut HeadCache::default()).unwrap(), Progress::Done(100_000));
    }

    #[test]
    fn a_head_that_was_read_before_says_the_same_again() {
        let mut cache = HeadCache::default();
        for (bytes, status, ..) in WHOLE.iter().flat_map(|row| [row, row, row]) {
            for head_only in [false, true] {
                let mut fresh = Reader::default();
                fresh.start(Expect { head_only }, 0, u64::MAX);
                let mut cached = Reader::default();
                cached.start(Expect { head_only }, 0, u64::MAX);
                assert_eq!(fresh.feed(bytes, &mut HeadCache::default()), cached.feed(bytes, &mut cache));
                assert_eq!((fresh.head(), cached.head().unwrap().status), (cached.head(), *status));
            }
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..10)) {
            let mut reader = reader();
            let _ = read(&mut reader, pieces.iter().map(Vec::as_slice));
        }

        #[test]
        fn random_bytes_after_a_head_never_panic(
            body in prop::collection::vec(prop::sample::select(b"0123456789abcdef\r\n;: x".to_vec()), 0..400),
            cut in 1_usize..50,
        ) {
            let mut reader = reader();
            let bytes = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(), &body].concat();
            let in_pieces = read(&mut reader, bytes.chunks(cut)).map(|left| left.is_some());
            let mut again = Reader::default();
            again.start(EXPECT, 10_240, u64::MAX);
            let at_once = read(&mut again, [bytes.as_slice()]).map(|left| left.is_some());
            prop_assert_eq!(in_pieces, at_once);
        }
    }
}
