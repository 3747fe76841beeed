"""TLS of a server of ours: a connection is nothing but a handshake first, which has its own time."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import suppress
from typing import Any, cast

from atm.http_connection.certificate import ServerCertificate
from atm.http_connection.connection import make_room

log = logging.getLogger("atm.http")

HANDSHAKE_SECONDS = 10.0
"""From the connection to the end of its handshake."""


class TlsConnection(asyncio.Protocol):
    """Makes the handshake, then hands the connection to `http`. It counts as a connection that waits."""

    http: type[asyncio.Protocol]
    """uvicorn's protocol of what is inside of TLS; subclasses name it."""
    waits = True

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        """As uvicorn makes its protocols; `config` is a ServerConfig with a certificate."""
        self._options = {"config": config, "server_state": server_state, "app_state": app_state, "_loop": _loop}
        self._certificate: ServerCertificate = config.certificate
        self._most: int | None = config.limit_concurrency
        self._connections: set[Any] = server_state.connections
        self._loop: asyncio.AbstractEventLoop = _loop or asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self.since = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, where there is room."""
        # What says so in HTTP would need a handshake first.
        if make_room(self._connections, self._most):
            # A transport may have read a part of the handshake before another protocol is set, so the socket itself
            # is what goes on.
            self._socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
            self._socket.setblocking(False)
            self._connections.add(self)
            self._task = self._loop.create_task(self._shake_hands(self._socket))
        cast("asyncio.Transport", transport).abort()

    def end(self) -> None:
        """At once, for another one."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def shutdown(self) -> None:
        """The server ends."""
        self.end()

    async def _shake_hands(self, opened: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: self.http(**self._options),
                opened,
                ssl=self._certificate.context(),
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
        except OSError as error:
            # No TLS, another version of it, no trust in our certificate, no end in time: all the client's.
            log.debug("a handshake failed: %s", error)
        finally:
            self._connections.discard(self)
            self._socket = None
