"""Open connections: try an origin's addresses in turn, through a proxy if set, with TLS on top."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import monotonic_ns

from atm.engine.asyncio_engine.transport.connection import Connection, Owner
from atm.engine.asyncio_engine.transport.exchange import ConnectionEvents
from atm.engine.asyncio_engine.transport.failures import connect_failure, tls_failure
from atm.engine.asyncio_engine.transport.reading_limits import ReadingLimits
from atm.engine.resolve import allowed_of, is_address, look_up
from atm.engine.tls import client_context
from atm.models.outcome import Outcome
from atm.plan.load_plan import LoadPlan, Origin

_PROXY = -1
"""Denotes the proxy in place of an origin's index."""
_LONGEST_PROXY_HEAD = 65_536
_HANDSHAKE_SECONDS = 3_600.0
"""Above every request timeout, which covers the handshake; the loop's own limit must not apply first."""


class DialError(Exception):
    """A connection could not be opened; carries the outcome of the request that needed it."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.message = message


class Dialer:
    """Opens the connections of a run. `origins` are the plan's, and those added by redirects.

    Only addresses allowed by the plan's target rules are dialled, whenever a name is resolved.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        plan: LoadPlan,
        secrets: Mapping[str, str],
        events: ConnectionEvents,
        limits: ReadingLimits,
    ) -> None:
        """Raises EngineError if the plan's certificates cannot be used."""
        self._loop = loop
        self._secrets = secrets
        self._events = events
        self._limits = limits
        self._proxy = plan.connections.proxy
        self._rules = plan.connections.targets
        self._tls = plan.connections.tls
        self._resolve_every_ns = plan.connections.resolve_every_ns
        self.origins: list[Origin] = list(plan.origins)
        self._resolving: dict[int, asyncio.Task[Origin]] = {}
        self._turns: dict[int, int] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._context: ssl.SSLContext | None = None
        if any(origin.scheme == "https" for origin in plan.origins):
            self._context = self._tls_context()

    def start(self, crash: Callable[[BaseException], None]) -> None:
        """Start re-resolving names at the plan's interval, if any. A defect is reported to `crash`."""
        if self._resolve_every_ns is None:
            return

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                crash(error)

        self._renewing = self._loop.create_task(self._renew_forever(self._resolve_every_ns / 1e9))
        self._renewing.add_done_callback(ended)

    async def open(self, index: int, owner: Owner) -> Connection:
        """Open a new connection to an origin. Raises DialError on failure."""
        origin = self.origins[index]
        if not self._proxy and not origin.addresses:
            origin = await self._resolved(index)
        if self._proxy and self._rules and (refusal := self._rules.refusal_of_name(origin.host)):
            raise DialError(Outcome.DNS_ERROR, refusal)
        place = _PROXY if self._proxy else index
        hop = self._place(place)
        if not hop.addresses:
            raise DialError(Outcome.DNS_ERROR, hop.resolve_error)
        plain = await self._connected(place, hop)
        connection = Connection(self._limits, self._events, owner, index)
        try:
            if origin.scheme == "https":
                if self._proxy:
                    await self._tunnel(plain, origin)
                await self._secured(plain, origin, connection)
            else:
                await self._loop.create_connection(lambda: connection, sock=plain)
        except BaseException:
            plain.close()
            raise
        return connection

    async def _connected(self, place: int, hop: Origin) -> socket.socket:
        turn = self._turns.get(place, 0)
        self._turns[place] = turn + 1
        address = hop.addresses[turn % len(hop.addresses)]
        self._events.dialled()
        began = monotonic_ns()
        try:
            plain = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        except OSError as error:
            raise DialError(*connect_failure(error)) from None
        try:
            plain.setblocking(False)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.sock_connect(plain, (address, hop.connect_port or hop.port))
        except OSError as error:
            plain.close()
            raise DialError(*connect_failure(error)) from None
        except BaseException:
            plain.close()
            raise
        self._events.connected(monotonic_ns() - began)
        return plain

    async def _secured(self, plain: socket.socket, origin: Origin, connection: Connection) -> None:
        if self._context is None:
            # A redirect has led from a plan without https to an https origin.
            self._context = self._tls_context()
        loop = self._loop
        began = monotonic_ns()
        # In two steps, so that there is a transport to abort: the loops are slow to close a half-finished handshake.
        raw, _ = await loop.create_connection(asyncio.Protocol, sock=plain)
        try:
            secure = await loop.start_tls(
                raw,
                connection,
                self._context,
                server_hostname=self._tls.server_name or origin.host,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            )
        except (OSError, ssl.CertificateError) as error:
            raw.abort()
            raise DialError(Outcome.TLS_ERROR, tls_failure(error)) from None
        except BaseException:
            raw.abort()
            raise
        if secure is None:
            raise DialError(Outcome.TLS_ERROR, "closed during the handshake")
        connection.connection_made(secure)
        self._events.secured(monotonic_ns() - began)

    async def _tunnel(self, plain: socket.socket, origin: Origin) -> None:
        """Open a tunnel with CONNECT (RFC 9110, section 9.3.6) through the proxy that `plain` is connected to."""
        assert self._proxy is not None
        name = f"[{origin.host}]" if ":" in origin.host else origin.host
        target = f"{name}:{origin.port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self._proxy.authorization_slot:
            lines.append(f"Proxy-Authorization: {self._secrets[self._proxy.authorization_slot]}")
        loop = self._loop
        reply = b""
        try:
            await loop.sock_sendall(plain, "\r\n".join((*lines, "", "")).encode())
            while b"\r\n\r\n" not in reply and len(reply) < _LONGEST_PROXY_HEAD:
                # Bytes after the head would be the target's, which sends none before the client does.
                data = await loop.sock_recv(plain, 4096)
                if not data:
                    raise DialError(Outcome.CONNECT_ERROR, "proxy closed the connection")
                reply += data
        except OSError as error:
            raise DialError(Outcome.CONNECT_ERROR, f"proxy: {connect_failure(error)[1]}") from None
        status = re.match(rb"HTTP/1\.\d (\d{3})", reply)
        if not status:
            raise DialError(Outcome.CONNECT_ERROR, "proxy did not answer in HTTP")
        if not status[1].startswith(b"2"):
            raise DialError(Outcome.CONNECT_ERROR, f"proxy answered {status[1].decode()} to CONNECT")

    def origin_of(self, scheme: str, host: str, port: int) -> int:
        """Return the index of a redirect's origin; a new one is resolved when it is dialled."""
        for index, origin in enumerate(self.origins):
            if (origin.scheme, origin.host, origin.port) == (scheme, host, port):
                return index
        assert scheme in ("http", "https")
        refusal = self._rules.refusal_of_name(host) if self._rules else ""
        self.origins.append(Origin("https" if scheme == "https" else "http", host, port, resolve_error=refusal))
        return len(self.origins) - 1

    def _tls_context(self) -> ssl.SSLContext:
        context = client_context(self._tls, self._secrets)
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def _resolved(self, index: int) -> Origin:
        origin = self.origins[index]
        if origin.resolve_error:
            return origin
        task = self._resolving.get(index)
        if task is None:
            task = self._resolving[index] = self._loop.create_task(self._resolve(index))
        return await asyncio.shield(task)

    async def _renew_forever(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            # The proxy resolves the origins behind it; their names may be unknown here.
            places = [_PROXY] if self._proxy else range(len(self.origins))
            await asyncio.gather(*(self._resolve(place) for place in places if not is_address(self._dialled(place)[0])))

    async def _resolve(self, place: int) -> Origin:
        host, port = self._dialled(place)
        began = monotonic_ns()
        resolved, error = await look_up(host, port)
        self._events.resolved(monotonic_ns() - began)
        addresses, refusal = allowed_of(host, resolved, self._rules)
        # A temporary resolver failure must not discard the known addresses; a name that now resolves to a forbidden
        # address must.
        if addresses or refusal or not self._place(place).addresses:
            self._put(place, replace(self._place(place), addresses=addresses, resolve_error=refusal or error))
        return self._place(place)

    def _place(self, place: int) -> Origin:
        if place != _PROXY:
            return self.origins[place]
        assert self._proxy is not None
        return self._proxy.origin

    def _put(self, place: int, origin: Origin) -> None:
        if place != _PROXY:
            self.origins[place] = origin
        elif self._proxy is not None:
            self._proxy = replace(self._proxy, origin=origin)

    def _dialled(self, place: int) -> tuple[str, int]:
        origin = self._place(place)
        return origin.connect_host or origin.host, origin.connect_port or origin.port
