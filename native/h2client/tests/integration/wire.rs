//! Frames for tests, and a record of what a connection tells.
#![allow(dead_code)] // each test file uses some of it

use h2client::{
    Connection, ConnectionError, ErrorCode, Events, Failure, Fields, Head, Settings, Stream, Template, Value,
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;

/// `:status: 200`.
pub const STATUS_200: &[u8] = &[0x88];

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).expect("a short payload").to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub fn setting(name: u16, value: u32) -> Vec<u8> {
    let mut payload = name.to_be_bytes().to_vec();
    payload.extend(value.to_be_bytes());
    frame(SETTINGS, 0, 0, &payload)
}

/// A literal field that enters no table.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        assert!(text.len() < 127);
        bytes.push(u8::try_from(text.len()).expect("a short text"));
        bytes.extend(text.as_bytes());
    }
    bytes
}

pub fn head(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| field(name, value)).collect();
    frame(HEADERS, END_HEADERS | flags, stream, &block)
}

/// The peer's settings, and its acknowledgement of ours.
pub fn greeting() -> Vec<u8> {
    [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Head(u64, u16, Vec<(String, String)>),
    Body(u64, Vec<u8>),
    Trailers(u64, Vec<(String, String)>),
    End(u64),
    Failed(u64, Failure),
    GoAway(u32, ErrorCode),
    Acknowledged,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Record(pub Vec<Seen>);

fn pairs(fields: Fields<'_>) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields.iter().map(|(name, value)| (text(name), text(value))).collect()
}

impl Events for Record {
    fn head(&mut self, stream: Stream, head: &Head<'_>) {
        self.0.push(Seen::Head(stream.token, head.status, pairs(head.fields)));
    }
    fn data(&mut self, stream: Stream, piece: &[u8]) {
        assert!(!piece.is_empty());
        // Pieces are joined, so that it does not matter how the bytes were cut.
        let body = self.0.iter_mut().rev().find_map(|seen| match seen {
            Seen::Body(token, body) if *token == stream.token => Some(body),
            _ => None,
        });
        match body {
            Some(body) => body.extend(piece),
            None => self.0.push(Seen::Body(stream.token, piece.to_vec())),
        }
    }
    fn trailers(&mut self, stream: Stream, fields: Fields<'_>) {
        self.0.push(Seen::Trailers(stream.token, pairs(fields)));
    }
    fn end(&mut self, stream: Stream) {
        self.0.push(Seen::End(stream.token));
    }
    fn failed(&mut self, stream: Stream, failure: Failure) {
        self.0.push(Seen::Failed(stream.token, failure));
    }
    fn go_away(&mut self, last: u32, code: ErrorCode) {
        self.0.push(Seen::GoAway(last, code));
    }
    fn settings_acknowledged(&mut self) {
        self.0.push(Seen::Acknowledged);
    }
}

/// A connection whose preface has left, and that has the peer's first settings. Template 0 is a GET, 1 a POST, 2 a GET with a variable path.
pub fn connect(settings: Settings) -> Connection {
    let get = Template::new("GET", "http", "a.test", "/");
    let post = Template::new("POST", "http", "a.test", "/");
    let variable = Template::new("GET", "http", "a.test", Value::Variable);
    let mut connection = Connection::new(settings, [get, post, variable].into());
    feed(&mut connection, &frame(SETTINGS, 0, 0, &[])).1.expect("no error");
    take(&mut connection);
    connection
}

/// What waits to be sent, as if it was.
pub fn take(connection: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !connection.outgoing().is_empty() {
        bytes.extend_from_slice(connection.outgoing());
        connection.consume(connection.outgoing().len());
    }
    bytes
}

/// Kind, flags, stream and payload of each frame.
pub fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<9>() {
        let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        let stream = u32::from_be_bytes(*header.last_chunk().expect("nine bytes"));
        frames.push((header[3], header[4], stream, rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty());
    frames
}

/// What `connection` makes of `bytes`.
pub fn feed(connection: &mut Connection, bytes: &[u8]) -> (Record, Result<(), ConnectionError>) {
    let mut record = Record::default();
    let result = connection.receive(bytes, &mut record);
    (record, result)
}
