"""Types between harness and clients: the requested load, the command, and its output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from benches.measure import ROOT


class Protocol(StrEnum):
    """Protocol on the wire."""

    HTTP1 = "HTTP/1.1"
    TLS = "HTTP/1.1 over TLS 1.3"
    HTTP2 = "HTTP/2 over TLS 1.3"
    HTTP2_CLEAR = "HTTP/2 without TLS"


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed load: `connections` × `streams` requests in flight for `seconds`."""

    url: str
    protocol: Protocol
    connections: int
    streams: int
    seconds: int
    scratch: Path
    """Directory for files that the tool needs; its working directory."""


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
    """Result of a finished tool: its output and its working directory."""

    stdout: str
    scratch: Path


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, additional environment variables, and the exit statuses of success."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    good_statuses: tuple[int, ...] = (0,)

    def shown(self) -> str:
        """Return the command as typed in the checkout, for the raw output."""
        words = [Path(self.argv[0]).name, *(word.replace(f"{ROOT}/", "") or "''" for word in self.argv[1:])]
        return " ".join([*(f"{name}={value}" for name, value in self.environment.items()), *words])


@dataclass(frozen=True, slots=True)
class Printed:
    """Response times printed by a tool, in milliseconds; None for those that it does not print."""

    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    p99_9: float | None = None
    maximum: float | None = None
