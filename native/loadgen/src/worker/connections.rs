//! Dialling and closing. A user owns one connection per origin.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use super::Worker;
use crate::deadlines::NONE;
use crate::outcome::Outcome;
use crate::plan::Origin;
use crate::poller::Event;
use crate::record::Message;
use crate::response::Reader;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// TCP is on its way.
    Connecting,
    /// Requests can be sent.
    Open,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    stage: Stage,
    /// Who owns it.
    pub(super) user: u32,
    /// Where it leads.
    pub(super) origin: u32,
    /// A request is on it.
    pub(super) busy: bool,
    /// A response has been read from it.
    pub(super) reused: bool,
    /// The response that is coming in.
    pub(super) reader: Reader,
    /// What did not fit into the socket, from `unsent_at` on.
    unsent: Vec<u8>,
    unsent_at: usize,
    /// When dialling began.
    began: u64,
}

impl Connection {
    /// Sends what fits and keeps the rest; returns how much was sent.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = match self.socket.write(bytes) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if sent < bytes.len() {
            self.unsent.clear();
            self.unsent.extend_from_slice(&bytes[sent..]);
            self.unsent_at = 0;
        }
        Ok(sent)
    }

    /// Sends what was kept; returns how much was sent.
    pub(super) fn send_rest(&mut self) -> io::Result<usize> {
        let mut sent = 0;
        while self.has_unsent() {
            match self.socket.write(&self.unsent[self.unsent_at..]) {
                Ok(count) => {
                    self.unsent_at += count;
                    sent += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(sent),
                Err(error) => return Err(error),
            }
        }
        self.unsent = Vec::new();
        self.unsent_at = 0;
        Ok(sent)
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.unsent_at < self.unsent.len()
    }

    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

#[derive(Debug)]
struct Slot {
    /// Raised with every use, so that an event for a connection that is gone finds nobody.
    generation: u32,
    connection: Option<Connection>,
}

/// All connections of a thread.
#[derive(Debug, Default)]
pub(super) struct Connections {
    slots: Vec<Slot>,
    vacant: Vec<u32>,
    open: usize,
}

impl Connections {
    /// How many there are, those that are still being dialled included.
    pub(super) fn len(&self) -> usize {
        self.open
    }

    #[inline]
    pub(super) fn find(&self, token: u64) -> Option<u32> {
        let (index, generation) = (token as u32, (token >> 32) as u32);
        let slot = self.slots.get(index as usize)?;
        (slot.generation == generation && slot.connection.is_some()).then_some(index)
    }

    #[inline]
    pub(super) fn get(&mut self, index: u32) -> Option<&mut Connection> {
        self.slots.get_mut(index as usize)?.connection.as_mut()
    }

    #[inline]
    pub(super) fn is_open(&self, index: u32) -> bool {
        let connection = self.slots[index as usize].connection.as_ref();
        connection.is_some_and(|connection| connection.stage == Stage::Open)
    }

    #[inline]
    pub(super) fn has_unsent(&self, index: u32) -> bool {
        self.slots[index as usize].connection.as_ref().is_some_and(Connection::has_unsent)
    }

    fn insert(&mut self, connection: Connection) -> (u32, u64) {
        self.open += 1;
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, connection: None });
            u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
        });
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.connection = Some(connection);
        (index, u64::from(slot.generation) << 32 | u64::from(index))
    }

    /// The token of an open connection.
    pub(super) fn token(&self, index: u32) -> u64 {
        u64::from(self.slots[index as usize].generation) << 32 | u64::from(index)
    }

    pub(super) fn close(&mut self, index: u32) {
        if self.slots.get_mut(index as usize).and_then(|slot| slot.connection.take()).is_some() {
            self.open -= 1;
            self.vacant.push(index);
        }
    }

    pub(super) fn close_all(&mut self) {
        for index in 0..self.slots.len() {
            self.close(u32::try_from(index).unwrap_or(NONE));
        }
    }
}

impl Worker {
    /// Where connections for `origin` are dialled, and which counter takes its addresses in turn.
    fn place(&self, origin: u32) -> (&Origin, usize) {
        let plan = &self.shared.plan;
        match &plan.connections.proxy {
            Some(proxy) => (&proxy.origin, plan.origins.len()),
            None => (&plan.origins[origin as usize], origin as usize),
        }
    }

    /// Begins a connection for the request of `user`.
    pub(super) fn dial(&mut self, user: u32, origin: u32) {
        let (place, counter) = self.place(origin);
        let addresses = &place.addresses;
        if addresses.is_empty() {
            let reason = Message::Reason(Arc::from(place.resolve_error.as_str()));
            self.fail(user, Outcome::DnsError, &reason);
            return;
        }
        let turn = usize::try_from(self.shared.dials[counter].take()).unwrap_or(0);
        let address = SocketAddr::new(addresses[turn % addresses.len()], place.dial_port());
        let sources = &self.shared.plan.connections.source_addresses;
        let source = sources
            .iter()
            .filter(|source| source.is_ipv4() == address.is_ipv4())
            .nth(usize::try_from(self.shared.sources.take()).unwrap_or(0) % sources.len().max(1))
            .or_else(|| sources.iter().find(|source| source.is_ipv4() == address.is_ipv4()))
            .map(|source| SocketAddr::new(*source, 0));
        self.users[user as usize].dials += 1;
        self.second.generator.dials += 1;
        match self.begin_dial(user, origin, address, source) {
            Ok(connection) => self.users[user as usize].connection = connection,
            Err(error) => self.dial_failed(user, origin, &error),
        }
    }

    fn begin_dial(
        &mut self,
        user: u32,
        origin: u32,
        address: SocketAddr,
        source: Option<SocketAddr>,
    ) -> io::Result<u32> {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = source {
            socket.bind(&source.into())?;
        }
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let handle = socket.as_raw_fd();
        let connection = Connection {
            socket: socket.into(),
            stage: Stage::Connecting,
            user,
            origin,
            busy: false,
            reused: false,
            reader: Reader::default(),
            unsent: Vec::new(),
            unsent_at: 0,
            began: self.now,
        };
        let (index, token) = self.connections.insert(connection);
        if let Err(error) = self.poller.add(handle, token) {
            self.connections.close(index);
            return Err(error);
        }
        Ok(index)
    }

    fn dial_failed(&mut self, user: u32, origin: u32, error: &io::Error) {
        self.touch();
        let own_fault = match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => Some("no free file descriptor"),
            Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE) => Some("no free local port"),
            Some(libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC) => Some("no memory for a socket"),
            _ => None,
        };
        if let Some(why) = own_fault {
            self.fail(user, Outcome::GeneratorError, &Message::Text(why));
            return;
        }
        // A name often has addresses of which only some are served (::1 and 127.0.0.1): all are tried.
        let addresses = self.place(origin).0.addresses.len();
        if (self.users[user as usize].dials as usize) < addresses {
            self.dial(user, origin);
        } else {
            self.fail(user, Outcome::ConnectError, &connect_message(error));
        }
    }

    /// Something happened on a connection that is not open yet.
    pub(super) fn advance_dial(&mut self, index: u32, event: Event) {
        let Some(connection) = self.connections.get(index) else { return };
        let (user, origin) = (connection.user, connection.origin);
        if let Ok(Some(error)) | Err(error) = connection.socket.take_error() {
            self.connections.close(index);
            self.users[user as usize].connection = NONE;
            self.dial_failed(user, origin, &error);
            return;
        }
        if !event.writable {
            return;
        }
        connection.stage = Stage::Open;
        let began = connection.began;
        self.second.generator.connect.record(self.now.saturating_sub(began));
        self.users[user as usize].owned.push((origin, index));
        self.send(user, index);
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
