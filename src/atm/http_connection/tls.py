"""TLS connections of our servers: the handshake, with its own timeout, before uvicorn's protocol."""

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
    """Performs the handshake, then hands the connection to `http`. Until then it counts as an idle connection."""

    http: type[asyncio.Protocol]
    """uvicorn's protocol inside TLS, set by subclasses."""
    is_idle = True

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        """Called by uvicorn; `config` is a ServerConfig with a certificate."""
        self._options = {"config": config, "server_state": server_state, "app_state": app_state, "_loop": _loop}
        self._certificate: ServerCertificate = config.certificate
        self._most: int | None = config.limit_concurrency
        self._connections: set[Any] = server_state.connections
        self._loop: asyncio.AbstractEventLoop = _loop or asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self.idle_since = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake, or close the connection at the limit."""
        # No 503 response, which would need a handshake first.
        if make_room(self._connections, self._most):
            # The transport could read a part of the handshake before its protocol is replaced, so the socket is
            # duplicated and the transport closed.
            self._socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
            self._socket.setblocking(False)
            self._connections.add(self)
            self._task = self._loop.create_task(self._shake_hands(self._socket))
        cast("asyncio.Transport", transport).abort()

    def end(self) -> None:
        """Close at once, to make room for another connection."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def shutdown(self) -> None:
        """Close on server shutdown."""
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
            # Caused by the client: no TLS, another version, an untrusted certificate, or a timeout.
            log.debug("a handshake failed: %s", error)
        finally:
            self._connections.discard(self)
            self._socket = None
