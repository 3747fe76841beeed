//! Passes incoming data of streams to the responses of their users.

use h2client::{Events, Failure, Head, Stream};

use super::stream_response::StreamResponse;
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
    fn response(&mut self, stream: Stream) -> Option<(u32, &mut StreamResponse, usize)> {
        let user = u32::try_from(stream.token).ok()?;
        let exchange = self.exchanges.get_mut(user as usize)?;
        let keep = self.steps[exchange.step as usize].keep;
        let response = exchange.response.as_deref_mut()?;
        (response.stream == stream.id).then_some((user, response, keep))
    }
}

impl Events for Sink<'_> {
    fn head(&mut self, stream: Stream, head: &Head<'_>) {
        let now = self.now;
        let Some((user, response, _)) = self.response(stream) else { return };
        response.status = head.status;
        response.begun = true;
        response.received += head.block_length as u64 + FRAME_HEADER;
        response.has_location = head.location.is_some();
        response.coding = head.content_encoding.map(response::coding_of);
        let content_type = head.fields.iter().find(|(name, _)| *name == b"content-type");
        response.charset = content_type.and_then(|(_, value)| decode::charset_of(value));
        write_head(response, head);
        self.exchanges[user as usize].first_byte = now;
    }

    fn data(&mut self, stream: Stream, piece: &[u8]) {
        let most = self.most_bytes;
        let Some((user, response, keep)) = self.response(stream) else { return };
        response.received += piece.len() as u64 + FRAME_HEADER;
        response.body_bytes += piece.len() as u64;
        let room = keep.saturating_add(4096).saturating_sub(response.body.len()).min(piece.len());
        response.body.extend_from_slice(&piece[..room]);
        if response.body_bytes > most && !response.too_large {
            response.too_large = true;
            self.ended.push((user, stream.id, End::TooLarge));
        }
    }

    fn end(&mut self, stream: Stream) {
        if let Some((user, response, _)) = self.response(stream)
            && !response.too_large
        {
            self.ended.push((user, stream.id, End::Whole));
        }
    }

    fn failed(&mut self, stream: Stream, failure: Failure) {
        if let Some((user, response, _)) = self.response(stream)
            && !response.too_large
        {
            self.ended.push((user, stream.id, End::Failed(failure)));
        }
    }

    fn go_away(&mut self, _last: u32, _code: h2client::ErrorCode) {
        self.goes_away = true;
    }
}

fn write_head(response: &mut StreamResponse, head: &Head<'_>) {
    use std::io::Write;
    response.head.clear();
    // Writing to memory cannot fail.
    let _ = write!(response.head, "HTTP/1.1 {} \r\n", head.status);
    let mut line = |name: &[u8], value: &[u8]| {
        response.head.extend_from_slice(name);
        response.head.extend_from_slice(b": ");
        response.head.extend_from_slice(value);
        response.head.extend_from_slice(b"\r\n");
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
    response.head.extend_from_slice(b"\r\n");
}
