//! Sends requests over HTTP/2 at full speed and measures their cost: `bench URL [connections] [streams] [requests]`.
//!
//! One thread, one epoll loop. `https` URLs use rustls without certificate verification: for a server on this machine,
//! to
//! compare with `h2load -c CONNECTIONS -m STREAMS -n REQUESTS URL`.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use h2client::{Connection, Events, Failure, Head, Request, Settings, Stream, Template};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

#[derive(Default)]
struct Count {
    ok: u64,
    other: u64,
    ended: u64,
    failed: u64,
    body: u64,
}

impl Events for Count {
    fn head(&mut self, _: Stream, head: &Head<'_>) {
        if head.status == 200 { self.ok += 1 } else { self.other += 1 }
    }
    fn data(&mut self, _: Stream, piece: &[u8]) {
        self.body += piece.len() as u64;
    }
    fn end(&mut self, _: Stream) {
        self.ended += 1;
    }
    fn failed(&mut self, _: Stream, _: Failure) {
        self.failed += 1;
    }
}

struct Peer {
    socket: TcpStream,
    tls: Option<ClientConnection>,
    http: Connection,
}

impl Peer {
    fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while !self.http.outgoing().is_empty() {
                let count = tls.writer().write(self.http.outgoing())?;
                self.http.consume(count);
            }
            while tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            return Ok(());
        }
        while !self.http.outgoing().is_empty() {
            match self.socket.write(self.http.outgoing()) {
                Ok(count) => self.http.consume(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8], count: &mut Count) -> Result<(), Box<dyn Error>> {
        if let Some(tls) = &mut self.tls {
            match tls.read_tls(&mut self.socket) {
                Ok(0) => return Err("closed".into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            tls.process_new_packets()?;
            loop {
                match tls.reader().read(buffer) {
                    Ok(0) => return Err("closed".into()),
                    Ok(length) => self.http.receive(&buffer[..length], count)?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        match self.socket.read(buffer) {
            Ok(0) => Err("closed".into()),
            Ok(length) => Ok(self.http.receive(&buffer[..length], count)?),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: bench URL [connections] [streams] [requests]")?;
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (connections, streams, requests) = (number(4)?, number(16)?, number(100_000)?);
    let (scheme, rest) = url.split_once("://").ok_or("a URL begins with http:// or https://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));

    let mut template = Template::new("GET", scheme, authority, format!("/{path}").as_str());
    template.header(b"user-agent", "h2client-bench");
    let templates: Arc<[Template]> = [template].into();
    let config = tls_config()?;
    let settings = Settings { max_streams: u32::try_from(streams)?, ..Settings::default() };
    let mut peers = Vec::new();
    // SAFETY: the call takes a flag and returns a new descriptor or -1.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if epoll < 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: the descriptor is new and owned here alone.
    let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
    for nth in 0..connections {
        let socket = TcpStream::connect(authority)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut event = libc::epoll_event { events: libc::EPOLLIN.cast_unsigned(), u64: nth };
        // SAFETY: both descriptors are open, and the event outlives the call.
        if unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event) } < 0 {
            return Err(io::Error::last_os_error().into());
        }
        let tls = match scheme {
            "https" => Some(ClientConnection::new(Arc::clone(&config), ServerName::try_from("localhost")?)?),
            _ => None,
        };
        peers.push(Peer { socket, tls, http: Connection::new(settings, Arc::clone(&templates)) });
    }

    let begin = Instant::now();
    let mut count = Count::default();
    let mut started = 0;
    let mut buffer = vec![0; 64 * 1024];
    for peer in &mut peers {
        fill(peer, &mut started, requests)?;
    }
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
    while count.ended + count.failed < requests {
        // SAFETY: the array has room for 64 events and outlives the call.
        let ready = unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), 64, 5000) };
        if ready <= 0 {
            return Err("nothing came for five seconds".into());
        }
        for event in &events[..usize::try_from(ready)?] {
            let peer = &mut peers[usize::try_from(event.u64)?];
            peer.read(&mut buffer, &mut count)?;
            fill(peer, &mut started, requests)?;
        }
    }
    report(&count, begin.elapsed().as_secs_f64());
    Ok(())
}

fn fill(peer: &mut Peer, started: &mut u64, requests: u64) -> Result<(), Box<dyn Error>> {
    while *started < requests && peer.http.available() > 0 {
        peer.http.send_request(0, Request::new(*started), |_, _| {})?;
        *started += 1;
    }
    Ok(peer.flush()?)
}

#[allow(clippy::cast_precision_loss)] // far below 2^52
fn report(count: &Count, seconds: f64) {
    // SAFETY: all zeros is a valid rusage, which outlives the call.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let cpu = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let (user, system) = (cpu(usage.ru_utime), cpu(usage.ru_stime));
    let each = 1e6 / (count.ended + count.failed) as f64;
    println!(
        "{} ok, {} other, {} failed, {} bytes; {:.0} requests/s; CPU per request {:.3} us ({:.3} user, {:.3} system)",
        count.ok,
        count.other,
        count.failed,
        count.body,
        count.ended as f64 / seconds,
        (user + system) * each,
        user * each,
        system * each
    );
}

fn tls_config() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// Accepts every certificate.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
