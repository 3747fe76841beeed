//! From an origin to a connection on which requests can be sent: addresses, tunnels, handshakes; and closing.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use super::Worker;
use super::connections::{Connection, Received, Stage};
use super::user::State;
use crate::deadlines::NONE;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::plan::Scheme;
use crate::poller::Event;
use crate::response::{Expect, HeadCache, Progress};
use crate::tls::{self, Session};

impl Worker {
    /// Sends the request of `user` on a connection that there is, or on a new one.
    #[inline]
    pub(super) fn connect(&mut self, user: u32, origin: u32) {
        match self.users[user as usize].owned.iter().find(|(owned, _)| *owned == origin) {
            Some((_, connection)) => {
                let connection = *connection;
                self.send(user, connection);
            }
            None if self.may_share(origin) => self.share(user, origin),
            None => self.dial(user, origin),
        }
    }

    /// Begins a connection for the request of `user`.
    pub(super) fn dial(&mut self, user: u32, origin: u32) {
        // A proxy looks up what is behind it: whether it may be asked to is decided by the name.
        let behind = &self.origins[origin as usize];
        if self.proxy.is_some() && !behind.resolve_error.is_empty() {
            let reason = Message::Reason(Arc::from(behind.resolve_error.as_str()));
            self.fail(user, Outcome::DnsError, &reason);
            return;
        }
        let place = self.place(origin);
        if place.addresses.is_empty() {
            if place.resolve_error.is_empty() {
                self.resolve_for(user, origin);
            } else {
                let reason = Message::Reason(Arc::from(place.resolve_error.as_str()));
                self.fail(user, Outcome::DnsError, &reason);
            }
            return;
        }
        // All origins behind a proxy share its addresses, so they share its counter, the last one.
        let counters = &self.shared.dials;
        let behind_proxy = self.shared.plan.connections.proxy.is_some();
        let counter = if behind_proxy { counters.len() - 1 } else { (origin as usize).min(counters.len() - 1) };
        let turn = usize::try_from(counters[counter].take()).unwrap_or(0);
        let address = SocketAddr::new(place.addresses[turn % place.addresses.len()], place.dial_port());
        let source = self.source_for(address);
        self.second.generator.dials += 1;
        match self.begin_dial(user, origin, address, source) {
            Ok(connection) => self.users[user as usize].connection = connection,
            Err(error) => self.dial_failed(user, &error),
        }
    }

    /// The next of the plan's source addresses of the right family.
    fn source_for(&self, address: SocketAddr) -> Option<SocketAddr> {
        let sources = &self.shared.plan.connections.source_addresses;
        let fitting = || sources.iter().filter(|source| source.is_ipv4() == address.is_ipv4());
        let count = fitting().count();
        if count == 0 {
            return None;
        }
        let turn = usize::try_from(self.shared.sources.take()).unwrap_or(0);
        fitting().nth(turn % count).map(|source| SocketAddr::new(*source, 0))
    }

    fn begin_dial(
        &mut self,
        user: u32,
        origin: u32,
        address: SocketAddr,
        source: Option<SocketAddr>,
    ) -> io::Result<u32> {
        let socket = new_socket(Domain::for_address(address))?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = source {
            bind(&socket, source)?;
        }
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let handle = socket.as_raw_fd();
        let connection = Connection::new(socket.into(), user, origin, self.now);
        let (index, token) = self.connections.insert(connection);
        if let Err(error) = self.poller.add(handle, token) {
            self.connections.close(index);
            return Err(error);
        }
        Ok(index)
    }

    pub(super) fn dial_failed(&mut self, user: u32, error: &io::Error) {
        let (outcome, message) = dial_error(error);
        self.fail(user, outcome, &message);
    }

    /// Something happened on a connection that is not open yet.
    pub(super) fn advance_dial(&mut self, index: u32, event: Event) {
        let Some(connection) = self.connections.get(index) else { return };
        if connection.stage == Stage::Connecting {
            if let Ok(Some(error)) | Err(error) = connection.socket.take_error() {
                let (outcome, message) = dial_error(&error);
                self.refuse(index, outcome, &message);
                return;
            }
            if !event.writable {
                return;
            }
            self.connected(index);
            if self.connections.find(event.token).is_none() {
                return;
            }
            if self.connections.is_open(index) {
                // A target that speaks first has had its event: there is no other for what it said.
                if event.readable {
                    self.receive(index, event.hangup);
                }
                return;
            }
        }
        let Some(connection) = self.connections.get(index) else { return };
        if event.writable && connection.has_unsent() && connection.send_rest().is_err() {
            self.broken_dial(index);
            return;
        }
        if !event.readable {
            return;
        }
        let token = self.connections.token(index);
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        while self.connections.find(token).is_some() && !self.connections.is_open(index) {
            let Some(connection) = self.connections.get(index) else { break };
            match connection.receive(&mut buffer, &mut self.records, &mut plain) {
                Received::Bytes(count) if connection.stage == Stage::Tunnel => {
                    self.read_tunnel(index, &buffer[..count]);
                }
                Received::Bytes(_) => {}
                Received::Nothing => break,
                Received::End | Received::Reset => self.broken_dial(index),
                Received::Broken(error) => self.tls_failed(index, &error),
            }
        }
        self.buffer = buffer;
        if self.connections.find(token).is_some() && self.connections.is_open(index) {
            self.touch();
            self.opened(index);
            if !plain.is_empty() {
                self.take_input(index, &plain);
            }
            // What came with the end of the handshake has had its event; more may lie behind it.
            if self.connections.find(token).is_some() {
                self.receive(index, event.hangup);
            }
        }
        self.plain = plain;
    }

    fn connected(&mut self, index: u32) {
        let Some(connection) = self.connections.get(index) else { return };
        let (began, origin) = (connection.began, connection.origin);
        self.second.generator.connect.record(self.now.saturating_sub(began));
        if self.origins[origin as usize].scheme == Scheme::Http {
            if let Some(connection) = self.connections.get(index) {
                connection.stage = Stage::Open;
            }
            self.opened(index);
        } else if self.shared.plan.connections.proxy.is_some() {
            self.ask_for_tunnel(index);
        } else {
            self.begin_handshake(index);
        }
    }

    /// Requests can be sent.
    fn opened(&mut self, index: u32) {
        let Some(connection) = self.connections.get(index) else { return };
        let (user, origin) = (connection.user, connection.origin);
        if let Some(session) = &connection.tls {
            let took = self.now.saturating_sub(session.began);
            self.second.generator.tls.record(took);
        }
        let is_shared = connection.multiplex.is_some();
        if is_shared && self.opened_shared(index) {
            return;
        }
        let state = &mut self.users[user as usize];
        state.owned.push((origin, index));
        // Where others waited for it too, the one that dialled may have given up meanwhile.
        if state.state == State::Busy && state.connection == index {
            self.send(user, index);
        }
    }

    /// CONNECT (RFC 9110, section 9.3.6).
    fn ask_for_tunnel(&mut self, index: u32) {
        let Some(connection) = self.connections.get(index) else { return };
        connection.stage = Stage::Tunnel;
        connection.reader.start(Expect { head_only: true }, 0, u64::MAX);
        let origin = &self.origins[connection.origin as usize];
        let target = format!("{}:{}", origin.url_host(), origin.port);
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(proxy) = &self.shared.plan.connections.proxy
            && !proxy.authorization_slot.is_empty()
        {
            let value = self.shared.with_secrets(|store| store.current.get(&proxy.authorization_slot).cloned());
            let _ = write!(request, "Proxy-Authorization: {}\r\n", value.unwrap_or_default());
        }
        request.push_str("\r\n");
        if connection.transmit(request.as_bytes()).is_err() {
            self.broken_dial(index);
        }
    }

    fn read_tunnel(&mut self, index: u32, input: &[u8]) {
        let Some(connection) = self.connections.get(index) else { return };
        let outcome = connection.reader.feed(input, &mut HeadCache::default());
        let status = connection.reader.head().map_or(0, |head| head.status);
        match outcome {
            Ok(Progress::More) => {}
            Ok(Progress::Done(_)) if (200..300).contains(&status) => {
                connection.reader.finish();
                self.touch();
                self.begin_handshake(index);
            }
            Ok(Progress::Done(_)) => {
                let why = Message::Reason(Arc::from(format!("proxy answered {status} to CONNECT")));
                self.refuse(index, Outcome::ConnectError, &why);
            }
            Err(_) => self.refuse(index, Outcome::ConnectError, &Message::Text("proxy did not answer in HTTP")),
        }
    }

    fn begin_handshake(&mut self, index: u32) {
        let now = self.now;
        let Some(connection) = self.connections.get(index) else { return };
        let origin = connection.origin;
        let Some(settings) = &self.shared.tls else { return };
        self.records.clear();
        self.plain.clear();
        let session = Session::new(settings, &self.origins[origin as usize], now).and_then(|mut session| {
            session.process(&mut [], &mut self.records, &mut self.plain)?;
            Ok(session)
        });
        match session {
            Ok(session) => {
                connection.tls = Some(Box::new(session));
                connection.stage = Stage::Handshake;
                if connection.transmit(&self.records).is_err() {
                    self.broken_dial(index);
                }
            }
            Err(error) => self.refuse(index, Outcome::TlsError, &Message::Reason(Arc::from(tls::words(&error)))),
        }
    }

    /// The other side went away before requests could be sent.
    fn broken_dial(&mut self, index: u32) {
        let Some(connection) = self.connections.get(index) else { return };
        let stage = connection.stage;
        self.second.generator.connections_lost += 1;
        if stage == Stage::Tunnel {
            self.refuse(index, Outcome::ConnectError, &Message::Text("proxy closed the connection"));
        } else {
            self.refuse(index, Outcome::TlsError, &Message::Text("closed during the handshake"));
        }
    }

    /// TLS went wrong, during the handshake or later.
    pub(super) fn tls_failed(&mut self, index: u32, error: &rustls::Error) {
        let Some(connection) = self.connections.get(index) else { return };
        let is_idle = connection.stage == Stage::Open && !connection.busy;
        if is_idle && connection.multiplex.is_none() {
            self.second.generator.connections_lost += 1;
            self.drop_connection(index);
        } else {
            self.refuse(index, Outcome::TlsError, &Message::Reason(Arc::from(tls::words(error))));
        }
    }

    /// There is no connection: so end the requests that it was dialled for. What was read so far is no answer.
    fn refuse(&mut self, index: u32, outcome: Outcome, message: &Message) {
        let Some(connection) = self.connections.get(index) else { return };
        if connection.multiplex.is_some() {
            self.fail_shared(index, outcome, message);
            return;
        }
        let user = connection.user;
        connection.reader.finish();
        self.fail(user, outcome, message);
    }

    /// Closes a connection, whoever owns it.
    pub(super) fn drop_connection(&mut self, index: u32) {
        let Some(connection) = self.connections.get(index) else { return };
        let user = connection.user as usize;
        self.connections.close(index);
        self.users[user].owned.retain(|(_, owned)| *owned != index);
        if self.users[user].connection == index {
            self.users[user].connection = NONE;
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn new_socket(domain: Domain) -> io::Result<Socket> {
    // One system call instead of three.
    Socket::new(domain, Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn new_socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Dials from `source`. Which port is decided when the other end is known, so that every target has all ports.
fn bind(socket: &Socket, source: SocketAddr) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let on: libc::c_int = 1;
        let length = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or(0);
        // SAFETY: the option is an int that lives through the call. Where it is not known, ports are only used up sooner.
        unsafe {
            let option = libc::IP_BIND_ADDRESS_NO_PORT;
            libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, option, (&raw const on).cast(), length);
        }
    }
    socket.bind(&source.into()).map_err(|error| {
        if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) {
            let why = format!("not an address of this machine: {}", source.ip());
            return io::Error::new(io::ErrorKind::AddrNotAvailable, why);
        }
        error
    })
}

/// How a request ends whose connection could not be made.
fn dial_error(error: &io::Error) -> (Outcome, Message) {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => (Outcome::GeneratorError, Message::Text("no free file descriptor")),
        Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE) => (Outcome::GeneratorError, Message::Text("no free local port")),
        Some(libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC) => {
            (Outcome::GeneratorError, Message::Text("no memory for a socket"))
        }
        None if error.kind() == io::ErrorKind::AddrNotAvailable => {
            (Outcome::GeneratorError, Message::Reason(Arc::from(error.to_string())))
        }
        _ => (Outcome::ConnectError, connect_message(error)),
    }
}

fn connect_message(error: &io::Error) -> Message {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => Message::Text("connection refused"),
        Some(libc::ENETUNREACH) => Message::Text("network unreachable"),
        Some(libc::EHOSTUNREACH) => Message::Text("no route to host"),
        Some(libc::ETIMEDOUT) => Message::Text("connection timed out"),
        Some(libc::ECONNRESET) => Message::Text("reset by the target"),
        _ => Message::Reason(Arc::from(error.to_string())),
    }
}
