"""What a server of closed rows offers: ports, and a count of its requests with its CPU time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol as Interface

from benches.peers.command import Protocol


@dataclass(frozen=True, slots=True)
class Count:
    """State of a server at one point in time: requests so far, and CPU seconds of the process that answers."""

    at_seconds: float
    requests: int
    cpu_seconds: float


class Server(Interface):
    """A running server on 127.0.0.1."""

    @property
    def name(self) -> str:
        """Its name in tables."""
        ...

    def port(self, protocol: Protocol) -> int:
        """Return the port of a protocol. Raises KeyError for one that it does not speak."""
        ...

    def count(self) -> Count:
        """Return its state, without the requests of this question."""
        ...
