//! Responses as reported to the caller: heads, bodies and ends.

use crate::error::{ErrorCode, Failure};
use crate::hpack::ENTRY_OVERHEAD;
use crate::hpack::decoder::Sink;
use crate::hpack::tables::Name;
use crate::streams::Stream;

/// Implemented by the caller. Per stream: `head`, any number of `data`, possibly `trailers`, then `end`; or `failed` at
/// any time. After `end` and `failed` the stream is gone and its slot is free.
pub trait Events {
    /// The head of the final response; informational ones (1xx) are skipped.
    fn head(&mut self, stream: Stream, head: &Head<'_>);

    /// A piece of the body, not empty.
    fn data(&mut self, stream: Stream, piece: &[u8]);

    /// The trailers; their fields are only present if the request wants headers.
    fn trailers(&mut self, stream: Stream, fields: Fields<'_>) {
        let _ = (stream, fields);
    }

    /// The response is complete.
    fn end(&mut self, stream: Stream);

    /// The response will not be completed.
    fn failed(&mut self, stream: Stream, failure: Failure);

    /// The peer accepts no further streams. Those above `last` fail as not processed, right after this.
    fn go_away(&mut self, last: u32, code: ErrorCode) {
        let _ = (last, code);
    }

    /// The peer has acknowledged our settings.
    fn settings_acknowledged(&mut self) {}
}

/// The head of a response.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// From 200 to 999.
    pub status: u16,
    /// The announced length of the body.
    pub content_length: Option<u64>,
    /// The `location` field.
    pub location: Option<&'a [u8]>,
    /// The `content-encoding` field.
    pub content_encoding: Option<&'a [u8]>,
    /// All fields but `:status`, in order, if the request wants headers; otherwise none.
    pub fields: Fields<'a>,
    /// Bytes of the compressed header block.
    pub block_length: usize,
}

/// Header fields in order, names in lower case.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    text: &'a [u8],
    places: &'a [Place],
}

impl<'a> Fields<'a> {
    /// Names and values.
    #[must_use = "iterators are lazy"]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let text = self.text;
        self.places.iter().map(move |place| place.of(text))
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    name: usize,
    value: usize,
}

impl Place {
    fn of<'a>(&self, text: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        text[self.start..self.start + self.name + self.value].split_at(self.name)
    }
}

/// Collects the fields of one block; reused for each.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    limit: usize,
    want_all: bool,
    size: usize,
    status: Option<u16>,
    content_length: Option<u64>,
    location: Option<Place>,
    content_encoding: Option<Place>,
    regular_seen: bool,
    malformed: Option<&'static str>,
    text: Vec<u8>,
    places: Vec<Place>,
}

impl Collector {
    /// Accepts blocks whose size, as defined in RFC 9113, section 6.5.2, is up to `limit`.
    pub(crate) fn new(limit: usize) -> Collector {
        Collector { limit, ..Collector::default() }
    }

    /// Clears the previous block.
    #[inline]
    pub(crate) fn begin(&mut self, want_all: bool) {
        self.want_all = want_all;
        self.size = 0;
        self.status = None;
        self.content_length = None;
        self.location = None;
        self.content_encoding = None;
        self.regular_seen = false;
        self.malformed = None;
        self.text.clear();
        self.places.clear();
    }

    /// The argument of [`begin`](Collector::begin).
    pub(crate) fn wants_all(&self) -> bool {
        self.want_all
    }

    pub(crate) fn too_large(&self) -> bool {
        self.size > self.limit
    }

    pub(crate) fn malformed(&self) -> Option<&'static str> {
        self.malformed
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.status
    }

    pub(crate) fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields { text: &self.text, places: if self.want_all { &self.places } else { &[] } }
    }

    pub(crate) fn head(&self, status: u16, block_length: usize) -> Head<'_> {
        Head {
            status,
            content_length: self.content_length,
            location: self.location.map(|place| place.of(&self.text).1),
            content_encoding: self.content_encoding.map(|place| place.of(&self.text).1),
            fields: self.fields(),
            block_length,
        }
    }

    fn keep(&mut self, name: &[u8], value: &[u8]) -> Place {
        let place = Place { start: self.text.len(), name: name.len(), value: value.len() };
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        place
    }

    fn complain(&mut self, reason: &'static str) {
        self.malformed.get_or_insert(reason);
    }

    fn length(&mut self, value: &[u8]) {
        match (decimal(value), self.content_length) {
            (None, _) => self.complain("a wrong content-length"),
            (Some(length), Some(before)) if length != before => self.complain("two different content-lengths"),
            (length, _) => self.content_length = length,
        }
    }
}

impl Sink for Collector {
    #[inline]
    fn field(&mut self, meaning: Name, name: &[u8], value: &[u8]) {
        self.size += name.len() + value.len() + ENTRY_OVERHEAD;
        if self.too_large() {
            return;
        }
        if meaning == Name::Status {
            if self.regular_seen {
                self.complain("a pseudo-header field after the others");
            }
            match status(value) {
                Some(status) if self.status.is_none() => self.status = Some(status),
                _ => self.complain("a wrong status"),
            }
            return;
        }
        self.regular_seen = true;
        let place = if self.want_all {
            let place = self.keep(name, value);
            self.places.push(place);
            Some(place)
        } else {
            None
        };
        if value.iter().fold(false, |found, byte| found | matches!(byte, 0 | b'\r' | b'\n')) {
            self.complain("a line break or a zero byte in a header field");
        }
        match meaning {
            Name::ContentLength => self.length(value),
            Name::Location => self.location = Some(place.unwrap_or_else(|| self.keep(b"", value))),
            Name::ContentEncoding => self.content_encoding = Some(place.unwrap_or_else(|| self.keep(b"", value))),
            Name::ConnectionSpecific => self.complain("a header field about the connection"),
            Name::WrongPseudo => self.complain("a pseudo-header field that answers do not have"),
            Name::Malformed => self.complain("a wrong header field name"),
            Name::Status | Name::Other => {}
        }
    }
}

fn status(value: &[u8]) -> Option<u16> {
    match value {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
        }
        _ => None,
    }
}

/// A number of at most 18 digits.
fn decimal(value: &[u8]) -> Option<u64> {
    let valid = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    valid.then(|| value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
