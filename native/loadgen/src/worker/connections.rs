//! The connections of a thread: what each of them is doing, and where it is kept. A user owns one per origin.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::multiplex::Multiplex;
use crate::deadlines::NONE;
use crate::response::Reader;
use crate::tls::Session;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// TCP is on its way.
    Connecting,
    /// The proxy has been asked for a tunnel.
    Tunnel,
    /// TLS is being agreed upon.
    Handshake,
    /// Requests can be sent.
    Open,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: TcpStream,
    pub(super) stage: Stage,
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
    pub(super) began: u64,
    /// Over TLS.
    pub(super) tls: Option<Box<Session>>,
    /// Users share it, or will where it turns out to speak HTTP/2.
    pub(super) multiplex: Option<Box<Multiplex>>,
}

/// (origin, group of users): who shares a connection.
pub(super) type ConnectionKey = (u32, u32);

/// What was read from a connection.
pub(super) enum Received {
    /// So many bytes, now in the buffer, or (over TLS) decrypted in `plain`.
    Bytes(usize),
    /// The other side has closed.
    End,
    /// Nothing more for now.
    Nothing,
    /// The connection was reset.
    Reset,
    /// TLS went wrong.
    Broken(rustls::Error),
}

impl Connection {
    /// A connection that has begun to be dialled, at `began`.
    pub(super) fn new(socket: TcpStream, user: u32, origin: u32, began: u64) -> Connection {
        Connection {
            socket,
            stage: Stage::Connecting,
            user,
            origin,
            busy: false,
            reused: false,
            reader: Reader::default(),
            unsent: Vec::new(),
            unsent_at: 0,
            began,
            tls: None,
            multiplex: None,
        }
    }

    /// Sends what fits and keeps the rest. `records` is room for what is encrypted.
    #[inline]
    pub(super) fn send(&mut self, bytes: &[u8], records: &mut Vec<u8>) -> io::Result<()> {
        let Some(session) = &mut self.tls else { return self.transmit(bytes) };
        records.clear();
        session.encrypt(bytes, records).map_err(io::Error::other)?;
        self.transmit(records)
    }

    pub(super) fn transmit(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.has_unsent() {
            self.unsent.extend_from_slice(bytes);
            return Ok(());
        }
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
        Ok(())
    }

    /// Sends what was kept, as far as it fits.
    pub(super) fn send_rest(&mut self) -> io::Result<()> {
        while self.has_unsent() {
            match self.socket.write(&self.unsent[self.unsent_at..]) {
                Ok(count) => self.unsent_at += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.unsent = Vec::new();
        self.unsent_at = 0;
        Ok(())
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.unsent_at < self.unsent.len()
    }

    /// The protocol that TLS agreed upon.
    pub(super) fn protocol(&self) -> Option<&[u8]> {
        self.tls.as_ref().and_then(|session| session.protocol())
    }

    /// True where streams are multiplexed on it.
    #[inline]
    pub(super) fn is_multiplexed(&self) -> bool {
        self.multiplex.as_ref().is_some_and(|multiplex| multiplex.is_open())
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Reads once. Over TLS, what was said is appended to `plain`, and what TLS itself has to say is sent.
    #[inline]
    pub(super) fn receive(&mut self, buffer: &mut [u8], records: &mut Vec<u8>, plain: &mut Vec<u8>) -> Received {
        let count = loop {
            match self.socket.read(buffer) {
                Ok(0) => return Received::End,
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::Nothing,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Received::Reset,
            }
        };
        let Some(session) = &mut self.tls else { return Received::Bytes(count) };
        records.clear();
        let progress = session.process(&mut buffer[..count], records, plain);
        if !records.is_empty() {
            // Where an alert cannot be sent any more, what it is about is reported all the same.
            let _ = self.transmit(records);
        }
        match progress {
            Ok(progress) if progress.is_closed && plain.is_empty() => Received::End,
            Ok(progress) => {
                if progress.is_open && self.stage == Stage::Handshake {
                    self.stage = Stage::Open;
                }
                Received::Bytes(count)
            }
            Err(error) => Received::Broken(error),
        }
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
        #[allow(clippy::cast_possible_truncation)] // a token is two halves
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

    pub(super) fn insert(&mut self, connection: Connection) -> (u32, u64) {
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
