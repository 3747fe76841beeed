//! Passes incoming data of streams to the responses of their users.

use h2client::{Events, Failure, Head, Stream};

use super::answer::Answer;
use crate::decode;
use crate::response;
use crate::transport::exchange::Exchange;
use crate::transport::step::PreparedStep;

/// Bytes of the frame header of each HEADERS and DATA.
const FRAME_HEADER: u64 = 9;

/// A user, its stream, and how it ended.
pub(super) type Ended = (u32, u32, End);

/// How a stream ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Whole,
    Failed(Failure),
    TooLarge,
}

/// Passes incoming data to the responses.
pub(super) struct Sink<'a> {
    pub(super) exchanges: &'a mut [Exchange],
    pub(super) steps: &'a [PreparedStep],
    pub(super) now: u64,
    pub(super) most_bytes: u64,
    pub(super) ended: &'a mut Vec<Ended>,
    pub(super) goes_away: bool,
}

impl Sink<'_> {
    fn answer(&mut self, stream: Stream) -> Option<(u32, &mut Answer, usize)> {
        let user = u32::try_from(stream.token).ok()?;
        let exchange = self.exchanges.get_mut(user as usize)?;
        let keep = self.steps[exchange.step as usize].keep;
        let answer = exchange.answer.as_deref_mut()?;
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
        let content_type = head.fields.iter().find(|(name, _)| *name == b"content-type");
        answer.charset = content_type.and_then(|(_, value)| decode::charset_of(value));
        write_head(answer, head);
        self.exchanges[user as usize].first_byte = now;
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
    // Writing to memory cannot fail.
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
