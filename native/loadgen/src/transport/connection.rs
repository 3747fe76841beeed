//! One connection: its socket, unsent bytes, and the response being received.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::multiplex::link::Multiplex;
use super::tls::Session;
use crate::response::Reader;

/// No connection, no origin.
pub(super) const NONE: u32 = u32::MAX;

pub(super) const CLOSED_BEFORE: &str = "closed before any byte of the answer";
pub(super) const CLOSED_WITHIN: &str = "closed in the middle of the answer";
pub(super) const RESET: &str = "reset by the target";

/// The stage of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// TCP is being established.
    Connecting,
    /// A tunnel was requested from the proxy.
    Tunnel,
    /// The TLS handshake is in progress.
    Handshake,
    /// It is ready for requests.
    Open,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: TcpStream,
    pub(super) stage: Stage,
    /// The user that owns it.
    pub(super) user: u32,
    /// Its origin.
    pub(super) origin: u32,
    /// A request is in progress on it.
    pub(super) busy: bool,
    /// It has carried a response before.
    pub(super) reused: bool,
    /// Parser of the response being received.
    pub(super) reader: Reader,
    /// Bytes that did not fit into the socket, from `unsent_at` on.
    unsent: Vec<u8>,
    unsent_at: usize,
    /// When dialling began.
    pub(super) began: u64,
    /// Over TLS.
    pub(super) tls: Option<Box<Session>>,
    /// Users share it, or will if it turns out to be HTTP/2.
    pub(super) multiplex: Option<Box<Multiplex>>,
}

/// Result of a read.
pub(super) enum Received {
    /// This many bytes, now in the buffer, or (over TLS) decrypted in `plain`.
    Bytes(usize),
    /// The other side has closed.
    End,
    /// No data for now.
    Nothing,
    /// The connection was reset.
    Reset,
    /// A TLS error.
    Broken(rustls::Error),
}

impl Connection {
    /// A connection whose dialling started at `began`.
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

    /// Sends what fits into the socket and stores the rest. `records` is a buffer for encrypted data.
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

    /// Sends stored bytes as far as they fit.
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

    /// The protocol negotiated by TLS.
    pub(super) fn protocol(&self) -> Option<&[u8]> {
        self.tls.as_ref().and_then(|session| session.protocol())
    }

    /// True if it carries multiplexed streams.
    #[inline]
    pub(super) fn is_multiplexed(&self) -> bool {
        self.multiplex.as_ref().is_some_and(|multiplex| multiplex.is_open())
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Reads once. Over TLS, decrypted data is appended to `plain`, and TLS's own responses are sent.
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
            // If an alert can no longer be sent, its cause is still reported.
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
