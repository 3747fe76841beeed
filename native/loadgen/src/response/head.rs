//! The head of a response: what it says, and the one that said the same before.

use std::mem::MaybeUninit;

use super::Fault;

/// The head of a response may be as large as this.
pub const MOST_HEAD_BYTES: usize = 64 * 1024;
/// Headers that fit on the stack; a response with more is parsed again with room for all of them.
const USUAL_HEADERS: usize = 96;

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
    let mut closes = false;
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
pub(super) fn parser() -> httparse::ParserConfig {
    let mut config = httparse::ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    config
}

pub(super) const BAD_NAME: &str = "bad header name";
pub(super) const BAD_VALUE: &str = "bad header value";
/// This much of a header's name is shown.
const MOST_NAME: usize = 40;

/// The first header in a head that is not one, by its name: values differ from answer to answer.
#[cold]
pub(super) fn bad_header(head: &[u8]) -> Option<String> {
    let lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut lines = lines.skip_while(|line| line.is_empty()).skip(1).take_while(|line| !line.is_empty());
    lines.find_map(|line| {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            // A folded value goes on.
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

/// The beginning of a name in printable ASCII.
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
