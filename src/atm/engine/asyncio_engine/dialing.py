"""Opening connections: through an origin's addresses in turn, through a proxy, with TLS on top."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import replace
from time import monotonic_ns
from typing import TYPE_CHECKING

from atm.engine.asyncio_engine.connection import Connection
from atm.engine.asyncio_engine.words import connect_failure, tls_failure
from atm.engine.resolve import addresses_of
from atm.engine.tls import client_context
from atm.models.outcome import Outcome
from atm.plan.load_plan import LoadPlan, Origin

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.run import Run
    from atm.engine.asyncio_engine.user import User

_LONGEST_PROXY_HEAD = 65_536
_HANDSHAKE_SECONDS = 3_600.0
"""The loop's own limit must never be the first: the request's timeout covers the handshake."""


class DialError(Exception):
    """A connection could not be opened: how the request that needed it ends."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.message = message


class Dialer:
    """Opens the connections of a run. `origins` are the plan's, and those that redirects have led to since."""

    def __init__(self, run: Run, plan: LoadPlan, secrets: Mapping[str, str]) -> None:
        self._run = run
        self._secrets = secrets
        self._proxy = plan.connections.proxy
        self._tls = plan.connections.tls
        self.origins: list[Origin] = list(plan.origins)
        self._resolving: dict[int, asyncio.Task[Origin]] = {}
        self._turns: dict[Origin, int] = {}
        self._context: ssl.SSLContext | None = None
        if any(origin.scheme == "https" for origin in plan.origins):
            self._context = self._tls_context()

    def dial(self, user: User, origin: int) -> asyncio.Task[None]:
        """Open a connection for the request that `user` is at; it hears of it by `connected` or `failed`."""
        task = self._run.loop.create_task(self._dial(user, origin))
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._run.crash(error)

    async def _dial(self, user: User, index: int) -> None:
        try:
            connection = await self._open(user, index)
        except DialError as error:
            user.dial = None
            user.failed(error.outcome, error.message, monotonic_ns())
        else:
            user.connected(connection)

    async def _open(self, user: User, index: int) -> Connection:
        origin = self.origins[index]
        if not self._proxy and not origin.addresses:
            origin = await self._resolved(index)
        rules = self._run.plan.connections.targets
        if self._proxy and rules and (refusal := rules.refusal_of_name(origin.host)):
            raise DialError(Outcome.DNS_ERROR, refusal)
        hop = self._proxy.origin if self._proxy else origin
        if not hop.addresses:
            raise DialError(Outcome.DNS_ERROR, hop.resolve_error)
        plain = await self._connected(hop)
        connection = Connection(self._run, user, index)
        try:
            if origin.scheme == "https":
                if self._proxy:
                    await self._tunnel(plain, origin)
                await self._secured(plain, origin, connection)
            else:
                await self._run.loop.create_connection(lambda: connection, sock=plain)
        except BaseException:
            plain.close()
            raise
        return connection

    async def _connected(self, hop: Origin) -> socket.socket:
        turn = self._turns.get(hop, 0)
        self._turns[hop] = turn + 1
        address = hop.addresses[turn % len(hop.addresses)]
        health = self._run.health
        health.dials += 1
        began = monotonic_ns()
        try:
            plain = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        except OSError as error:
            raise DialError(*connect_failure(error)) from None
        try:
            plain.setblocking(False)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._run.loop.sock_connect(plain, (address, hop.connect_port or hop.port))
        except OSError as error:
            plain.close()
            raise DialError(*connect_failure(error)) from None
        except BaseException:
            plain.close()
            raise
        health.connected(monotonic_ns() - began)
        return plain

    async def _secured(self, plain: socket.socket, origin: Origin, connection: Connection) -> None:
        if self._context is None:
            # A redirect has led from a plan without https to an origin with it.
            self._context = self._tls_context()
        loop = self._run.loop
        began = monotonic_ns()
        # In two steps, so that there is a transport to abort: the loops close half a handshake only in their own time.
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
        self._run.health.secured(monotonic_ns() - began)

    async def _tunnel(self, plain: socket.socket, origin: Origin) -> None:
        """CONNECT (RFC 9110, section 9.3.6) through the proxy that `plain` leads to."""
        assert self._proxy is not None
        name = f"[{origin.host}]" if ":" in origin.host else origin.host
        target = f"{name}:{origin.port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self._proxy.authorization_slot:
            lines.append(f"Proxy-Authorization: {self._secrets[self._proxy.authorization_slot]}")
        loop = self._run.loop
        answer = b""
        try:
            await loop.sock_sendall(plain, "\r\n".join((*lines, "", "")).encode())
            while b"\r\n\r\n" not in answer and len(answer) < _LONGEST_PROXY_HEAD:
                # One byte more than the head would already be the target's; the proxy sends it only after ours.
                data = await loop.sock_recv(plain, 4096)
                if not data:
                    raise DialError(Outcome.CONNECT_ERROR, "proxy closed the connection")
                answer += data
        except OSError as error:
            raise DialError(Outcome.CONNECT_ERROR, f"proxy: {connect_failure(error)[1]}") from None
        status = re.match(rb"HTTP/1\.\d (\d{3})", answer)
        if not status:
            raise DialError(Outcome.CONNECT_ERROR, "proxy did not answer in HTTP")
        if not status[1].startswith(b"2"):
            raise DialError(Outcome.CONNECT_ERROR, f"proxy answered {status[1].decode()} to CONNECT")

    def origin_of(self, scheme: str, host: str, port: int) -> int:
        """The index of an origin that a redirect names; a new one is resolved when it is dialled."""
        for index, origin in enumerate(self.origins):
            if (origin.scheme, origin.host, origin.port) == (scheme, host, port):
                return index
        assert scheme in ("http", "https")
        self.origins.append(Origin("https" if scheme == "https" else "http", host, port))
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
            task = self._resolving[index] = self._run.loop.create_task(self._resolve(index))
        return await asyncio.shield(task)

    async def _resolve(self, index: int) -> Origin:
        origin = self.origins[index]
        began = monotonic_ns()
        addresses, error = await self._run.loop.run_in_executor(
            None, addresses_of, origin.host, origin.port, self._run.plan.connections.targets
        )
        self._run.health.resolved(monotonic_ns() - began)
        self.origins[index] = replace(origin, addresses=addresses, resolve_error=error)
        return self.origins[index]
