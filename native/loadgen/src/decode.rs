//! The text of a body, for a check or a sample: without chunk framing and without compression.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::response::{self, Coding, Expect};

/// A small body may decompress into a huge one; beyond this nothing is looked at.
pub(crate) const MOST_DECODED: u64 = 64 * 1024 * 1024;

/// The body in a raw response, decoded; empty where there is none.
#[must_use]
pub fn text(raw: &[u8], expect: Expect) -> Cow<'_, [u8]> {
    match response::take_apart(raw, expect) {
        Some(whole) => match whole.body {
            Cow::Borrowed(body) => decoded(body, whole.coding, MOST_DECODED),
            Cow::Owned(body) => Cow::Owned(decoded(&body, whole.coding, MOST_DECODED).into_owned()),
        },
        None => Cow::Borrowed(&[]),
    }
}

/// Undoes `coding`, as far as the bytes go: a body that was cut, or that is not what it says, gives what could be read, and
/// one in an unknown coding stays as it is.
#[must_use]
pub fn decoded(body: &[u8], coding: Coding, most: u64) -> Cow<'_, [u8]> {
    match coding {
        Coding::Identity | Coding::Unknown => Cow::Borrowed(body),
        Coding::Gzip => read(MultiGzDecoder::new(body), most),
        // RFC 9110 says zlib; raw deflate is what some servers send. The first byte of zlib is 0x78 in practice.
        Coding::Deflate if body.first().is_some_and(|first| first & 0x0F == 8) => read(ZlibDecoder::new(body), most),
        Coding::Deflate => read(DeflateDecoder::new(body), most),
        Coding::Brotli => read(brotli_decompressor::Decompressor::new(body, 4096), most),
        Coding::Zstd => match ruzstd::decoding::StreamingDecoder::new(body) {
            Ok(decoder) => read(decoder, most),
            Err(_) => Cow::Borrowed(body),
        },
    }
}

fn read<'a>(decoder: impl Read, most: u64) -> Cow<'a, [u8]> {
    let mut text = Vec::new();
    // What was read before an error is what there is to look at.
    let _ = decoder.take(most).read_to_end(&mut text);
    Cow::Owned(text)
}
