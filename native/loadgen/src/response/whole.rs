//! Splits a response into headers and body, for checks, samples and redirects.

use std::borrow::Cow;

use super::chunks::Chunks;
use super::head::{parser, tokens};
use super::{Expect, Framing, parse_head};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// None.
    Identity,
    /// gzip or x-gzip.
    Gzip,
    /// zlib or raw deflate.
    Deflate,
    /// Brotli.
    Brotli,
    /// Zstandard.
    Zstd,
    /// Not supported.
    Unknown,
}

impl Coding {
    /// The name in Content-Encoding; empty if not supported.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Coding::Identity | Coding::Unknown => "",
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }
}

/// A response split for a check or a sample.
#[derive(Debug)]
pub struct Whole<'a> {
    /// `HTTP/1.1 200 OK`.
    pub status_line: String,
    /// In order.
    pub headers: Vec<(String, Cow<'a, [u8]>)>,
    /// Without chunk framing, as far as it was stored.
    pub body: Cow<'a, [u8]>,
    /// How the body is compressed.
    pub coding: Coding,
    /// The value of Location.
    pub location: Option<Cow<'a, [u8]>>,
}

/// Splits the result of [`Reader::raw`] (the start of a response is enough); None without a complete head.
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
            // The reader reports a bad chunk; here, use the data before it.
            let mut chunks = Chunks::START;
            let _ = chunks.feed(rest, |data| body.extend_from_slice(data));
            Cow::Owned(body)
        }
        Framing::UntilClose => Cow::Borrowed(rest),
    };
    Some(whole)
}

/// Unfolds a value: each fold becomes one space.
fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'\n') {
        return Cow::Borrowed(value);
    }
    let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    Cow::Owned(lines.collect::<Vec<_>>().join(&b' '))
}

/// Parses the value of Content-Encoding.
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
