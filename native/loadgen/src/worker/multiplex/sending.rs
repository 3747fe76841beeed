//! What goes out on the streams of a connection: requests, and one write for everything that a turn of the loop has to say.

use h2client::{Body, Request};

use crate::clock;
use crate::deadlines::NONE;
use crate::plan::Scheme;
use crate::template::Values;
use crate::worker::Worker;
use crate::worker::connections::Connection;
use crate::worker::exchange::RESET;

impl Worker {
    pub(super) fn send_stream(&mut self, user: u32, index: u32) {
        let seed = self.shared.plan.seed;
        let Some(connection) = self.connections.get(index) else { return };
        let Some(protocol) =
            connection.multiplex.as_deref_mut().and_then(|multiplex| multiplex.protocol.as_deref_mut())
        else {
            return;
        };
        let state = &mut self.users[user as usize];
        let route = &self.routes[state.flow as usize];
        let before = protocol.outgoing().len();
        let head_request = state.hop.as_ref().map_or(route.expect, |hop| hop.expect).head_only;
        let want_headers = self.sampler.is_curious(route.endpoint);
        let request = Request { token: u64::from(user), body: Body::None, head_request, want_headers };
        let sent = if let Some(hop) = &state.hop {
            let (fields, body) = fields_of(&hop.request, self.origins[hop.origin as usize].scheme);
            let body = if body.is_empty() { Body::None } else { Body::Bytes(body) };
            let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            protocol.send_once(fields, Request { body, ..request })
        } else {
            let Some(stream) = &route.stream else { return };
            state.wall_ns = if route.program.needs_wall_time { clock::wall_ns() } else { 0 };
            let values = Values { seed, number: state.number, wall_ns: state.wall_ns };
            self.outgoing.clear();
            if let Some(body) = &stream.body {
                body.render(values, &mut self.outgoing);
            }
            let body = if self.outgoing.is_empty() { Body::None } else { Body::Bytes(&self.outgoing) };
            let request = Request { body, ..request };
            protocol.send_request(state.flow as usize, request, |nth, out| stream.values[nth].render(values, out))
        };
        let sent_bytes = protocol.outgoing().len().saturating_sub(before);
        let (endpoint, warm_up) = (route.endpoint, state.warm_up);
        if let Ok(stream) = sent {
            state.connection = index;
            state.answer.get_or_insert_default().start(stream.id);
            self.second.figures(endpoint, warm_up).bytes_sent += sent_bytes as u64;
        } else {
            // The connection says goodbye just now: another one takes the request.
            self.unlink(index);
            let origin = self.origin_of(user);
            self.users[user as usize].connection = NONE;
            self.share(user, origin);
        }
    }

    /// Writes what the turn of the loop has to say, one write for each connection.
    pub(in crate::worker) fn flush_streams(&mut self) {
        while let Some(index) = self.dirty.pop() {
            let mut records = std::mem::take(&mut self.records);
            let failed = self.connections.get(index).is_some_and(|connection| !flush(connection, &mut records));
            self.records = records;
            if failed {
                self.lose_shared(index, RESET);
            }
        }
    }
}

/// Writes what there is; false where the connection is broken.
fn flush(connection: &mut Connection, records: &mut Vec<u8>) -> bool {
    let Some(mut multiplex) = connection.multiplex.take() else { return true };
    multiplex.dirty = false;
    let mut works = true;
    if let Some(protocol) = multiplex.protocol.as_deref_mut() {
        // While the socket is full, what is left waits in the protocol, where windows and limits hold it.
        while works && !connection.has_unsent() && !protocol.outgoing().is_empty() {
            let count = protocol.outgoing().len();
            works = connection.send(protocol.outgoing(), records).is_ok();
            protocol.consume(count);
        }
    }
    connection.multiplex = Some(multiplex);
    works
}

/// The fields of a request in HTTP/1.1's form, as HTTP/2 has them, and its body.
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
