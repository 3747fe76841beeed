"""The server: its listeners, and the state that all connections share."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from typing import Any

from atm.errors import Problem, TargetServerError
from atm.testing.port_owner import port_owner
from atm.testing.target_server.addresses import Addresses
from atm.testing.target_server.connection import Connection
from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.options import ServerOptions
from atm.testing.target_server.recorder import Recorder
from atm.testing.target_server.route_table import ROUTES
from atm.testing.target_server.router import Routing
from atm.testing.target_server.shop.shop import Shop, ShopOptions
from atm.testing.target_server.stall import Stall
from atm.testing.target_server.tokens import TokenStore


class Server:
    """State shared by all connections. Used in one event loop and one thread."""

    def __init__(self, options: ServerOptions, loop: asyncio.AbstractEventLoop) -> None:
        self.options = options
        self.loop = loop
        self.recorder = Recorder(options.max_rows)
        self.routing = Routing(ROUTES, self.recorder)
        self.stall = Stall(loop)
        self.tokens = TokenStore(options.token_expires_in)
        self.shop = Shop()
        self.captures_left = options.capture
        self.captured: list[tuple[Exchange, bytes | None]] = []
        self._connections: set[Connection] = set()
        self._accepted = 0
        self._numbered = 0
        self._listeners: list[asyncio.Server] = []
        self._stall_pending = options.stall_after is not None

    async def listen(self) -> Addresses:
        """Open the listeners. Raises TargetServerError if a port is in use or a certificate cannot be loaded."""
        options = self.options
        context = _tls_context(options) if options.tls_port is not None else None
        plain_port, plain = _bind(options.host, options.port, options.backlog)
        tls_port, encrypted = (
            (0, []) if context is None else _bind(options.host, options.tls_port or 0, options.backlog)
        )
        for listener in plain:
            self._listeners.append(
                await self.loop.create_server(lambda: Connection(self, False), sock=listener, backlog=options.backlog)
            )
        for listener in encrypted:
            self._listeners.append(
                await self.loop.create_server(
                    lambda: Connection(self, True),
                    sock=listener,
                    backlog=options.backlog,
                    ssl=context,
                    ssl_shutdown_timeout=0.5,
                )
            )
        return Addresses(options.host, plain_port, tls_port)

    def close(self) -> None:
        """Stop listening and drop every connection."""
        for listener in self._listeners:
            listener.close()
        for connection in list(self._connections):
            connection.close()

    def reset(self) -> None:
        """Reset to an empty record, no planned stalls, initial tokens, a new shop.

        Requests in flight belong to the old record.
        """
        self.recorder = Recorder(self.options.max_rows)
        self.routing.restart(self.recorder)
        self.captures_left = self.options.capture
        self.captured = []
        self._accepted = 0
        self.tokens.restart()
        self.shop.reset(ShopOptions())
        self.stall.forget()
        self._stall_pending = self.options.stall_after is not None

    def connection_opened(self, connection: Connection) -> int:
        """Record a connection; return its number."""
        self._connections.add(connection)
        self._accepted += 1
        self._numbered += 1
        return self._numbered

    def connection_closed(self, connection: Connection) -> None:
        """Record that a connection is closed."""
        self._connections.discard(connection)

    def connection_measures(self) -> None:
        """Exclude a connection from the counts because it carries measurement routes."""
        self._accepted = max(0, self._accepted - 1)

    def request_counted(self) -> None:
        """Record a counted request: the first one starts the timer of a scheduled stall."""
        if self._stall_pending and self.options.stall_after is not None:
            self._stall_pending = False
            self.stall.schedule(self.options.stall_after, self.options.stall_seconds)

    def capture(self, exchange: Exchange) -> None:
        """Store the raw bytes of a request for `GET /__captured__`."""
        self.captures_left -= 1
        self.captured.append((exchange, exchange.raw))

    def stats(self) -> dict[str, Any]:
        """What `Stats.from_json` reads."""
        document = self.recorder.counts()
        document["connections_accepted"] = self._accepted
        document["connections_open"] = sum(1 for connection in self._connections if connection.counted)
        document["tokens_issued"] = self.tokens.issued
        document["stalls"] = self.stall.count
        return document


def _bind(host: str, port: int, backlog: int) -> tuple[int, list[socket.socket]]:
    """Return listening sockets for a host, all on one port."""
    for _ in range(16):
        listeners: list[socket.socket] = []
        try:
            if host != "::1":
                listeners.append(_listener(socket.AF_INET, "127.0.0.1" if host == "localhost" else host, port, backlog))
            if host in ("::1", "localhost"):
                taken = listeners[0].getsockname()[1] if listeners else port
                listeners.append(_listener(socket.AF_INET6, "::1", taken, backlog))
            return listeners[0].getsockname()[1], listeners
        except OSError as cause:
            for listener in listeners:
                listener.close()
            # A port that is free on IPv4 may be in use on IPv6: try another one.
            if port or host != "localhost" or cause.errno != errno.EADDRINUSE:
                raise _cannot_listen(host, port, cause) from cause
    raise TargetServerError(Problem("found no port that is free on both 127.0.0.1 and ::1", "port_in_use"))


def _listener(family: socket.AddressFamily, host: str, port: int, backlog: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _cannot_listen(host: str, port: int, cause: OSError) -> TargetServerError:
    if cause.errno == errno.EADDRINUSE:
        owner = port_owner(port)
        by = f" by process {owner.pid} ({owner.name})" if owner else ""
        return TargetServerError(
            Problem(
                f"port {port} on {host} is in use{by}",
                "port_in_use",
                hint=f"Take another port, such as {port + 1 if port < 65535 else 8000}, or 0 for a free one",
            )
        )
    if cause.errno == errno.EACCES:
        return TargetServerError(
            Problem(f"port {port} on {host} needs more rights", "port_not_allowed", hint="Take a port above 1023")
        )
    return TargetServerError(Problem(f"cannot listen on {host} port {port}: {cause.strerror}", "cannot_listen"))


def _tls_context(options: ServerOptions) -> ssl.SSLContext:
    if options.certificate_file is None:
        raise TargetServerError(
            Problem("TLS needs a certificate", "no_certificate", hint="Give certificate_file and key_file")
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(options.certificate_file, options.key_file)
        if options.client_ca_file is not None:
            context.load_verify_locations(options.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as cause:
        raise TargetServerError(
            Problem(f"the TLS certificate does not load: {cause}", "bad_certificate", place=options.certificate_file)
        ) from cause
    return context
