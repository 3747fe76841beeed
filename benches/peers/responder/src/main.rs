//! Answers every request with constant bytes, from one thread, with as little work as possible, so that a benchmark
//! measures the client and not the server. It counts requests, and reports the number on a port of its own.
//!
//! A request is everything up to an empty line: it has no body. `/big…` is answered with 10 KiB, everything else with
//! 98 bytes. HTTP/2 is answered on the same ports, over TLS by ALPN and otherwise with prior knowledge, always with 98 bytes.
//!
//! Usage: responder CERTIFICATE KEY
//! The two are PEM files. Prints the ports of HTTP, HTTPS and the counter, and runs until it is killed.

mod http2;

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

const SMALL: &str = r#"{"id":42,"name":"A short answer in JSON","tags":["one","two"],"active":true,"price":1234.56789012}"#;
const BIG_BYTES: usize = 10240;
const PLAIN: Token = Token(0);
const TLS: Token = Token(1);
const COUNTER: Token = Token(2);
const FIRST_CONNECTION: usize = 3;

struct Answers {
    small: Vec<u8>,
    big: Vec<u8>,
    http2: http2::Answer,
}

/// A connection: bytes that are no whole request yet, and answers that the socket has not taken yet.
struct Connection {
    stream: TcpStream,
    tls: Option<Box<ServerConnection>>,
    request: Vec<u8>,
    pending: Vec<u8>,
    is_counter: bool,
    is_http2: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(certificate), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("usage: responder CERTIFICATE KEY".into());
    };
    let config = tls_config(&certificate, &key)?;
    let mut listeners = Vec::new();
    let mut poll = Poll::new()?;
    for token in [PLAIN, TLS, COUNTER] {
        let mut listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
        poll.registry()
            .register(&mut listener, token, Interest::READABLE)?;
        listeners.push(listener);
    }
    let ports: Vec<String> = listeners
        .iter()
        .map(|each| each.local_addr().map(|at| at.port().to_string()))
        .collect::<io::Result<_>>()?;
    println!("{}", ports.join(" "));
    io::stdout().flush()?;

    let answers = Answers {
        small: answer(SMALL.as_bytes()),
        big: answer(&vec![b'x'; BIG_BYTES]),
        http2: http2::Answer::new(),
    };
    // By token; the places of closed connections are used again.
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut vacant: Vec<usize> = Vec::new();
    let mut buffer = vec![0u8; 16384];
    let mut requests = 0u64;
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            let token = event.token();
            if token.0 >= FIRST_CONNECTION {
                let place = token.0 - FIRST_CONNECTION;
                let Some(connection) = &mut connections[place] else {
                    continue;
                };
                let is_over = connection.is_over_after(&mut buffer, &answers, &mut requests);
                if is_over.unwrap_or(true) {
                    connections[place] = None;
                    vacant.push(place);
                }
                continue;
            }
            while let Ok((mut stream, _)) = listeners[token.0].accept() {
                stream.set_nodelay(true)?;
                let tls = match token {
                    TLS => Some(Box::new(ServerConnection::new(Arc::clone(&config))?)),
                    _ => None,
                };
                let place = vacant.pop().unwrap_or_else(|| {
                    connections.push(None);
                    connections.len() - 1
                });
                poll.registry().register(
                    &mut stream,
                    Token(FIRST_CONNECTION + place),
                    Interest::READABLE | Interest::WRITABLE,
                )?;
                let is_counter = token == COUNTER;
                let (request, pending) = (Vec::new(), Vec::new());
                connections[place] = Some(Connection {
                    stream,
                    tls,
                    request,
                    pending,
                    is_counter,
                    is_http2: false,
                });
            }
        }
    }
}

fn tls_config(
    certificate: &str,
    key: &str,
) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn answer(body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

impl Connection {
    /// Reads what has arrived and answers it; returns whether the connection has ended.
    fn is_over_after(
        &mut self,
        buffer: &mut [u8],
        answers: &Answers,
        requests: &mut u64,
    ) -> io::Result<bool> {
        if self.tls.is_none() && !self.is_counter && !self.is_http2 && self.pending.is_empty() {
            return self.is_over_after_one(buffer, answers, requests);
        }
        self.is_over_after_all(buffer, answers, requests)
    }

    /// The usual case: one whole request has arrived, and its answer fits into the socket.
    fn is_over_after_one(
        &mut self,
        buffer: &mut [u8],
        answers: &Answers,
        requests: &mut u64,
    ) -> io::Result<bool> {
        let length = match self.stream.read(buffer) {
            Ok(0) => return Ok(true),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        let input = &buffer[..length];
        let end = memchr::memmem::find(input, b"\r\n\r\n");
        if length == buffer.len() || !self.request.is_empty() || end != Some(length - 4) {
            self.take(&buffer[..length], answers, requests);
            return self.is_over_after_all(buffer, answers, requests);
        }
        *requests += 1;
        let answer = if input.starts_with(b"GET /big") {
            &answers.big
        } else {
            &answers.small
        };
        let sent = match self.stream.write(answer) {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.pending.extend_from_slice(&answer[sent..]);
        Ok(false)
    }

    fn is_over_after_all(
        &mut self,
        buffer: &mut [u8],
        answers: &Answers,
        requests: &mut u64,
    ) -> io::Result<bool> {
        loop {
            match self.read(buffer) {
                Ok(0) => return Ok(true),
                Ok(length) => {
                    self.take(&buffer[..length], answers, requests);
                    // A short read has emptied the socket; the next event comes with more bytes.
                    if self.tls.is_none() && length < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.flush()?;
        Ok(false)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.stream.read(buffer);
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
            if tls.read_tls(&mut self.stream)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets()
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
    }

    fn take(&mut self, bytes: &[u8], answers: &Answers, requests: &mut u64) {
        if self.is_http2 || (bytes.starts_with(http2::PREFACE) && self.request.is_empty()) {
            return self.take_frames(bytes, answers, requests);
        }
        let held = !self.request.is_empty();
        if held {
            self.request.extend_from_slice(bytes);
        }
        let whole = if held {
            std::mem::take(&mut self.request)
        } else {
            Vec::new()
        };
        let mut rest = if held { &whole[..] } else { bytes };
        while let Some(end) = memchr::memmem::find(rest, b"\r\n\r\n") {
            if self.is_counter {
                self.pending
                    .extend_from_slice(&answer(requests.to_string().as_bytes()));
            } else {
                *requests += 1;
                let is_big = rest.starts_with(b"GET /big");
                self.pending
                    .extend_from_slice(if is_big { &answers.big } else { &answers.small });
            }
            rest = &rest[end + 4..];
        }
        self.request = rest.to_vec();
    }

    fn take_frames(&mut self, bytes: &[u8], answers: &Answers, requests: &mut u64) {
        let bytes = match bytes.strip_prefix(http2::PREFACE) {
            Some(rest) if !self.is_http2 => {
                self.is_http2 = true;
                http2::begin(&mut self.pending);
                rest
            }
            _ => bytes,
        };
        if self.request.is_empty() {
            let taken = http2::take(bytes, &answers.http2, requests, &mut self.pending);
            self.request.extend_from_slice(&bytes[taken..]);
            return;
        }
        self.request.extend_from_slice(bytes);
        let taken = http2::take(&self.request, &answers.http2, requests, &mut self.pending);
        self.request.drain(..taken);
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            if !self.pending.is_empty() {
                tls.writer().write_all(&self.pending)?;
                self.pending.clear();
            }
            while tls.wants_write() {
                match tls.write_tls(&mut self.stream) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            return Ok(());
        }
        while !self.pending.is_empty() {
            match self.stream.write(&self.pending) {
                Ok(length) if length == self.pending.len() => self.pending.clear(),
                Ok(length) => {
                    self.pending.drain(..length);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
