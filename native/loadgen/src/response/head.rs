//! Parses the head of a response, and caches the last one for identical heads.

use std::mem::MaybeUninit;

use super::Fault;

/// Size limit of a response head.
pub const MOST_HEAD_BYTES: usize = 64 * 1024;
/// Number of headers parsed on the stack; a response with more is parsed again with room for all of them.
const USUAL_HEADERS: usize = 96;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After this many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// The parsed head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// 100 to 999.
    pub status: u16,
    /// Bytes of the head, including the empty line.
    pub length: usize,
    /// How the body ends.
    pub framing: Framing,
    /// The connection can be reused for another request.
    pub keep_alive: bool,
    /// There is a Location header.
    pub has_location: bool,
}

/// The request's properties that affect parsing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// The request was a HEAD: no body, whatever the head says.
    pub head_only: bool,
}

/// Parses a head; None while it is incomplete.
///
/// # Errors
/// [`Fault`] if it is invalid.
pub fn parse_head(bytes: &[u8], expect: Expect) -> Result<Option<Head>, Fault> {
    let mut room = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; USUAL_HEADERS];
    match parse_in(bytes, expect, &mut room) {
        Err(Fault::Protocol("too many headers")) => {
            // Each header takes at least four bytes ("a:\r\n"), so this is enough for all headers in a head.
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
    let mut closes = false;
    for header in response.headers.iter() {
        // Compare the length first: comparing names is most of the work per header.
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
                        closes = true;
                    } else if token.eq_ignore_ascii_case(b"keep-alive") && response.version == Some(0) {
                        head.keep_alive = true;
                    }
                }
            }
            8 if header.name.eq_ignore_ascii_case("location") => head.has_location = true,
            _ => {}
        }
    }
    head.keep_alive &= !closes;
    if content_length.is_some() && transfer_encoding.is_some() {
        return Err(Fault::Protocol("both Content-Length and Transfer-Encoding"));
    }
    head.framing = if expect.head_only || status < 200 || status == 204 || status == 304 {
        Framing::Length(0)
    } else if let Some(value) = transfer_encoding {
        // HTTP/1.0 does not have chunked framing, so the connection cannot be reused (RFC 9112, 6.1).
        head.keep_alive &= response.version == Some(1);
        let last = tokens(value).last().unwrap_or(b"");
        if last.eq_ignore_ascii_case(b"chunked") { Framing::Chunked } else { Framing::UntilClose }
    } else {
        content_length.map_or(Framing::UntilClose, Framing::Length)
    };
    Ok(Some(head))
}

/// Folded values are accepted, as required of clients (RFC 9112, 5.2).
pub(super) fn parser() -> httparse::ParserConfig {
    let mut config = httparse::ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    config
}

pub(super) const BAD_NAME: &str = "bad header name";
pub(super) const BAD_VALUE: &str = "bad header value";
/// Bytes of a header's name to show.
const MOST_NAME: usize = 40;

/// The name of the first invalid header in a head; without the value, which differs from response to response.
#[cold]
pub(super) fn bad_header(head: &[u8]) -> Option<String> {
    let lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut lines = lines.skip_while(|line| line.is_empty()).skip(1).take_while(|line| !line.is_empty());
    lines.find_map(|line| {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            // A folded value continues.
            return None;
        }
        let colon = memchr::memchr(b':', line);
        let name = &line[..colon.unwrap_or(line.len())];
        let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if colon.is_none() || name.is_empty() || !name.iter().all(is_token) {
            return Some(format!("{BAD_NAME} \"{}\"", shown(name)));
        }
        let is_text = |byte: &u8| *byte >= 0x20 && *byte != 0x7F || *byte == b'\t';
        (!line[name.len()..].iter().all(is_text)).then(|| format!("bad value of header \"{}\"", shown(name)))
    })
}

/// The start of a name in printable ASCII.
fn shown(name: &[u8]) -> String {
    let mut text = name[..name.len().min(MOST_NAME)].escape_ascii().to_string();
    if name.len() > MOST_NAME {
        text.push('…');
    }
    text
}

fn reason_of(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => BAD_NAME,
        httparse::Error::HeaderValue => BAD_VALUE,
        httparse::Error::NewLine => "bad line end",
        httparse::Error::Status => "bad status line",
        httparse::Error::TooManyHeaders => "too many headers",
        httparse::Error::Version => "no HTTP version",
        httparse::Error::Token => "bad character in the head",
    }
}

pub(super) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

fn content_length_of(value: &[u8]) -> Result<u64, Fault> {
    let bad = Fault::Protocol("bad Content-Length");
    let mut found = None;
    // "5, 5" is how some intermediaries join two equal headers (RFC 9112, 6.3).
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

/// The last head and its parsed form. Responses of one endpoint mostly have the same head within the second of their
/// Date, and comparing bytes is far cheaper than parsing them.
#[derive(Debug, Default)]
pub struct HeadCache {
    bytes: Vec<u8>,
    /// None before the first head; the parsed form depends on what was expected.
    known: Option<(Head, Expect)>,
}

impl HeadCache {
    #[inline]
    pub(super) fn find(&self, input: &[u8], expect: Expect) -> Option<Head> {
        let (head, expected) = self.known?;
        (expected == expect && input.get(..head.length) == Some(self.bytes.as_slice())).then_some(head)
    }

    pub(super) fn learn(&mut self, input: &[u8], head: Head, expect: Expect) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&input[..head.length]);
        self.known = Some((head, expect));
    }
}
