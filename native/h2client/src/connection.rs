//! A connection and what its caller does with it: send, cancel, hand over bytes. What comes in is in `receive`.

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

/// The window of a connection and of each stream before anybody says otherwise (RFC 9113, section 6.9.2).
pub(crate) const DEFAULT_WINDOW: i64 = 65_535;

/// The largest window there is.
pub(crate) const LARGEST_WINDOW: i64 = 0x7fff_ffff;

/// Streams that we open before the peer has said how many it takes. More could be refused, and would be failures of our
/// own making; its settings are there after one way to it and back at the latest.
const STREAMS_BEFORE_SETTINGS: u32 = 1;

/// The most that an answer's headers may take, compressed and decoded.
pub(crate) const HEADER_LIMIT: usize = HEADER_LIMIT_SETTING as usize;
const HEADER_LIMIT_SETTING: u32 = 64 << 10;

/// The last stream number.
const LAST_STREAM: u32 = 0x7fff_ffff;

/// What we tell the peer, and our own limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many requests may be in flight at once, if the peer takes as many. At least 1.
    pub max_streams: u32,
    /// How many bytes the peer may send ahead, on the connection and on each stream: 65,535 to 2^31 - 1.
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
    /// There is none.
    None,
    /// Copied where the peer's window does not let it go at once.
    Bytes(&'a [u8]),
    /// Kept by reference where the peer's window does not let it go at once.
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

/// What belongs to a request beside its head.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Comes back with every event of the stream.
    pub token: u64,
    /// The body.
    pub body: Body<'a>,
    /// The method is HEAD: the answer's content-length announces nothing.
    pub head_request: bool,
    /// All header fields of the answer are wanted, and not only those that [`Head`](crate::Head) names.
    pub want_headers: bool,
}

impl Request<'_> {
    /// A request without a body.
    #[must_use]
    pub fn new(token: u64) -> Request<'static> {
        Request { token, body: Body::None, head_request: false, want_headers: false }
    }
}

/// What the peer has told us.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its first settings are here.
    pub(crate) known: bool,
    pub(crate) max_streams: u32,
    pub(crate) initial_window: i64,
    pub(crate) max_payload: usize,
}

/// The client side of an HTTP/2 connection, without its socket.
///
/// Bytes that came in go to [`receive`](Connection::receive), bytes to send are in [`outgoing`](Connection::outgoing);
/// everything that a call gives rise to (answers to pings, window updates, many requests) waits there for one write.
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
    /// Streams were given up on our side, so frames for streams that are gone may still be on their way.
    pub(crate) gave_up: bool,
    pub(crate) draining: bool,
    pub(crate) failed: Option<ConnectionError>,
    /// How many bytes of DATA frames came since the connection's window was last opened.
    pub(crate) received: usize,
    /// How much more we may send on the connection.
    pub(crate) send_window: i64,
    /// Streams whose bodies are not sent in full.
    pub(crate) waiting: Vec<u32>,
    pub(crate) output: Vec<u8>,
    /// How much of `output` has left.
    pub(crate) sent: usize,
    /// How much has left since the beginning.
    sent_before: u64,
    /// Frames of ours that only answer the peer's, and that may not have left.
    answers: u32,
    /// All of these have left when so much has left since the beginning.
    answers_begin: u64,
    /// Frames since anything went forward.
    pub(crate) idle_frames: u32,
    pub(crate) reading: Reading,
    /// A frame's header or payload as far as it is here.
    pub(crate) partial: Vec<u8>,
    /// A header block as far as it is here.
    pub(crate) block: Vec<u8>,
    /// Whose block that is.
    pub(crate) continued: Option<Continued>,
    /// The peer has acknowledged our settings.
    pub(crate) acknowledged: bool,
}

impl Connection {
    /// A new connection that sends the heads of `templates`. The preface and our settings are in the outgoing bytes. One
    /// request may follow at once, the others when the peer has said how many it takes.
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

    /// How many requests can be sent now.
    #[must_use]
    pub fn available(&self) -> usize {
        if self.draining || self.failed.is_some() || self.next_id > LAST_STREAM {
            return 0;
        }
        (self.settings.max_streams.min(self.peer.max_streams) as usize).saturating_sub(self.streams.live())
    }

    /// How many requests are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.streams.live()
    }

    /// True when the connection takes no further request, now or later. Those in flight may still be answered.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining || self.failed.is_some() || self.next_id > LAST_STREAM
    }

    /// The requests in flight, each with whether the head of its answer is here: what fails when the connection closes.
    pub fn streams(&self) -> impl Iterator<Item = (Stream, bool)> + '_ {
        self.streams.iter().map(|slot| (slot.stream(), slot.answered))
    }

    /// Puts a request with the head of template number `template` into the outgoing bytes. `value` is called for each of
    /// its variable values, in order, and appends it to the buffer that it is given, without looking at what is there.
    ///
    /// # Errors
    /// [`Refusal`], where nothing was sent.
    ///
    /// # Panics
    /// Where there is no such template.
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

    /// Puts a request whose head is sent this one time into the outgoing bytes, as after a redirect. The fields are the
    /// four pseudo-header fields first, and those that [`is_allowed`](crate::is_allowed) allows, with names in lower case.
    ///
    /// # Errors
    /// [`Refusal`], where nothing was sent.
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

    /// Gives up a request: the peer is told, the stream's place is free, and no event of it follows. False where it is not
    /// in flight.
    pub fn cancel(&mut self, id: u32) -> bool {
        let found = self.streams.remove(id).is_some();
        if found {
            self.gave_up = true;
            frame::append_reset(&mut self.output, id, ErrorCode::CANCEL);
        }
        found
    }

    /// Says goodbye: no further requests, and GOAWAY in the outgoing bytes.
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

    /// The first `count` bytes of [`outgoing`](Connection::outgoing) were sent. Bodies that waited for room follow.
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

    /// Counts a frame that answers one of the peer's, so that a peer which never reads cannot make us keep any number.
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
