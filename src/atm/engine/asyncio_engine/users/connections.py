"""What a user needs of the transport: its connections, and the destinations of its requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from atm.engine.asyncio_engine.transport.exchange import Exchange, Response
from atm.plan.connections import Origin


class IdleConnection(Protocol):
    """An idle connection."""

    def send(self, exchange: Exchange) -> None: ...


class Connections(Protocol):
    """The connections of one user."""

    @property
    def by_origin(self) -> Mapping[int, IdleConnection]:
        """The open connections, by origin."""
        ...

    def dial(self, exchange: Exchange, origin: int) -> None:
        """Send a request on a new connection."""
        ...

    def abort(self, origin: int) -> Response | None:
        """Abort the request in flight; return the part of its response that was received."""
        ...

    def close(self) -> None: ...


class Origins(Protocol):
    """Destinations of requests, by index."""

    @property
    def origins(self) -> list[Origin]: ...
