//! Decodes bodies to text for checks and samples: chunk framing and compression removed, converted to UTF-8.

use std::borrow::Cow;
use std::io::Read;

use encoding_rs::{Encoding, UTF_8};
use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use crate::response::{self, Coding, Expect};

/// A small body may decompress to a huge one; nothing beyond this is decoded.
pub(crate) const MOST_DECODED: u64 = 64 * 1024 * 1024;

const GZIP_MAGIC: &[u8] = &[0x1F, 0x8B];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];
/// Buffer size per step of inflating.
const ROOM: usize = 32 * 1024;

/// A body, decompressed as far as possible.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The bytes that could be decoded.
    pub bytes: Cow<'a, [u8]>,
    /// False if the body does not match its coding, or ends prematurely.
    pub is_sound: bool,
}

/// A body that does not match its coding or is truncated; holds the name of that coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecodable(pub &'static str);

/// The text of the body in a raw response, as UTF-8; empty if there is none. `body_bytes` is the length of the whole
/// body, as `raw` may hold only its beginning.
///
/// # Errors
/// [`Undecodable`] if it cannot be decompressed.
pub fn text(raw: &[u8], expect: Expect, body_bytes: u64) -> Result<Cow<'_, [u8]>, Undecodable> {
    let Some(whole) = response::take_apart(raw, expect) else { return Ok(Cow::Borrowed(&[])) };
    let charset = whole.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let charset = charset.and_then(|(_, value)| charset_of(value));
    match whole.body {
        Cow::Borrowed(body) => text_of(body, whole.coding, charset, body_bytes),
        Cow::Owned(body) => text_of(&body, whole.coding, charset, body_bytes).map(|text| Cow::Owned(text.into_owned())),
    }
}

/// The same for a body without its head.
///
/// # Errors
/// As [`text`].
pub fn text_of<'a>(
    body: &'a [u8],
    coding: Coding,
    charset: Option<&'static Encoding>,
    body_bytes: u64,
) -> Result<Cow<'a, [u8]>, Undecodable> {
    let decoded = decoded(body, coding, MOST_DECODED);
    // A body that was truncated for storage may end anywhere.
    let is_whole = body.len() as u64 >= body_bytes;
    if is_whole && !decoded.is_sound {
        return Err(Undecodable(coding.name()));
    }
    Ok(as_utf8(decoded.bytes, charset))
}

/// The charset declared by a Content-Type, with the labels of the WHATWG Encoding Standard.
#[must_use]
pub fn charset_of(content_type: &[u8]) -> Option<&'static Encoding> {
    let parameters = content_type.split(|byte| *byte == b';').skip(1);
    let mut pairs = parameters.filter_map(|parameter| {
        let at = parameter.iter().position(|byte| *byte == b'=')?;
        Some((parameter[..at].trim_ascii(), parameter[at + 1..].trim_ascii()))
    });
    let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case(b"charset"))?;
    let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    Encoding::for_label(value)
}

/// Converts to UTF-8. A byte order mark overrides `charset`. UTF-8 is returned unchanged, even if it is invalid.
fn as_utf8<'a>(bytes: Cow<'a, [u8]>, charset: Option<&'static Encoding>) -> Cow<'a, [u8]> {
    let (encoding, mark) = match Encoding::for_bom(&bytes) {
        Some((encoding, length)) => (encoding, length),
        None => (charset.unwrap_or(UTF_8), 0),
    };
    if encoding == UTF_8 {
        return match bytes {
            bytes if mark == 0 => bytes,
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[mark..]),
            Cow::Owned(bytes) => Cow::Owned(bytes[mark..].to_vec()),
        };
    }
    Cow::Owned(encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned().into_bytes())
}

/// Decompresses `coding` as far as the bytes go, at most `most` bytes. An empty body gives an empty text; an unknown
/// coding leaves the body unchanged.
#[must_use]
pub fn decoded(body: &[u8], coding: Coding, most: u64) -> Decoded<'_> {
    let mut bytes = Vec::new();
    let is_sound = match coding {
        _ if body.is_empty() => true,
        Coding::Identity | Coding::Unknown => return Decoded { bytes: Cow::Borrowed(body), is_sound: true },
        Coding::Gzip => gunzip(body, most, &mut bytes),
        // RFC 9110 requires zlib; some servers send raw deflate. The first byte of zlib is 0x78 in practice.
        Coding::Deflate => inflate(body, body[0] & 0x0F == 8, most, &mut bytes),
        Coding::Brotli => read(&mut brotli_decompressor::Decompressor::new(body, 4096), most, &mut bytes),
        Coding::Zstd => unzstd(body, most, &mut bytes),
    };
    Decoded { bytes: Cow::Owned(bytes), is_sound }
}

/// Decompresses every member; trailing data that is not a member is ignored, as gzip does.
fn gunzip(mut body: &[u8], most: u64, bytes: &mut Vec<u8>) -> bool {
    loop {
        let mut member = GzDecoder::new(body);
        if !read(&mut member, most, bytes) {
            return false;
        }
        body = member.into_inner();
        if bytes.len() as u64 >= most || !body.starts_with(GZIP_MAGIC) {
            return true;
        }
    }
}

/// Decompresses every frame.
fn unzstd(mut body: &[u8], most: u64, bytes: &mut Vec<u8>) -> bool {
    loop {
        let Ok(mut frame) = ruzstd::decoding::StreamingDecoder::new(&mut body) else { return false };
        if !read(&mut frame, most, bytes) {
            return false;
        }
        drop(frame);
        if bytes.len() as u64 >= most || !body.starts_with(ZSTD_MAGIC) {
            return true;
        }
    }
}

/// Reads to the end, or up to `most` bytes in total. Returns false on an error.
fn read(decoder: &mut impl Read, most: u64, bytes: &mut Vec<u8>) -> bool {
    // The bytes read before an error are kept.
    decoder.take(most.saturating_sub(bytes.len() as u64)).read_to_end(bytes).is_ok()
}

/// Inflates zlib or raw deflate. The crate's readers do not report a truncated body.
fn inflate(body: &[u8], is_zlib: bool, most: u64, bytes: &mut Vec<u8>) -> bool {
    let mut stream = Decompress::new(is_zlib);
    loop {
        let used = usize::try_from(stream.total_in()).unwrap_or(body.len()).min(body.len());
        bytes.reserve(ROOM);
        let before = (stream.total_in(), bytes.len());
        let status = stream.decompress_vec(&body[used..], bytes, FlushDecompress::None);
        if bytes.len() as u64 >= most {
            bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            return true;
        }
        match status {
            Ok(Status::StreamEnd) => return true,
            Ok(_) if before != (stream.total_in(), bytes.len()) => {}
            Ok(_) | Err(_) => return false,
        }
    }
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

    fn sound(bytes: &[u8]) -> Decoded<'_> {
        Decoded { bytes: Cow::Borrowed(bytes), is_sound: true }
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
            assert_eq!(decoded(&body, coding, MOST_DECODED), sound(TEXT), "{coding:?}");
            assert_eq!(decoded(&body, coding, 5), sound(&TEXT[..5]), "{coding:?}");
            assert_eq!(decoded(b"", coding, 5), sound(b""), "{coding:?}");
        }
    }

    #[test]
    fn what_does_not_decode_gives_what_there_is() {
        assert_eq!(decoded(TEXT, Coding::Identity, 5), sound(TEXT));
        assert_eq!(decoded(TEXT, Coding::Unknown, 5), sound(TEXT));
        for (coding, body) in compressed() {
            let half = &body[..body.len() / 2];
            let Decoded { bytes, is_sound } = decoded(half, coding, MOST_DECODED);
            assert!(TEXT.starts_with(&bytes) && !is_sound, "{coding:?}: {bytes:?}");
            assert_eq!(text_of(half, coding, None, half.len() as u64), Err(Undecodable(coding.name())), "{coding:?}");
            // It was truncated for storage, so its end says nothing.
            assert!(text_of(half, coding, None, body.len() as u64).is_ok(), "{coding:?}");
            assert!(!decoded(TEXT, coding, MOST_DECODED).is_sound, "{coding:?} of text");
        }
    }

    #[test]
    fn every_member_counts_and_what_follows_the_last_does_not() {
        for (coding, body) in compressed() {
            let twice = [body.as_slice(), &body].concat();
            let has_members = matches!(coding, Coding::Gzip | Coding::Zstd);
            let expected = if has_members { [TEXT, TEXT].concat() } else { TEXT.to_vec() };
            assert_eq!(decoded(&twice, coding, MOST_DECODED), sound(&expected), "{coding:?}");
            let trailed = [body.as_slice(), b"\0\0rest"].concat();
            assert_eq!(decoded(&trailed, coding, MOST_DECODED), sound(TEXT), "{coding:?}");
            if has_members {
                assert!(!decoded(&twice[..twice.len() - 3], coding, MOST_DECODED).is_sound, "{coding:?}");
                assert_eq!(decoded(&twice, coding, 40), sound(&expected[..40]), "{coding:?}");
            }
        }
    }

    #[test]
    fn a_text_is_read_in_the_charset_that_is_declared() {
        let read = |content_type: &str, body: &[u8]| {
            let charset = charset_of(content_type.as_bytes());
            let text = text_of(body, Coding::Identity, charset, body.len() as u64).unwrap().into_owned();
            String::from_utf8_lossy(&text).into_owned()
        };
        assert_eq!(read("text/plain", "é".as_bytes()), "é");
        assert_eq!(read("text/plain; charset=ISO-8859-1", b"\xE9\x80"), "é€");
        assert_eq!(read("text/html;a=b; Charset = \"latin1\" ", b"\xE9"), "é");
        assert_eq!(read("text/plain; charset=utf-16le", b"a\0\xE9\0"), "aé");
        assert_eq!(read("text/plain; charset=shift_jis", b"\x83e"), "テ");
        assert_eq!(read("text/plain; charset=utf-16le", b"a\0\x00\xD8"), "a\u{FFFD}");
        // A byte order mark overrides the charset, and is not part of the text.
        assert_eq!(read("text/plain; charset=latin1", b"\xEF\xBB\xBF\xC3\xA9"), "é");
        assert_eq!(read("text/plain", b"\xFF\xFEa\0"), "a");
        assert_eq!(read("text/plain; charset=nonsense", "é".as_bytes()), "é");
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
        assert_eq!(*text(&raw, Expect { head_only: false }, zstd.len() as u64).unwrap(), *TEXT);
    }
}
