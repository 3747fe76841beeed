"""uvicorn's HTTP protocol with the owner of each local connection, looked up when the connection opens."""

from __future__ import annotations

import asyncio
from typing import Any

from atm.access.peers import owner_of
from atm.api.local_access import PEER_OWNER
from atm.http_connection import Connection, TlsConnection


class OwnedConnection:
    """Mixin for a protocol of uvicorn: puts the uid of the peer process into the state of its requests."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look up the owner before the first byte is read."""
        super().connection_made(transport)  # type: ignore[misc]  # of the protocol that this is mixed into
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        is_tcp = isinstance(peer, tuple) and isinstance(local, tuple)
        owner = owner_of((peer[0], peer[1]), (local[0], local[1])) if is_tcp else None
        # A copy: the dictionary is shared by all connections.
        self.app_state = {**self.app_state, PEER_OWNER: owner}


class HttpProtocol(OwnedConnection, Connection):
    """The protocol of `atm serve`."""


class HttpsProtocol(TlsConnection):
    """The protocol of `atm serve` over TLS."""

    http = HttpProtocol
