"""Compare the printed response times of each tool with true values, for two servers.

*Known delays*: 98 of 100 responses after 1 ms, the others after 50 ms; the server's record has the true values.

*A pause*: the server's process is frozen for 2 s. A user who arrives during the pause waits until it ends and until
earlier users are served. The true values follow in closed form from the requested schedule, the start and end of the
pause, and the server's responses after it, in order.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from atm.testing import TargetServer
from atm.testing.target_server.record import RequestRow
from benches.measure import MeasurementError
from benches.peers.clients import Client, PacedClient
from benches.peers.closed_rows import CLIENT_CPU
from benches.peers.command import Closed, Command, Output, Paced, Printed, Protocol
from benches.peers.paced_rows import target_on_its_core, wait_for_first
from benches.peers.processes import ClientProcess
from benches.peers.tool_output import percentile

RATE = 500
SECONDS = 10
CONNECTIONS = 50
PAUSE_AFTER_SECONDS = 4.0
PAUSE_SECONDS = 2.0
CLIENTS = (
    "wrk",
    "h2load",
    "hey",
    "vegeta",
    "oha",
    "k6",
    "autocannon",
    "Locust FastHttpUser",
    "atm native",
    "atm asyncio",
)
_GRACE_SECONDS = 30.0
_TOLERANCE = 0.01


class Case(StrEnum):
    """The kind of comparison."""

    DELAYS = "delays"
    PAUSE = "pause"


PATHS = {Case.DELAYS: "/bimodal?fast_ms=1&slow_ms=50&share=0.02", Case.PAUSE: "/"}


@dataclass(frozen=True, slots=True)
class TruthSample:
    """Printed and true values, in milliseconds."""

    command: str
    closed: bool
    """The tool has no fixed rate and used the closed model."""
    due: int | None
    """Number of requests at the requested rate; None for the closed model."""
    received: int
    printed: Printed
    truth: Printed


def measure(client: Client, case: Case) -> TruthSample:
    """Run a client once. Raises MeasurementError if it fails."""
    with TargetServer() as target, tempfile.TemporaryDirectory(prefix="atm-peers-") as name:
        target_on_its_core(target)
        scratch = Path(name)
        command, closed = _command(client, target.url + PATHS[case], scratch)
        with ClientProcess(command, CLIENT_CPU, scratch) as process:
            frozen = (0, 0)
            if case is Case.PAUSE:
                wait_for_first(process, target)
                time.sleep(PAUSE_AFTER_SECONDS)
                freeze = target.pause(PAUSE_SECONDS)
                freeze.wait()
                frozen = (freeze.began_ns, freeze.ended_ns)
            stdout = process.wait(SECONDS + _GRACE_SECONDS)
        try:
            said = client.printed(Output(stdout, scratch))
        except (LookupError, ValueError, TypeError) as error:
            raise MeasurementError(f"what it printed could not be read: {error!r}") from error
        rows = target.record()
    if not rows:
        raise MeasurementError("sent nothing")
    truth = served(rows) if case is Case.DELAYS else waited(rows, frozen)
    return TruthSample(command.shown(), closed, None if closed else RATE * SECONDS, len(rows), said, truth)


def served(rows: Sequence[RequestRow]) -> Printed:
    """Return the times of the server, from a request's arrival to the last byte of its response."""
    return _percentiles([row.service_ns for row in rows if row.service_ns is not None])


def waited(rows: Sequence[RequestRow], frozen: tuple[int, int]) -> Printed:
    """Return the waiting times of users who arrive evenly at the requested rate while the server is frozen from
    `frozen[0]` to `frozen[1]` (ns). The k-th user after the start of the pause gets the k-th response after it; if the
    tool sent too few or too many requests for that, a response directly after the pause."""
    began, thawed = frozen
    first = min(row.arrived_ns for row in rows)
    gap = 1e9 / RATE
    before = [row.service_ns for row in rows if row.service_ns is not None and row.arrived_ns < began - 2 * gap]
    usual = statistics.median(before) if before else 0.0
    answers = sorted(row.answered_ns for row in rows if row.answered_ns is not None and row.answered_ns > began)
    # A closed-model tool sends many more requests than were due: its k-th request is not that of the k-th user.
    all_sent = abs(len(rows) / (RATE * SECONDS) - 1) <= _TOLERANCE
    waits = []
    behind = 0
    for number in range(RATE * SECONDS):
        due = first + number * gap
        if due < began:
            waits.append(usual)
            continue
        served_at = answers[behind] if all_sent and behind < len(answers) else thawed + usual
        behind += 1
        waits.append(max(served_at - due, usual))
    return _percentiles(waits)


def _percentiles(nanoseconds: Sequence[float]) -> Printed:
    ordered = sorted(value / 1e6 for value in nanoseconds)
    p50, p90, p99, p99_9 = (percentile(ordered, share) for share in (50, 90, 99, 99.9))
    return Printed(p50, p90, p99, p99_9, ordered[-1])


def _command(client: Client, url: str, scratch: Path) -> tuple[Command, bool]:
    if isinstance(client, PacedClient):
        return client.paced(Paced(url, RATE, CONNECTIONS, SECONDS, scratch)), False
    closed = client.closed(Closed(url, Protocol.HTTP1, CONNECTIONS, 1, SECONDS, scratch))
    if closed is None:
        raise MeasurementError("does not speak HTTP/1.1")
    return closed, True
