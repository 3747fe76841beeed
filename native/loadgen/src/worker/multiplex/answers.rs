//! What comes in on the streams of a connection, put where it belongs.

use h2client::{Events, Failure, Head, Stream};

use crate::response;
use crate::worker::routes::Route;
use crate::worker::user::User;

/// What frames add to each HEADERS and DATA.
const FRAME_HEADER: u64 = 9;

/// An answer on a stream, as far as it is here. Used again for each request of its user.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The stream's number; 0 while the request has none.
    pub(super) stream: u32,
    pub(super) status: u16,
    pub(super) begun: bool,
    pub(super) too_large: bool,
    pub(super) received: u64,
    pub(super) body_bytes: u64,
    /// The head as HTTP/1.1 would write it, for samples and redirects.
    pub(super) head: Vec<u8>,
    pub(super) has_location: bool,
    pub(super) coding: Option<response::Coding>,
    /// The beginning of the body.
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn start(&mut self, stream: u32) {
        self.stream = stream;
        self.status = 0;
        self.begun = false;
        self.too_large = false;
        self.received = 0;
        self.body_bytes = 0;
        self.head.clear();
        self.has_location = false;
        self.coding = None;
        self.body.clear();
    }

    /// A request of its user is on a stream.
    pub(crate) fn has_stream(&self) -> bool {
        self.stream != 0
    }

    pub(super) fn raw(&self) -> Vec<u8> {
        [self.head.as_slice(), &self.body].concat()
    }
}

/// A user, its stream, and how it ended.
pub(crate) type Ended = (u32, u32, End);

/// How a stream ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Whole,
    Failed(Failure),
    TooLarge,
}

/// Puts what comes in where it belongs.
pub(super) struct Sink<'a> {
    pub(super) users: &'a mut [User],
    pub(super) routes: &'a [Route],
    pub(super) now: u64,
    pub(super) most_bytes: u64,
    pub(super) ended: &'a mut Vec<Ended>,
    pub(super) goes_away: bool,
}

impl Sink<'_> {
    fn answer(&mut self, stream: Stream) -> Option<(u32, &mut Answer, usize)> {
        let user = u32::try_from(stream.token).ok()?;
        let state = self.users.get_mut(user as usize)?;
        let keep = self.routes[state.flow as usize].keep;
        let answer = state.answer.as_deref_mut()?;
        (answer.stream == stream.id).then_some((user, answer, keep))
    }
}

impl Events for Sink<'_> {
    fn head(&mut self, stream: Stream, head: &Head<'_>) {
        let now = self.now;
        let Some((user, answer, _)) = self.answer(stream) else { return };
        answer.status = head.status;
        answer.begun = true;
        answer.received += head.block_length as u64 + FRAME_HEADER;
        answer.has_location = head.location.is_some();
        answer.coding = head.content_encoding.map(response::coding_of);
        write_head(answer, head);
        self.users[user as usize].first_byte = now;
    }

    fn data(&mut self, stream: Stream, piece: &[u8]) {
        let most = self.most_bytes;
        let Some((user, answer, keep)) = self.answer(stream) else { return };
        answer.received += piece.len() as u64 + FRAME_HEADER;
        answer.body_bytes += piece.len() as u64;
        let room = keep.saturating_add(4096).saturating_sub(answer.body.len()).min(piece.len());
        answer.body.extend_from_slice(&piece[..room]);
        if answer.body_bytes > most && !answer.too_large {
            answer.too_large = true;
            self.ended.push((user, stream.id, End::TooLarge));
        }
    }

    fn end(&mut self, stream: Stream) {
        if let Some((user, answer, _)) = self.answer(stream)
            && !answer.too_large
        {
            self.ended.push((user, stream.id, End::Whole));
        }
    }

    fn failed(&mut self, stream: Stream, failure: Failure) {
        if let Some((user, answer, _)) = self.answer(stream)
            && !answer.too_large
        {
            self.ended.push((user, stream.id, End::Failed(failure)));
        }
    }

    fn go_away(&mut self, _last: u32, _code: h2client::ErrorCode) {
        self.goes_away = true;
    }
}

fn write_head(answer: &mut Answer, head: &Head<'_>) {
    use std::io::Write;
    answer.head.clear();
    // Writing into memory does not fail.
    let _ = write!(answer.head, "HTTP/1.1 {} \r\n", head.status);
    let mut line = |name: &[u8], value: &[u8]| {
        answer.head.extend_from_slice(name);
        answer.head.extend_from_slice(b": ");
        answer.head.extend_from_slice(value);
        answer.head.extend_from_slice(b"\r\n");
    };
    if head.fields.iter().len() > 0 {
        for (name, value) in head.fields.iter() {
            line(name, value);
        }
    } else {
        if let Some(location) = head.location {
            line(b"location", location);
        }
        if let Some(coding) = head.content_encoding {
            line(b"content-encoding", coding);
        }
    }
    answer.head.extend_from_slice(b"\r\n");
}
