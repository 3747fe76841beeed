//! Dials connections: origins, the proxy, their addresses in turn, source addresses, TLS, and sockets being connected.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use super::connection::NONE;
use super::names::{Names, Waiting};
use super::resolver::Resolution;
use super::tls::{Session, TlsSettings};
use crate::counters::Turns;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::plan::{Connections, Origin, Plan, Scheme, TargetRules};
use crate::poller::Waker;
use crate::redirect::Place;
use crate::template::Secrets;

/// Denotes the proxy in place of an origin's index.
const PROXY: u32 = NONE;

/// Dials connections for a thread.
#[derive(Debug)]
pub(super) struct Dialer {
    /// The plan's origins, and those added by redirects.
    origins: Vec<Origin>,
    /// The proxy, dialled instead of the origins.
    proxy: Option<Origin>,
    authorization_slot: String,
    /// The value of Proxy-Authorization; empty for none.
    authorization: String,
    sources: Vec<IpAddr>,
    rules: Option<TargetRules>,
    tls: Option<TlsSettings>,
    turns: Arc<Turns>,
    names: Names,
}

/// How to obtain a connection.
pub(super) enum Route {
    /// Dial this address.
    Address(SocketAddr),
    /// Resolve the name first.
    Unknown,
    /// There is no address, for this reason.
    Refused(Message),
}

impl Dialer {
    pub(super) fn new(plan: &Plan, tls: Option<TlsSettings>, turns: Arc<Turns>, waker: Waker) -> Dialer {
        let Connections { proxy, source_addresses, targets, resolve_every_ns, .. } = &plan.connections;
        Dialer {
            origins: plan.origins.clone(),
            proxy: proxy.as_ref().map(|proxy| proxy.origin.clone()),
            authorization_slot: proxy.as_ref().map(|proxy| proxy.authorization_slot.clone()).unwrap_or_default(),
            authorization: String::new(),
            sources: source_addresses.clone(),
            rules: targets.clone(),
            tls,
            turns,
            names: Names::new(waker, targets.clone(), *resolve_every_ns),
        }
    }

    /// Updates the current secrets.
    pub(super) fn prepare(&mut self, secrets: &Secrets) {
        self.authorization = secrets.get(&self.authorization_slot).cloned().unwrap_or_default();
    }

    pub(super) fn origin(&self, origin: u32) -> &Origin {
        &self.origins[origin as usize]
    }

    pub(super) fn has_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    /// The index of the origin of a redirect.
    pub(super) fn origin_at(&mut self, place: &Place) -> u32 {
        let is_there = |origin: &Origin| {
            (origin.scheme, origin.host.as_str(), origin.port) == (place.scheme, place.host.as_str(), place.port)
        };
        let known = self.origins.iter().position(is_there);
        let index = known.unwrap_or_else(|| {
            let refusal = self.rules.as_ref().and_then(|rules| rules.refusal_of_name(&place.host));
            self.origins.push(Origin {
                scheme: place.scheme,
                // A literal address needs no resolution.
                addresses: if refusal.is_none() { place.host.parse().into_iter().collect() } else { Vec::new() },
                host: place.host.clone(),
                port: place.port,
                connect_host: String::new(),
                connect_port: 0,
                resolve_error: refusal.unwrap_or_default(),
            });
            self.origins.len() - 1
        });
        u32::try_from(index).unwrap_or(NONE)
    }

    /// How to connect to `origin` now.
    pub(super) fn route(&self, origin: u32) -> Route {
        // A proxy resolves the names behind it, so only the name can be checked.
        let behind = self.origin(origin);
        if self.proxy.is_some() && !behind.resolve_error.is_empty() {
            return Route::Refused(Message::Reason(Arc::from(behind.resolve_error.as_str())));
        }
        let place = self.place(origin);
        if !place.addresses.is_empty() {
            // All origins behind a proxy share its addresses, and so its counter, the last one.
            let turn = self.turns.next_address(if self.proxy.is_some() { usize::MAX } else { origin as usize });
            return Route::Address(SocketAddr::new(place.addresses[turn % place.addresses.len()], place.dial_port()));
        }
        if place.resolve_error.is_empty() {
            return Route::Unknown;
        }
        Route::Refused(Message::Reason(Arc::from(place.resolve_error.as_str())))
    }

    /// Opens a socket and starts connecting to `address`.
    pub(super) fn open(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let source = self.source_for(address);
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
        Ok(socket.into())
    }

    /// The next of the plan's source addresses of the right family.
    fn source_for(&self, address: SocketAddr) -> Option<SocketAddr> {
        let fitting = || self.sources.iter().filter(|source| source.is_ipv4() == address.is_ipv4());
        let count = fitting().count();
        if count == 0 {
            return None;
        }
        let turn = self.turns.next_source();
        fitting().nth(turn % count).map(|source| SocketAddr::new(*source, 0))
    }

    /// A TLS session with `origin`; None if the run does not use TLS.
    pub(super) fn session(&self, origin: u32, now: u64) -> Option<Result<Session, rustls::Error>> {
        self.tls.as_ref().map(|settings| Session::new(settings, self.origin(origin), now))
    }

    /// The request to the proxy for a tunnel to `origin`: CONNECT (RFC 9110, section 9.3.6).
    pub(super) fn tunnel_request(&self, origin: u32) -> String {
        let origin = self.origin(origin);
        let target = format!("{}:{}", origin.url_host(), origin.port);
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if !self.authorization_slot.is_empty() {
            // Writing to memory cannot fail.
            let _ = write!(request, "Proxy-Authorization: {}\r\n", self.authorization);
        }
        request.push_str("\r\n");
        request
    }

    /// The origin to dial for `origin`: itself, or the proxy, which resolves the name.
    fn place(&self, origin: u32) -> &Origin {
        self.proxy.as_ref().unwrap_or_else(|| &self.origins[origin as usize])
    }

    /// Queues a request until the name of `origin` is resolved.
    pub(super) fn wait_for_name(&mut self, origin: u32, request: Waiting) -> io::Result<()> {
        let place = if self.proxy.is_some() { PROXY } else { origin };
        if self.names.wait(place, request) { self.query_name(place) } else { Ok(()) }
    }

    fn query_name(&mut self, place: u32) -> io::Result<()> {
        let looked_up = self.proxy.as_ref().unwrap_or_else(|| &self.origins[place as usize]);
        self.names.query(place, looked_up.dial_host(), looked_up.dial_port())
    }

    /// Takes a resolved name: how long it took, and the requests that waited for it.
    pub(super) fn take_name(&mut self) -> Option<(u64, Vec<Waiting>)> {
        let Resolution { origin, addresses, error, is_refused, took } = self.names.take_resolution()?;
        let place = self.proxy.as_mut().unwrap_or_else(|| &mut self.origins[origin as usize]);
        // A temporary resolver failure must not discard the known addresses; a name that now resolves to a forbidden
        // address must.
        if !addresses.is_empty() || is_refused || place.addresses.is_empty() {
            place.addresses = addresses;
            place.resolve_error = error;
        }
        Some((took, self.names.ready(origin)))
    }

    /// When names are resolved again.
    pub(super) fn next_names(&self) -> u64 {
        self.names.next()
    }

    /// Resolves all names again, if the plan requires it.
    pub(super) fn renew_names(&mut self, now: u64) {
        if !self.names.is_due(now) {
            return;
        }
        // The proxy resolves the origins behind it; their names may be unknown here.
        let places =
            if self.proxy.is_some() { PROXY..=PROXY } else { 0..=u32::try_from(self.origins.len() - 1).unwrap_or(0) };
        for place in places {
            if self.place(place).dial_host().parse::<IpAddr>().is_err() {
                // Without a resolver thread the addresses stay unchanged.
                let _ = self.query_name(place);
            }
        }
    }

    /// True if connections to `origin` use TLS.
    pub(super) fn is_secure(&self, origin: u32) -> bool {
        self.origin(origin).scheme == Scheme::Https
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

/// Binds to `source`. The port is chosen when connecting, so that every target can use all ports.
fn bind(socket: &Socket, source: SocketAddr) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let on: libc::c_int = 1;
        let length = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or(0);
        // SAFETY: the option is an int that outlives the call. Unsupported systems only run out of ports sooner.
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

/// The outcome of a request whose connection could not be opened.
pub(super) fn dial_error(error: &io::Error) -> (Outcome, Message) {
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
