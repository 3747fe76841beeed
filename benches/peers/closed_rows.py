"""Closed rows: the cost of a request for the client while a server responds as fast as it can.

The figures are measured during steady traffic. The server counts the requests, and the kernel the CPU time of the
client's whole session, so neither start-up nor the tool's own output affects them.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benches.measure import MeasurementError
from benches.peers import instructions
from benches.peers.clients import Client, PacedClient
from benches.peers.command import Closed, Command, Paced, Protocol
from benches.peers.processes import ClientProcess
from benches.peers.server import Count, Server

CLIENT_CPU, SERVER_CPU = 0, 1
_SPARE_SECONDS = 45
"""Seconds that a client is configured to run beyond the window; it is killed at the end of the window."""
_FIRST_REQUESTS_SECONDS = 20.0
_SETTLE_SECONDS = 0.7
_STEADY_AFTER_REQUESTS = 128


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of closed load: its clients and the baseline. With `rate` all clients send at that rate instead."""

    key: str
    title: str
    protocol: Protocol
    path: str
    connections: int
    streams: int
    clients: tuple[str, ...]
    baseline: str
    long_window: bool = False
    rate: int | None = None

    def url(self, server: Server) -> str:
        """Return the URL on a server."""
        scheme = "https" if self.protocol in (Protocol.TLS, Protocol.HTTP2) else "http"
        return f"{scheme}://127.0.0.1:{server.port(self.protocol)}{self.path}"


@dataclass(frozen=True, slots=True)
class ClosedSample:
    """One window of steady traffic. CPU in seconds, memory in bytes; instructions per request where counted."""

    command: str
    requests: int
    seconds: float
    cpu_user: float
    cpu_system: float
    server_cpu: float
    memory_bytes: int
    user_instructions: float | None = None
    kernel_instructions: float | None = None

    @property
    def cpu_per_100k(self) -> float:
        """The client's CPU seconds per 100,000 requests."""
        return (self.cpu_user + self.cpu_system) / self.requests * 100_000

    @property
    def rate(self) -> float:
        """Requests per second that the server counted."""
        return self.requests / self.seconds


CONSTANT, TEMPLATES = "atm native without templates", "atm native with templates"
_TEMPLATED = Scenario(
    "templates",
    "HTTP/1.1, a POST with templates in URL, header and body, 64 connections",
    Protocol.HTTP1,
    "/",
    64,
    1,
    (CONSTANT, TEMPLATES),
    CONSTANT,
)
_OURS = ("atm native", "atm asyncio")
SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "h1",
        "HTTP/1.1, 98-byte answer, 64 connections",
        Protocol.HTTP1,
        "/",
        64,
        1,
        (
            "wrk",
            "ab",
            "h2load",
            "hey",
            "vegeta",
            "oha",
            "k6",
            "autocannon",
            "Locust FastHttpUser",
            *_OURS,
        ),
        "wrk",
        long_window=True,
    ),
    Scenario(
        "tls",
        "HTTP/1.1 over TLS 1.3, 98-byte answer, 64 connections",
        Protocol.TLS,
        "/",
        64,
        1,
        ("wrk", "h2load", "hey", "oha", *_OURS),
        "wrk",
    ),
    Scenario(
        "h2",
        "HTTP/2 over TLS 1.3, 98-byte answer, 4 connections × 16 streams",
        Protocol.HTTP2,
        "/",
        4,
        16,
        ("h2load", "oha", "hey", "k6", "atm native"),
        "h2load",
    ),
    Scenario(
        "h2c",
        "HTTP/2 without TLS, 98-byte answer, 4 connections × 16 streams",
        Protocol.HTTP2_CLEAR,
        "/",
        4,
        16,
        ("h2load", "oha", "atm native"),
        "h2load",
    ),
    Scenario(
        "big",
        "HTTP/1.1, 10 KiB answer, 64 connections",
        Protocol.HTTP1,
        "/big",
        64,
        1,
        ("wrk", "h2load", "oha", *_OURS),
        "wrk",
    ),
    _TEMPLATED,
)
_FAST = ("wrk", "h2load", "oha", *_OURS)
AGAINST_RESPONDER: tuple[Scenario, ...] = (
    Scenario(
        "responder h1",
        "HTTP/1.1, 98-byte answer, 64 connections, minimal server",
        Protocol.HTTP1,
        "/",
        64,
        1,
        _FAST,
        "wrk",
        long_window=True,
    ),
    Scenario(
        "responder tls",
        "HTTP/1.1 over TLS 1.3, 98-byte answer, 64 connections, minimal server",
        Protocol.TLS,
        "/",
        64,
        1,
        _FAST,
        "wrk",
    ),
    Scenario(
        "responder big",
        "HTTP/1.1, 10 KiB answer, 64 connections, minimal server",
        Protocol.HTTP1,
        "/big",
        64,
        1,
        _FAST,
        "wrk",
    ),
    Scenario(
        "responder h2",
        "HTTP/2 over TLS 1.3, 98-byte answer, 4 connections × 16 streams, minimal server",
        Protocol.HTTP2,
        "/",
        4,
        16,
        ("h2load", "oha", "atm native"),
        "h2load",
    ),
    Scenario(
        "responder h2c",
        "HTTP/2 without TLS, 98-byte answer, 4 connections × 16 streams, minimal server",
        Protocol.HTTP2_CLEAR,
        "/",
        4,
        16,
        ("h2load", "oha", "atm native"),
        "h2load",
    ),
)
"""The rows in which the client is the limit: those whose server needs less CPU time than its client."""
AT_EQUAL_RATES: tuple[Scenario, ...] = tuple(
    Scenario(
        f"responder {rate}",
        f"HTTP/1.1, 98-byte answer, {rate:,} requests/s from every client, minimal server",
        Protocol.HTTP1,
        "/",
        50,
        1,
        clients,
        "h2load",
        rate=rate,
    )
    for rate, clients in (
        (10_000, ("h2load", "vegeta", "oha", *_OURS)),
        (50_000, ("h2load", "oha", "atm native")),
    )
)
"""The same server is equally busy for all clients, so that waking it weighs the same. Excluded: wrk, which has no rate,
and rates beyond one core for a tool."""
QUOTA = Scenario(
    "quota",
    "HTTP/1.1, 98-byte answer, 64 connections, every client under the same 40 % of one core",
    Protocol.HTTP1,
    "/",
    64,
    1,
    ("wrk", "oha", "k6", "Locust FastHttpUser", *_OURS),
    "wrk",
)


@dataclass(frozen=True, slots=True)
class Window:
    """Length of the window, control group, and seconds of instruction counting (0: none)."""

    seconds: float
    group: Path | None = None
    instructions_seconds: float = 0.0


def measure(client: Client, scenario: Scenario, server: Server, window: Window) -> ClosedSample:
    """Measure a window of a client. Raises MeasurementError if it sends nothing, stops early or lacks this load."""
    with tempfile.TemporaryDirectory(prefix="atm-peers-") as folder:
        command = _command(client, scenario, server, window, Path(folder))
        with ClientProcess(command, CLIENT_CPU, Path(folder), window.group) as process:
            _wait_until_steady(process, server)
            before, used_before = server.count(), process.usage()
            time.sleep(window.seconds)
            after, used_after = server.count(), process.usage()
            if not process.running:
                raise MeasurementError(f"ended while it was measured: {process.said()}")
            memory = process.peak_memory_bytes()
            user, kernel = _instructions(process, server, window)
    used = used_after.since(used_before)
    requests, seconds = after.requests - before.requests, after.at_seconds - before.at_seconds
    if requests <= 0:
        raise MeasurementError("sent nothing while it was measured")
    cpu = after.cpu_seconds - before.cpu_seconds
    return ClosedSample(command.shown(), requests, seconds, used.user, used.system, cpu, memory, user, kernel)


def _command(client: Client, scenario: Scenario, server: Server, window: Window, scratch: Path) -> Command:
    seconds = int(window.seconds + window.instructions_seconds + _SPARE_SECONDS)
    url, connections = scenario.url(server), scenario.connections
    if scenario.rate is not None:
        if not isinstance(client, PacedClient):
            raise MeasurementError("has no fixed rate")
        return client.paced(Paced(url, scenario.rate, connections, seconds, scratch))
    command = client.closed(Closed(url, scenario.protocol, connections, scenario.streams, seconds, scratch))
    if command is None:
        raise MeasurementError("does not speak this")
    return command


def _wait_until_steady(process: ClientProcess, server: Server) -> None:
    start: Count = server.count()
    deadline = time.monotonic() + _FIRST_REQUESTS_SECONDS
    while server.count().requests - start.requests < _STEADY_AFTER_REQUESTS:
        if not process.running:
            raise MeasurementError(f"ended before it sent anything: {process.said()}")
        if time.monotonic() > deadline:
            raise MeasurementError(f"sent next to nothing in {_FIRST_REQUESTS_SECONDS:g} s: {process.said()}")
        time.sleep(0.05)
    time.sleep(_SETTLE_SECONDS)


def _instructions(process: ClientProcess, server: Server, window: Window) -> tuple[float | None, float | None]:
    if window.instructions_seconds <= 0:
        return None, None
    before = server.count()
    counted = instructions.count(process.pids(), window.instructions_seconds)
    after = server.count()
    # perf takes a while to attach, so the request rate is measured over its whole run, not over its window only.
    rate = (after.requests - before.requests) / (after.at_seconds - before.at_seconds)
    return counted.user / counted.seconds / rate, counted.kernel / counted.seconds / rate
