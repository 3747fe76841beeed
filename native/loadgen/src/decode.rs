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

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write;

    const TEXT: &[u8] = b"hello hello hello, compressed";
    /// By Node's zlib.brotliCompressSync.
    const BROTLI: &str = "1b1c00f81d09364ed437269ed5185a83b0b0b5c937b6b26a059e3a809bae81f00f";
    /// By the program zstd 1.5.
    const ZSTD: &str = "28b52ffd0458c500009068656c6c6f202c20636f6d707265737365640100314a11eccc69a8";

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn written<W: Write>(mut encoder: W, finish: fn(W) -> std::io::Result<Vec<u8>>) -> Vec<u8> {
        encoder.write_all(TEXT).unwrap();
        finish(encoder).unwrap()
    }

    fn compressed() -> [(Coding, Vec<u8>); 5] {
        let level = Compression::fast();
        [
            (Coding::Gzip, written(GzEncoder::new(Vec::new(), level), GzEncoder::finish)),
            (Coding::Deflate, written(ZlibEncoder::new(Vec::new(), level), ZlibEncoder::finish)),
            (Coding::Deflate, written(DeflateEncoder::new(Vec::new(), level), DeflateEncoder::finish)),
            (Coding::Brotli, bytes(BROTLI)),
            (Coding::Zstd, bytes(ZSTD)),
        ]
    }

    #[test]
    fn every_coding_is_undone() {
        for (coding, body) in compressed() {
            assert_eq!(*decoded(&body, coding, MOST_DECODED), *TEXT, "{coding:?}");
            assert_eq!(*decoded(&body, coding, 5), TEXT[..5], "{coding:?}");
        }
    }

    #[test]
    fn what_does_not_decode_gives_what_there_is() {
        assert_eq!(*decoded(TEXT, Coding::Identity, 5), *TEXT);
        assert_eq!(*decoded(TEXT, Coding::Unknown, 5), *TEXT);
        for (coding, body) in compressed() {
            let text = decoded(&body[..body.len() / 2], coding, MOST_DECODED);
            assert!(TEXT.starts_with(&text) || *text == body[..body.len() / 2], "{coding:?}: {text:?}");
        }
    }

    #[test]
    fn the_text_of_a_chunked_body_is_decoded_too() {
        let zstd = bytes(ZSTD);
        let mut raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for piece in zstd.chunks(7) {
            raw.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            raw.extend_from_slice(piece);
            raw.extend_from_slice(b"\r\n");
        }
        raw.extend_from_slice(b"0\r\n\r\n");
        assert_eq!(*text(&raw, Expect { head_only: false }), *TEXT);
    }
}
