"""The connections of one user, at most one per origin, and the process's limit of connections."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from time import monotonic_ns

from atm.engine.asyncio_engine.transport.connection import Connection
from atm.engine.asyncio_engine.transport.dialer import Dialer, DialError
from atm.engine.asyncio_engine.transport.exchange import Exchange

MOST_CONNECTIONS = 10_000
_RESERVE = 128
"""File descriptors reserved for other uses: the loop, logs, the terminal, a database."""


class Pool:
    """Holds connections by origin, and dials for exchanges, one at a time."""

    __slots__ = ("_crash", "_dial", "_dialer", "_loop", "by_origin")

    def __init__(self, loop: asyncio.AbstractEventLoop, dialer: Dialer, crash: Callable[[BaseException], None]) -> None:
        """`crash` is called for a defect in dialling, as opposed to a failed request."""
        self._loop = loop
        self._dialer = dialer
        self._crash = crash
        self.by_origin: dict[int, Connection] = {}
        """The open connections; to send, use one of them or call `dial`."""
        self._dial: asyncio.Task[None] | None = None

    def dial(self, exchange: Exchange, origin: int) -> None:
        """Send an exchange on a new connection."""
        self._dial = self._loop.create_task(self._send_on_new(exchange, origin))
        self._dial.add_done_callback(self._dial_ended)

    def remove(self, connection: Connection) -> bool:
        """Remove `connection`; return whether it was in the pool."""
        if self.by_origin.get(connection.origin) is connection:
            del self.by_origin[connection.origin]
            return True
        return False

    def abort(self, origin: int) -> Connection | None:
        """Abort the dial or exchange in progress; return the connection of the latter, now closed."""
        if self._dial is not None:
            self._dial.cancel()
            self._dial = None
            return None
        connection = self.by_origin.get(origin)
        if connection is not None:
            connection.abandon()
        return connection

    def close(self) -> None:
        """Close every connection of a user without a request."""
        for connection in list(self.by_origin.values()):
            connection.abandon()

    async def _send_on_new(self, exchange: Exchange, origin: int) -> None:
        try:
            connection = await self._dialer.open(origin, self)
        except DialError as error:
            self._dial = None
            exchange.failed(error.outcome, error.message, monotonic_ns())
        else:
            self._dial = None
            self.by_origin[origin] = connection
            connection.send(exchange)

    def _dial_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crash(error)


def connection_ceiling() -> int:
    """Return how many connections a run may have. Raises the soft limit of open files as far as permitted."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    wanted = MOST_CONNECTIONS + _RESERVE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(MOST_CONNECTIONS, soft - _RESERVE))
