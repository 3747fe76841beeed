//! A connection and its outgoing side: send, cancel, pass bytes. The incoming side is in `receive`.

use std::sync::Arc;

use crate::answer::Collector;
use crate::error::{ConnectionError, ErrorCode, Refusal};
use crate::frame;
use crate::hpack::decoder::{Decoder, Repetition};
use crate::hpack::encoder::Encoder;
use crate::receive::{Continued, Reading};
use crate::send;
use crate::streams::{Rest, Stream, Streams};
use crate::template::Template;

/// The initial window of a connection and of each stream (RFC 9113, section 6.9.2).
pub(crate) const DEFAULT_WINDOW: i64 = 65_535;

/// The maximum window.
pub(crate) const LARGEST_WINDOW: i64 = 0x7fff_ffff;

/// Streams to open before the peer's settings are known. More could be refused, a failure caused by us; the settings
/// arrive after one round trip at the latest.
const STREAMS_BEFORE_SETTINGS: u32 = 1;

/// Size limit of a response's headers, compressed and decoded.
pub(crate) const HEADER_LIMIT: usize = HEADER_LIMIT_SETTING as usize;
const HEADER_LIMIT_SETTING: u32 = 64 << 10;

/// The last stream number.
const LAST_STREAM: u32 = 0x7fff_ffff;

/// Settings for the peer, and limits of this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Most requests in flight, if the peer allows as many. At least 1.
    pub max_streams: u32,
    /// Bytes that the peer may send ahead, on the connection and on each stream: 65,535 to 2^31 - 1.
    pub window: u32,
    /// The header table that the peer's encoder may use, in bytes.
    pub header_table_size: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { max_streams: 100, window: 16 << 20, header_table_size: 4096 }
    }
}

/// The body of a request.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// No body.
    None,
    /// Copied if the peer's window does not allow sending it at once.
    Bytes(&'a [u8]),
    /// Shared by reference if the peer's window does not allow sending it at once.
    Shared(&'a Arc<[u8]>),
}

impl<'a> Body<'a> {
    pub(crate) fn bytes(&self) -> &'a [u8] {
        match self {
            Body::None => &[],
            Body::Bytes(bytes) => bytes,
            Body::Shared(bytes) => bytes,
        }
    }

    pub(crate) fn rest(&self, sent: usize) -> Rest {
        match self {
            Body::None => Rest::Nothing,
            Body::Bytes(bytes) => Rest::Own(bytes[sent..].to_vec(), 0),
            Body::Shared(bytes) => Rest::Shared(Arc::clone(bytes), sent),
        }
    }
}

/// Data of a request beside its head.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Included in every event of the stream.
    pub token: u64,
    /// The body.
    pub body: Body<'a>,
    /// The method is HEAD: the response has no body, whatever its content-length.
    pub head_request: bool,
    /// Report all header fields of the response, not only those named in [`Head`](crate::Head).
    pub want_headers: bool,
}

impl Request<'_> {
    /// A request without a body.
    #[must_use]
    pub fn new(token: u64) -> Request<'static> {
        Request { token, body: Body::None, head_request: false, want_headers: false }
    }
}

/// The peer's settings.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its first settings were received.
    pub(crate) known: bool,
    pub(crate) max_streams: u32,
    pub(crate) initial_window: i64,
    pub(crate) max_payload: usize,
}

/// The client side of an HTTP/2 connection, without its socket.
///
/// Incoming bytes are passed to [`receive`](Connection::receive), outgoing ones are in
/// [`outgoing`](Connection::outgoing); all output of a call (ping responses, window updates, many requests) is
/// collected there for one write.
#[derive(Debug)]
pub struct Connection {
    pub(crate) settings: Settings,
    templates: Arc<[Template]>,
    pub(crate) peer: Peer,
    pub(crate) streams: Streams,
    pub(crate) encoder: Encoder,
    pub(crate) decoder: Decoder,
    pub(crate) repetition: Repetition,
    pub(crate) collector: Collector,
    pub(crate) next_id: u32,
    /// This side has reset streams, so frames for streams that are gone may still arrive.
    pub(crate) gave_up: bool,
    pub(crate) draining: bool,
    pub(crate) failed: Option<ConnectionError>,
    /// Bytes of DATA frames received since the connection's window was last updated.
    pub(crate) received: usize,
    /// Bytes that may still be sent on the connection.
    pub(crate) send_window: i64,
    /// Streams whose bodies are not fully sent.
    pub(crate) waiting: Vec<u32>,
    pub(crate) output: Vec<u8>,
    /// Bytes of `output` already sent.
    pub(crate) sent: usize,
    /// Bytes sent before those.
    sent_before: u64,
    /// Our frames that respond to the peer's and may not have been sent.
    answers: u32,
    /// The total of sent bytes at which all of these have been sent.
    answers_begin: u64,
    /// Frames since the last progress.
    pub(crate) idle_frames: u32,
    pub(crate) reading: Reading,
    /// An incomplete frame header or payload.
    pub(crate) partial: Vec<u8>,
    /// An incomplete header block.
    pub(crate) block: Vec<u8>,
    /// The stream of that block.
    pub(crate) continued: Option<Continued>,
    /// The peer has acknowledged our settings.
    pub(crate) acknowledged: bool,
}

impl Connection {
    /// Creates a connection for the heads of `templates`. The preface and our settings are in the outgoing bytes. One
    /// request may be sent at once, others when the peer's limit is known.
    #[must_use]
    pub fn new(settings: Settings, templates: Arc<[Template]>) -> Connection {
        let settings = Settings {
            max_streams: settings.max_streams.max(1),
            window: settings.window.clamp(65_535, 0x7fff_ffff),
            ..settings
        };
        let mut connection = Connection {
            settings,
            templates,
            peer: Peer {
                known: false,
                max_streams: STREAMS_BEFORE_SETTINGS,
                initial_window: DEFAULT_WINDOW,
                max_payload: frame::MAX_PAYLOAD,
            },
            streams: Streams::new(settings.max_streams as usize),
            encoder: Encoder::new(),
            decoder: Decoder::new(),
            repetition: Repetition::default(),
            collector: Collector::new(HEADER_LIMIT),
            next_id: 1,
            gave_up: false,
            draining: false,
            failed: None,
            received: 0,
            send_window: DEFAULT_WINDOW,
            waiting: Vec::new(),
            output: Vec::with_capacity(512),
            sent: 0,
            sent_before: 0,
            answers: 0,
            answers_begin: 0,
            idle_frames: 0,
            reading: Reading::Header,
            partial: Vec::new(),
            block: Vec::new(),
            continued: None,
            acknowledged: false,
        };
        connection.introduce();
        connection
    }

    fn introduce(&mut self) {
        self.output.extend_from_slice(frame::PREFACE);
        let pairs = [
            (frame::SETTINGS_HEADER_TABLE_SIZE, self.settings.header_table_size),
            (frame::SETTINGS_ENABLE_PUSH, 0),
            (frame::SETTINGS_INITIAL_WINDOW_SIZE, self.settings.window),
            (frame::SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_LIMIT_SETTING),
        ];
        self.output.extend_from_slice(&frame::header(6 * pairs.len(), frame::SETTINGS, 0, 0));
        for (name, value) in pairs {
            self.output.extend_from_slice(&name.to_be_bytes());
            self.output.extend_from_slice(&value.to_be_bytes());
        }
        if self.settings.window > 65_535 {
            frame::append_window_update(&mut self.output, 0, self.settings.window as usize - 65_535);
        }
    }

    /// Number of requests that can be sent now.
    #[must_use]
    pub fn available(&self) -> usize {
        if self.draining || self.failed.is_some() || self.next_id > LAST_STREAM {
            return 0;
        }
        (self.settings.max_streams.min(self.peer.max_streams) as usize).saturating_sub(self.streams.live())
    }

    /// Number of requests in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.streams.live()
    }

    /// True if the connection accepts no further request. Those in flight may still be completed.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining || self.failed.is_some() || self.next_id > LAST_STREAM
    }

    /// The requests in flight, each with whether its response's head was received: those that fail if the connection
    /// closes.
    pub fn streams(&self) -> impl Iterator<Item = (Stream, bool)> + '_ {
        self.streams.iter().map(|slot| (slot.stream(), slot.answered))
    }

    /// Appends a request with the head of template number `template` to the outgoing bytes. `value` is called for each
    /// of its variable values, in order, and appends it to the given buffer, without reading the buffer.
    ///
    /// # Errors
    /// [`Refusal`], if nothing was sent.
    ///
    /// # Panics
    /// If there is no such template.
    #[inline]
    pub fn send_request(
        &mut self,
        template: usize,
        request: Request<'_>,
        value: impl FnMut(usize, &mut Vec<u8>),
    ) -> Result<Stream, Refusal> {
        self.check()?;
        let begin = self.begin_head();
        self.encoder.encode(template, &self.templates[template], &mut self.output, value);
        Ok(self.complete(begin, request))
    }

    /// Appends a request whose head is sent only once, such as after a redirect. The fields are the four pseudo-header
    /// fields first, and others permitted by [`is_allowed`](crate::is_allowed), with names in lower case.
    ///
    /// # Errors
    /// [`Refusal`], if nothing was sent.
    pub fn send_once<'a>(
        &mut self,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        request: Request<'_>,
    ) -> Result<Stream, Refusal> {
        self.check()?;
        let begin = self.begin_head();
        self.encoder.encode_once(fields, &mut self.output);
        Ok(self.complete(begin, request))
    }

    /// Cancels a request: the peer is notified, the slot is free, and no event of it follows. Returns false if it is
    /// not in flight.
    pub fn cancel(&mut self, id: u32) -> bool {
        let found = self.streams.remove(id).is_some();
        if found {
            self.gave_up = true;
            frame::append_reset(&mut self.output, id, ErrorCode::CANCEL);
        }
        found
    }

    /// Closes the connection: no further requests, and GOAWAY in the outgoing bytes.
    pub fn close(&mut self) {
        if self.failed.is_none() && !self.draining {
            frame::append_goaway(&mut self.output, ErrorCode::NO_ERROR);
        }
        self.draining = true;
    }

    /// The bytes to send, in one piece.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// Reports that the first `count` bytes of [`outgoing`](Connection::outgoing) were sent. Waiting bodies follow.
    pub fn consume(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.output.len());
        self.sent_before += count as u64;
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        } else if self.sent >= send::BODY_AHEAD {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
        if !self.waiting.is_empty() && self.failed.is_none() {
            self.resume_bodies();
        }
    }

    /// Counts a frame that responds to one of the peer's; the limit protects against a peer that never reads.
    pub(crate) fn count_answer(&mut self) -> Result<(), ConnectionError> {
        if self.sent_before > self.answers_begin {
            self.answers = 0;
        }
        if self.answers == 0 {
            self.answers_begin = self.sent_before + (self.output.len() - self.sent) as u64;
        }
        self.answers += 1;
        if self.answers > crate::receive::MOST_IDLE_FRAMES {
            return Err(ConnectionError::flood("too many frames that want an answer"));
        }
        Ok(())
    }
}
