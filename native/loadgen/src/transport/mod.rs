//! Sends requests and receives responses: addresses, dialling, connections, HTTP/1.1 and HTTP/2, TLS, redirects,
//! proxies. A request belongs to a *user*, who has at most one in progress; its result is reported through [`Events`].
//!
//! # Layout
//!
//! - `events.rs`: reports; `step.rs`: prepared steps; `exchange.rs`: the request in progress of a user;
//! - `connection.rs`, `pool.rs`: one connection, and all of them; `tls.rs`: TLS sessions on byte buffers;
//! - `dialer.rs`, `names.rs`, `resolver.rs`: addresses and name resolution;
//! - `mod.rs`: the interface to the loop; `dial.rs`: opens connections, from the socket to the handshake;
//! - `http1.rs`: requests and responses on a connection of one user; `multiplex`: on shared connections;
//! - `redirects.rs`: follows redirects.

mod connection;
mod dial;
mod dialer;
mod events;
mod exchange;
mod http1;
mod multiplex;
mod names;
mod pool;
mod redirects;
mod resolver;
mod step;
pub mod tls;

use std::sync::Arc;

use crate::counters::Turns;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::plan::{HttpVersion, Plan};
use crate::poller::{self, Waker};
use crate::response::HeadCache;
use crate::template::Secrets;

pub(crate) use events::{ConnectionEvent, Ended, Events, Exchanged, Raw};

use connection::NONE;
use dialer::Dialer;
use exchange::Exchange;
use multiplex::link::Links;
use pool::Pool;
use step::PreparedStep;
use tls::TlsSettings;

const READ_BUFFER: usize = 64 * 1024;

/// The connections of a thread, and the requests on them.
#[derive(Debug)]
pub(crate) struct Transport {
    options: Options,
    steps: Vec<PreparedStep>,
    /// By step: the last head.
    head_caches: Vec<HeadCache>,
    /// By user.
    exchanges: Vec<Exchange>,
    dialer: Dialer,
    pool: Pool,
    links: Links,
    buffers: Buffers,
}

/// Settings of all exchanges.
#[derive(Debug)]
struct Options {
    seed: u64,
    keep_alive: bool,
    /// Most redirects to follow per request.
    redirects: u32,
    most_bytes: u64,
    http_version: HttpVersion,
}

/// Reusable buffers.
#[derive(Debug)]
struct Buffers {
    /// Data read from a socket.
    input: Vec<u8>,
    /// A rendered request.
    outgoing: Vec<u8>,
    /// Encrypted data for a socket.
    records: Vec<u8>,
    /// Decrypted data from a socket.
    plain: Vec<u8>,
}

impl Transport {
    /// Creates the transport for a plan, before [`Transport::prepare`]. `waker` wakes the loop when a name is resolved.
    pub(crate) fn new(plan: &Plan, tls: Option<TlsSettings>, turns: Arc<Turns>, waker: Waker) -> Transport {
        let connections = &plan.connections;
        Transport {
            options: Options {
                seed: plan.seed,
                keep_alive: connections.keep_alive,
                redirects: connections.redirects,
                most_bytes: connections.max_response_bytes.unwrap_or(u64::MAX),
                http_version: connections.http_version,
            },
            steps: Vec::new(),
            head_caches: plan.steps().map(|_| HeadCache::default()).collect(),
            exchanges: Vec::new(),
            dialer: Dialer::new(plan, tls, turns, waker),
            pool: Pool::default(),
            links: Links::new(plan),
            buffers: Buffers {
                input: vec![0; READ_BUFFER],
                outgoing: Vec::new(),
                records: Vec::new(),
                plain: Vec::new(),
            },
        }
    }

    /// Renders requests with the current secrets from now on.
    pub(crate) fn prepare(&mut self, plan: &Plan, secrets: &Secrets) {
        self.dialer.prepare(secrets);
        self.steps.clear();
        self.steps.extend(plan.steps().map(|step| PreparedStep::new(step, plan, secrets)));
    }

    /// Sends a request of `user`, who has none in progress: `step` of the plan, rendered with `number`.
    #[inline(always)]
    #[allow(clippy::inline_always)] // called for every request, in one place
    pub(crate) fn request(&mut self, user: u32, step: u32, number: u64, events: &mut impl Events) {
        while self.exchanges.len() <= user as usize {
            self.exchanges.push(Exchange::new());
        }
        self.exchanges[user as usize].begin(step, number);
        self.connect(user, self.steps[step as usize].origin, events);
    }

    /// Sends the request of `user` on an open connection, or on a new one.
    #[inline]
    fn connect(&mut self, user: u32, origin: u32, events: &mut impl Events) {
        match self.exchanges[user as usize].owned(origin) {
            Some(connection) => self.send(user, connection, events),
            None if self.may_share(origin) => self.share(user, origin, events),
            None => self.dial(user, origin, events),
        }
    }

    /// Handles an event of a socket.
    #[inline]
    pub(crate) fn on_event(&mut self, event: poller::Event, events: &mut impl Events) {
        let Some(connection) = self.pool.find(event.token) else {
            events.touch(self.pool.len());
            return;
        };
        if self.pool.is_open(connection) {
            if event.writable && self.pool.has_unsent(connection) {
                events.touch(self.pool.len());
                self.send_rest(connection, events);
            }
            // Sending may have closed the connection, and another may have its index.
            if event.readable && self.pool.find(event.token).is_some() {
                self.receive(connection, event.hangup, events);
            }
        } else {
            events.touch(self.pool.len());
            self.advance_dial(connection, event, events);
        }
    }

    /// Aborts the request of `user`, and closes its connection.
    pub(crate) fn give_up(&mut self, user: u32, outcome: Outcome, message: &Message, events: &mut impl Events) {
        self.fail(user, outcome, message, events);
    }

    /// Continues requests that waited for names that are now resolved.
    pub(crate) fn take_names(&mut self, events: &mut impl Events) {
        while let Some((took, ready)) = self.dialer.take_name() {
            events.connection(ConnectionEvent::Resolved { took });
            for (user, serial) in ready {
                let exchange = &self.exchanges[user as usize];
                if exchange.waits_for_connection(serial) {
                    let origin = exchange.origin(&self.steps[exchange.step as usize]);
                    self.connect(user, origin, events);
                }
            }
        }
    }

    /// When [`Transport::renew_names`] is due.
    pub(crate) fn next_names(&self) -> u64 {
        self.dialer.next_names()
    }

    /// Resolves all names again, if the plan requires it.
    pub(crate) fn renew_names(&mut self, now: u64) {
        self.dialer.renew_names(now);
    }

    /// Number of connections, including those being dialled.
    pub(crate) fn open_connections(&self) -> usize {
        self.pool.len()
    }

    /// Closes the connections of a user without a request.
    pub(crate) fn close_user(&mut self, user: u32) {
        let Some(exchange) = self.exchanges.get_mut(user as usize) else { return };
        for (_, connection) in std::mem::take(&mut exchange.owned) {
            self.pool.close(connection);
        }
    }

    /// Closes all connections and discards the requests in progress.
    pub(crate) fn close_all(&mut self) {
        self.pool.close_all();
        for exchange in &mut self.exchanges {
            exchange.end();
        }
    }

    /// Closes a connection of any user.
    fn drop_connection(&mut self, index: u32) {
        let Some(connection) = self.pool.get(index) else { return };
        let user = connection.user as usize;
        self.pool.close(index);
        let exchange = &mut self.exchanges[user];
        exchange.owned.retain(|(_, owned)| *owned != index);
        if exchange.connection == index {
            exchange.connection = NONE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::fixtures;
    use crate::plan::Origin;
    use crate::poller::Poller;
    use crate::scenario::Place;
    use crate::template::{Cookies, Program, Values};
    use std::io::{self, Read, Write};
    use std::net::TcpListener;
    use std::os::fd::RawFd;
    use std::thread;

    /// Records every report as one line.
    struct Reported {
        poller: Poller,
        lines: Vec<String>,
        ended: usize,
    }

    impl Events for Reported {
        fn now(&self) -> u64 {
            1
        }
        fn touch(&mut self, _open_connections: usize) -> u64 {
            1
        }
        fn watch(&mut self, socket: RawFd, token: u64) -> io::Result<()> {
            self.poller.add(socket, token)
        }
        fn sent(&mut self, user: u32, bytes: u64) {
            self.lines.push(format!("{user} sent {bytes}"));
        }
        fn render(&self, _user: u32, program: &Program, values: Values, _origin: Option<&Origin>, out: &mut Vec<u8>) {
            program.render(values, out);
        }
        fn render_part(&self, _user: u32, program: &Program, values: Values, _length: usize, out: &mut Vec<u8>) {
            program.render(values, out);
        }
        fn cookies<'a>(&'a self, _user: u32, _origin: &'a Origin) -> Option<Cookies<'a>> {
            None
        }
        fn redirected(&mut self, user: u32, received: u64, _raw: Raw<'_>, place: Option<Place<'_>>) {
            assert_eq!(place, None);
            self.lines.push(format!("{user} redirected {received}"));
        }
        fn may_retry(&mut self, user: u32) -> bool {
            self.lines.push(format!("{user} retries"));
            true
        }
        fn wants_headers(&self, _user: u32) -> bool {
            false
        }
        fn connection(&mut self, event: ConnectionEvent) {
            let name = format!("{event:?}");
            self.lines.push(name.split(' ').next().unwrap_or("").to_owned());
        }
        fn response<'a>(&mut self, user: u32, ended: Ended, status: u16, exchange: impl Fn() -> Exchanged<'a>) {
            self.ended += 1;
            assert!(exchange().body_bytes <= ended.received);
            self.lines.push(format!("{user} response {status} {}", ended.received));
        }
        fn failure<'a>(
            &mut self,
            user: u32,
            _ended: Ended,
            outcome: Outcome,
            message: &Message,
            _exchange: impl Fn() -> Exchanged<'a>,
        ) {
            self.ended += 1;
            self.lines.push(format!("{user} failure {} {message:?}", outcome.name()));
        }
    }

    /// Sends requests of user 0 in sequence to a target that sends these responses, one list per connection.
    fn exchanged(answers: &'static [&'static [&'static str]], requests: usize) -> Vec<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = thread::spawn(move || {
            let serve = |of_connection: &&[&str]| {
                let (mut stream, _) = listener.accept().unwrap();
                for answer in *of_connection {
                    let count = stream.read(&mut [0; 1000]).unwrap();
                    assert!(count > 0);
                    stream.write_all(answer.as_bytes()).unwrap();
                }
                stream
            };
            // Keep connections open until the test has finished.
            answers.iter().map(serve).collect::<Vec<_>>()
        });
        let plan = fixtures::plan(|document| {
            document["origins"][0]["port"] = port.into();
            document["connections"] = serde_json::json!({"redirects": 1});
        });
        let mut events = Reported { poller: Poller::new().unwrap(), lines: Vec::new(), ended: 0 };
        let waker = events.poller.waker().unwrap();
        let mut transport = Transport::new(&plan, None, Arc::new(Turns::new(1)), waker);
        transport.prepare(&plan, &Secrets::new());
        let deadline = clock::monotonic_ns() + 20_000_000_000;
        for number in 1..=requests {
            transport.request(0, 0, number as u64, &mut events);
            while events.ended < number && clock::monotonic_ns() < deadline {
                for index in 0..events.poller.wait(100_000_000).unwrap() {
                    let event = events.poller.event(index);
                    transport.on_event(event, &mut events);
                }
            }
        }
        let connections = serving.join().unwrap();
        assert_eq!(connections.len(), answers.len());
        transport.close_all();
        assert_eq!(transport.open_connections(), 0);
        events.lines
    }

    #[test]
    fn a_connection_serves_one_request_after_the_other() {
        const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(
            exchanged(&[&[OK, OK]], 2),
            ["Dialled", "Connected", "0 sent 18", "0 response 200 40", "0 sent 18", "0 response 200 40"]
        );
    }

    #[test]
    fn a_redirect_is_followed_on_the_same_connection() {
        let lines = exchanged(
            &[&["HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n"]],
            1,
        );
        assert_eq!(lines[2..4], ["0 sent 18", "0 redirected 55"]);
        assert_eq!(lines[5], "0 response 204 19");
    }

    #[test]
    fn what_is_no_answer_is_a_failure_and_costs_the_connection() {
        let lines = exchanged(&[&["SMTP\r\n"], &["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]], 2);
        assert!(lines[3].starts_with("0 failure protocol_error"), "{lines:?}");
        assert_eq!(lines[4..], ["Dialled", "Connected", "0 sent 18", "0 response 200 38"]);
    }
}
