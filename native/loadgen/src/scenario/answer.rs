//! A view of one full response for conditions and extracts: the same for HTTP/1.1 and HTTP/2. Nothing is decoded or
//! parsed before it is needed, and nothing twice.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value as Json;

use crate::decode;
use crate::response::Expect;
use crate::transport::{Exchanged, Raw};

use super::node::Node;

/// Subjects on a longer body have no value.
pub const MOST_BODY_BYTES: usize = 4 * 1024 * 1024;

/// A response.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Status code.
    pub status: u16,
    /// Response time in ns.
    pub time_ns: u64,
    /// Bytes of the body as received, without framing.
    pub size: u64,
    raw: Raw<'a>,
    expect: Expect,
    body: OnceCell<Option<Body<'a>>>,
    node: OnceCell<Option<Node<'a>>>,
    json: OnceCell<Json>,
}

/// A decoded body.
#[derive(Debug)]
struct Body<'a> {
    text: Cow<'a, str>,
    /// False if bytes that are not UTF-8 were replaced.
    is_sound: bool,
}

impl<'a> Answer<'a> {
    /// A response of the transport.
    pub(crate) fn new(status: u16, time_ns: u64, exchanged: &Exchanged<'a>) -> Answer<'a> {
        Answer::of(status, time_ns, exchanged.body_bytes, exchanged.raw, exchanged.expect)
    }

    /// A response from its HTTP/1.1 bytes, of which the body may be truncated: `size` is its whole length.
    #[must_use]
    pub fn of_bytes(status: u16, time_ns: u64, size: u64, raw: &'a [u8]) -> Answer<'a> {
        Answer::of(status, time_ns, size, Raw::One(raw), Expect { head_only: false })
    }

    fn of(status: u16, time_ns: u64, size: u64, raw: Raw<'a>, expect: Expect) -> Answer<'a> {
        Answer {
            status,
            time_ns,
            size,
            raw,
            expect,
            body: OnceCell::new(),
            node: OnceCell::new(),
            json: OnceCell::new(),
        }
    }

    /// The values of a header in order; `name` in any case.
    pub fn headers<'n>(&self, name: &'n str) -> impl Iterator<Item = Cow<'a, [u8]>> + use<'a, 'n> {
        let head = match self.raw {
            Raw::One(bytes) => final_head(bytes),
            Raw::Two { head, .. } => head,
        };
        Fields { rest: after_line(head) }
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| unfolded(value))
    }

    /// The decoded text of the body; None if it is too long or cannot be decompressed.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.body().map(|body| body.text.as_ref())
    }

    /// The body as JSON (RFC 8259); None if it is none.
    #[must_use]
    pub fn node(&self) -> Option<&Node<'a>> {
        self.node
            .get_or_init(|| match self.body().filter(|body| body.is_sound).map(|body| &body.text)? {
                Cow::Borrowed(text) => Node::parsed(text),
                Cow::Owned(text) => Node::parsed(text).map(Node::into_owned),
            })
            .as_ref()
    }

    /// The same for libraries.
    #[must_use]
    pub fn json(&self) -> Option<&Json> {
        self.node().map(|node| self.json.get_or_init(|| node.to_json()))
    }

    /// The body of an HTTP/1.1 response that is neither chunked nor compressed, in UTF-8: most are.
    fn plain(&self) -> Option<&'a [u8]> {
        let Raw::One(bytes) = self.raw else { return None };
        let mut fields = Fields { rest: after_line(final_head(bytes)) };
        for (name, value) in &mut fields {
            let is_plain = match name.len() {
                12 if name.eq_ignore_ascii_case(b"content-type") => {
                    decode::charset_of(value).is_none_or(|charset| charset == encoding_rs::UTF_8)
                }
                16 => !name.eq_ignore_ascii_case(b"content-encoding"),
                17 => !name.eq_ignore_ascii_case(b"transfer-encoding"),
                _ => true,
            };
            if !is_plain {
                return None;
            }
        }
        let body = after_line(fields.rest);
        // A byte order mark may name another charset.
        let has_mark = matches!(body, [0xEF | 0xFE | 0xFF, ..]);
        (!has_mark && body.len() as u64 == self.size).then_some(body)
    }

    fn body(&self) -> Option<&Body<'a>> {
        self.body
            .get_or_init(|| {
                if self.size > MOST_BODY_BYTES as u64 {
                    return None;
                }
                let text = match self.plain() {
                    Some(body) => Cow::Borrowed(body),
                    None => self.raw.text(self.expect, self.size).ok()?,
                };
                (text.len() <= MOST_BODY_BYTES).then(|| Body::new(text))
            })
            .as_ref()
    }
}

impl<'a> Body<'a> {
    fn new(bytes: Cow<'a, [u8]>) -> Body<'a> {
        match bytes {
            Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Body { text: Cow::Borrowed(text), is_sound: true },
                Err(_) => Body { text: String::from_utf8_lossy(bytes), is_sound: false },
            },
            Cow::Owned(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Body { text: Cow::Owned(text), is_sound: true },
                Err(error) => {
                    Body { text: Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()), is_sound: false }
                }
            },
        }
    }
}

/// The bytes from the last head on: heads of 1xx are skipped.
fn final_head(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    loop {
        while let [b'\r' | b'\n', after @ ..] = rest {
            rest = after;
        }
        let line = rest.split(|byte| *byte == b' ').nth(1).unwrap_or(&[]);
        if !line.starts_with(b"1") {
            return rest;
        }
        let mut fields = Fields { rest: after_line(rest) };
        while fields.next().is_some() {}
        rest = fields.rest;
        if rest.is_empty() {
            return rest;
        }
    }
}

fn after_line(bytes: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', bytes).map_or(&[], |end| &bytes[end + 1..])
}

/// The fields of a head, up to its end; a value may hold folds.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if matches!(self.rest, [] | [b'\n', ..] | [b'\r', b'\n', ..]) {
                return None;
            }
            let mut length = 0;
            loop {
                length += memchr::memchr(b'\n', &self.rest[length..]).map_or(self.rest.len() - length, |end| end + 1);
                if !matches!(self.rest.get(length), Some(b' ' | b'\t')) {
                    break;
                }
            }
            let (field, rest) = self.rest.split_at(length);
            self.rest = rest;
            if let Some(colon) = memchr::memchr(b':', field) {
                return Some((&field[..colon], field[colon + 1..].trim_ascii()));
            }
        }
    }
}

/// A value with each fold as one space.
fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    Cow::Owned(lines.collect::<Vec<_>>().join(&b' '))
}
