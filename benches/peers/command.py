"""The nouns between the harness and a client: what load is asked for, which command makes it, and what it prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from benches.measure import ROOT


class Protocol(StrEnum):
    """What is spoken on the wire."""

    HTTP1 = "HTTP/1.1"
    TLS = "HTTP/1.1 over TLS 1.3"
    HTTP2 = "HTTP/2 over TLS 1.3"
    HTTP2_CLEAR = "HTTP/2 without TLS"


@dataclass(frozen=True, slots=True)
class Closed:
    """As fast as the answers come: `connections` × `streams` requests in flight for `seconds`."""

    url: str
    protocol: Protocol
    connections: int
    streams: int
    seconds: int
    scratch: Path
    """A folder for files that the tool needs; it runs in it."""


@dataclass(frozen=True, slots=True)
class Paced:
    """`rate` requests per second for `seconds`, over HTTP/1.1 with at most `connections` in flight."""

    url: str
    rate: int
    connections: int
    seconds: int
    scratch: Path
    """As with `Closed`."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a tool left behind at its end: what it printed, and the folder that it ran in."""

    stdout: str
    scratch: Path


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, what its environment has besides ours, and the exit statuses that mean that it went well."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    good_statuses: tuple[int, ...] = (0,)

    def shown(self) -> str:
        """As one would type it in the checkout; for the record."""
        words = [Path(self.argv[0]).name, *(word.replace(f"{ROOT}/", "") or "''" for word in self.argv[1:])]
        return " ".join([*(f"{name}={value}" for name, value in self.environment.items()), *words])


@dataclass(frozen=True, slots=True)
class Printed:
    """The response times that a tool prints at the end, in milliseconds; None for those that it does not print."""

    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    p99_9: float | None = None
    maximum: float | None = None
