//! Sends requests on the streams of a connection, with one write per turn of the loop.

use h2client::{Body, Request};

use crate::clock;
use crate::plan::Scheme;
use crate::template;
use crate::transport::Transport;
use crate::transport::connection::{Connection, NONE, RESET};
use crate::transport::events::Events;

impl Transport {
    pub(super) fn send_stream(&mut self, user: u32, index: u32, events: &mut impl Events) {
        let seed = self.options.seed;
        let Some(connection) = self.pool.get(index) else { return };
        let Some(protocol) =
            connection.multiplex.as_deref_mut().and_then(|multiplex| multiplex.protocol.as_deref_mut())
        else {
            return;
        };
        let exchange = &mut self.exchanges[user as usize];
        let step = &self.steps[exchange.step as usize];
        let before = protocol.outgoing().len();
        let head_request = exchange.expect(step).head_only;
        let want_headers = step.has_checks || events.wants_headers(user);
        let request = Request { token: u64::from(user), body: Body::None, head_request, want_headers };
        let sent = if let Some(hop) = &exchange.hop {
            let (fields, body) = fields_of(&hop.request, self.dialer.origin(hop.origin).scheme);
            let body = if body.is_empty() { Body::None } else { Body::Bytes(body) };
            let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            protocol.send_once(fields, Request { body, ..request })
        } else if step.uses_cookies {
            exchange.wall_ns = if step.program.needs_wall_time { clock::wall_ns() } else { 0 };
            let (origin, outgoing) = (self.dialer.origin(step.origin), &mut self.buffers.outgoing);
            outgoing.clear();
            events.render(user, &step.program, exchange.values(seed), Some(origin), outgoing);
            exchange.target = template::target_of(outgoing, origin);
            // Cookies differ in number, so the head has no template.
            let (fields, body) = fields_of(outgoing, origin.scheme);
            let body = if body.is_empty() { Body::None } else { Body::Bytes(body) };
            let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            protocol.send_once(fields, Request { body, ..request })
        } else if step.program.needs_user {
            let Some(stream) = &step.stream else { return };
            exchange.wall_ns = if step.program.needs_wall_time { clock::wall_ns() } else { 0 };
            let values = exchange.values(seed);
            let outgoing = &mut self.buffers.outgoing;
            outgoing.clear();
            if let Some(body) = &stream.body {
                events.render_part(user, body, values, 0, outgoing);
            }
            let body = if outgoing.is_empty() { Body::None } else { Body::Bytes(outgoing) };
            let (request, length) = (Request { body, ..request }, outgoing.len());
            protocol.send_request(exchange.step as usize, request, |nth, out| {
                events.render_part(user, &stream.values[nth], values, length, out);
            })
        } else {
            let Some(stream) = &step.stream else { return };
            exchange.wall_ns = if step.program.needs_wall_time { clock::wall_ns() } else { 0 };
            let values = exchange.values(seed);
            let outgoing = &mut self.buffers.outgoing;
            outgoing.clear();
            if let Some(body) = &stream.body {
                body.render(values, outgoing);
            }
            let body = if outgoing.is_empty() { Body::None } else { Body::Bytes(outgoing) };
            let request = Request { body, ..request };
            protocol.send_request(exchange.step as usize, request, |nth, out| stream.values[nth].render(values, out))
        };
        let sent_bytes = protocol.outgoing().len().saturating_sub(before);
        if let Ok(stream) = sent {
            exchange.connection = index;
            exchange.response.get_or_insert_default().start(stream.id);
            events.sent(user, sent_bytes as u64);
        } else {
            // The connection is about to close: send the request on another one.
            let origin = exchange.origin(step);
            exchange.connection = NONE;
            self.unlink(index);
            self.share(user, origin, events);
        }
    }

    /// Writes the pending data of this turn of the loop, one write per connection.
    pub(crate) fn flush(&mut self, events: &mut impl Events) {
        while let Some(index) = self.links.dirty.pop() {
            let records = &mut self.buffers.records;
            let failed = self.pool.get(index).is_some_and(|connection| !flush(connection, records));
            if failed {
                self.lose_shared(index, RESET, events);
            }
        }
    }
}

/// Writes pending data; returns false if the connection is broken.
fn flush(connection: &mut Connection, records: &mut Vec<u8>) -> bool {
    let Some(mut multiplex) = connection.multiplex.take() else { return true };
    multiplex.dirty = false;
    let mut works = true;
    if let Some(protocol) = multiplex.protocol.as_deref_mut() {
        // While the socket is full, the rest waits in the protocol, bounded by windows and limits.
        while works && !connection.has_unsent() && !protocol.outgoing().is_empty() {
            let count = protocol.outgoing().len();
            works = connection.send(protocol.outgoing(), records).is_ok();
            protocol.consume(count);
        }
    }
    connection.multiplex = Some(multiplex);
    works
}

/// Converts a request in HTTP/1.1 format to HTTP/2 fields and its body.
fn fields_of(request: &[u8], scheme: Scheme) -> (Vec<(String, String)>, &[u8]) {
    let end = memchr::memmem::find(request, b"\r\n\r\n").unwrap_or(request.len());
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    let body = request.get(end + 4..).unwrap_or(&[]);
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or("").split(' ');
    let (method, target) = (words.next().unwrap_or("GET"), words.next().unwrap_or("/"));
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let authority = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")).map_or("", |(_, value)| value);
    let mut fields: Vec<(String, String)> =
        [(":method", method), (":scheme", scheme.name()), (":authority", authority), (":path", target)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if h2client::is_allowed(name.as_bytes()) && (name != "te" || value == "trailers") {
            fields.push((name, value.to_owned()));
        }
    }
    (fields, body)
}
