"""The closed rows: what a request costs a client while nginx answers as fast as it can.

The figures are taken between two moments of steady traffic. Requests are counted by nginx, CPU time by the kernel over
the client's whole session: neither its start nor what it says about itself plays a part.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benches.measure import MeasurementError
from benches.peers import instructions
from benches.peers.clients import Client
from benches.peers.command import Closed, Protocol
from benches.peers.nginx import Count, Nginx
from benches.peers.processes import ClientProcess

CLIENT_CPU, SERVER_CPU = 0, 1
_SPARE_SECONDS = 45
"""A client is asked to run so much longer than the window; it is killed when the window is over."""
_FIRST_REQUESTS_SECONDS = 20.0
_SETTLE_SECONDS = 0.7
_STEADY_AFTER_REQUESTS = 128


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of closed load: who takes part, and who is the measure."""

    key: str
    title: str
    protocol: Protocol
    path: str
    connections: int
    streams: int
    clients: tuple[str, ...]
    baseline: str
    long_window: bool = False

    def url(self, nginx: Nginx) -> str:
        """Where it is served."""
        ports = nginx.ports
        scheme, port = {
            Protocol.HTTP1: ("http", ports.plain),
            Protocol.TLS: ("https", ports.tls),
            Protocol.HTTP2: ("https", ports.http2),
            Protocol.HTTP2_CLEAR: ("http", ports.http2_clear),
        }[self.protocol]
        return f"{scheme}://127.0.0.1:{port}{self.path}"


@dataclass(frozen=True, slots=True)
class ClosedSample:
    """One window of steady traffic. CPU in seconds, memory in bytes; instructions per request where counted."""

    command: str
    requests: int
    seconds: float
    cpu_user: float
    cpu_system: float
    nginx_cpu: float
    memory_bytes: int
    user_instructions: float | None = None
    kernel_instructions: float | None = None

    @property
    def cpu_per_100k(self) -> float:
        """CPU seconds of the client per 100,000 requests."""
        return (self.cpu_user + self.cpu_system) / self.requests * 100_000

    @property
    def rate(self) -> float:
        """Requests per second that nginx counted."""
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
    """How long to watch, in which control group, and for how long to count instructions beside (0: not)."""

    seconds: float
    group: Path | None = None
    instructions_seconds: float = 0.0


def measure(client: Client, scenario: Scenario, nginx: Nginx, window: Window) -> ClosedSample:
    """One window of one client. Raises MeasurementError when it sends nothing, stops early or cannot do that."""
    with tempfile.TemporaryDirectory(prefix="atm-peers-") as folder:
        command = client.closed(_load(scenario, nginx, window, Path(folder)))
        if command is None:
            raise MeasurementError("does not speak this")
        with ClientProcess(command, CLIENT_CPU, Path(folder), window.group) as process:
            _wait_until_steady(process, nginx)
            before, used_before = nginx.count(), process.usage()
            time.sleep(window.seconds)
            after, used_after = nginx.count(), process.usage()
            if not process.running:
                raise MeasurementError(f"ended while it was measured: {process.said()}")
            memory = process.peak_memory_bytes()
            user, kernel = _instructions(process, nginx, window)
    used = used_after.since(used_before)
    requests, seconds = after.requests - before.requests, after.at_seconds - before.at_seconds
    if requests <= 0:
        raise MeasurementError("sent nothing while it was measured")
    cpu = after.cpu_seconds - before.cpu_seconds
    return ClosedSample(command.shown(), requests, seconds, used.user, used.system, cpu, memory, user, kernel)


def _load(scenario: Scenario, nginx: Nginx, window: Window, scratch: Path) -> Closed:
    seconds = int(window.seconds + window.instructions_seconds + _SPARE_SECONDS)
    return Closed(scenario.url(nginx), scenario.protocol, scenario.connections, scenario.streams, seconds, scratch)


def _wait_until_steady(process: ClientProcess, nginx: Nginx) -> None:
    start: Count = nginx.count()
    deadline = time.monotonic() + _FIRST_REQUESTS_SECONDS
    while nginx.count().requests - start.requests < _STEADY_AFTER_REQUESTS:
        if not process.running:
            raise MeasurementError(f"ended before it sent anything: {process.said()}")
        if time.monotonic() > deadline:
            raise MeasurementError(f"sent next to nothing in {_FIRST_REQUESTS_SECONDS:g} s: {process.said()}")
        time.sleep(0.05)
    time.sleep(_SETTLE_SECONDS)


def _instructions(process: ClientProcess, nginx: Nginx, window: Window) -> tuple[float | None, float | None]:
    if window.instructions_seconds <= 0:
        return None, None
    before = nginx.count()
    counted = instructions.count(process.pids(), window.instructions_seconds)
    after = nginx.count()
    # perf needs a while to attach, so the rate over both is what its own window is held against.
    rate = (after.requests - before.requests) / (after.at_seconds - before.at_seconds)
    return counted.user / counted.seconds / rate, counted.kernel / counted.seconds / rate
