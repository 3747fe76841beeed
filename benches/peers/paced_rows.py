"""Paced rows: the accuracy and evenness of the rate at the target, and its cost for the client.

The target server records the arrival of each request in nanoseconds.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from atm.testing import TargetServer
from benches.measure import MeasurementError
from benches.peers.clients import Client, PacedClient
from benches.peers.closed_rows import CLIENT_CPU, SERVER_CPU
from benches.peers.command import Paced
from benches.peers.processes import ClientProcess, Usage

RATES = (1_000, 5_000, 20_000)
CONNECTIONS = 50
SECONDS = 10
CLIENTS: dict[int, tuple[str, ...]] = {
    1_000: ("h2load", "vegeta", "oha", "k6", "atm native", "atm asyncio"),
    5_000: ("h2load", "vegeta", "oha", "k6", "atm native", "atm asyncio"),
    20_000: ("h2load", "vegeta", "oha", "atm native", "atm asyncio"),
}
"""wrk and ab have no rate. Excluded to save time: hey, Locust, autocannon, and rates beyond one core for a tool."""
BIN_NS = 10_000_000
FINE_BIN_NS = 1_000_000
_EDGE_SECONDS = 1.5
_FIRST_REQUEST_SECONDS = 20.0
_GRACE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PacedSample:
    """A paced run as recorded by the server."""

    command: str
    asked_rate: int
    seconds: int
    received: int
    rate: float
    """Slope of the line fitted through all arrivals, requests per second. The interval from first to last arrival would
    overestimate a tool that sends in bursts."""
    spread: float
    """Standard deviation of the arrivals per 10 ms, divided by their mean; 0 is even, a Poisson process has
    1/sqrt(mean)."""
    fine_spread: float
    """The same per 1 ms, which shows bursts at intervals of 10 ms."""
    cpu_per_100k: float
    """The client's CPU seconds per 100,000 requests, during steady traffic."""
    cpu_share: float
    """Share of one core, in that time."""


def target_on_its_core(target: TargetServer) -> None:
    """Pin a new target server to the server's core."""
    for thread in os.listdir(f"/proc/{target.pid}/task"):
        os.sched_setaffinity(int(thread), {SERVER_CPU})


def measure(client: Client, rate: int, seconds: int = SECONDS) -> PacedSample:
    """Measure a paced run. Raises MeasurementError if the client has no rate, fails, or sends almost nothing."""
    if not isinstance(client, PacedClient):
        raise MeasurementError("has no fixed rate")
    with TargetServer(max_rows=2 * rate * seconds) as target, tempfile.TemporaryDirectory(prefix="atm-peers-") as name:
        target_on_its_core(target)
        command = client.paced(Paced(f"{target.url}/", rate, CONNECTIONS, seconds, Path(name)))
        with ClientProcess(command, CLIENT_CPU, Path(name)) as process:
            wait_for_first(process, target)
            time.sleep(_EDGE_SECONDS)
            began_ns, before = time.monotonic_ns(), process.usage()
            time.sleep(seconds - 2 * _EDGE_SECONDS)
            used, ended_ns = process.usage().since(before), time.monotonic_ns()
            process.wait(_EDGE_SECONDS + _GRACE_SECONDS)
        arrivals = sorted(row.arrived_ns for row in target.record())
    return sample(command.shown(), rate, seconds, arrivals, used, (began_ns, ended_ns))


def sample(
    command: str, rate: int, seconds: int, arrivals: Sequence[int], used: Usage, watched_ns: tuple[int, int]
) -> PacedSample:
    """Compute the figures of a run from its arrivals (ns, in order) and the CPU time of the window."""
    began_ns, ended_ns = watched_ns
    while_watched = sum(1 for at in arrivals if began_ns <= at < ended_ns)
    if len(arrivals) < 3 or while_watched == 0:
        raise MeasurementError(f"sent only {len(arrivals)} requests")
    bins, fine_bins = per_bin(arrivals, BIN_NS), per_bin(arrivals, FINE_BIN_NS)
    return PacedSample(
        command=command,
        asked_rate=rate,
        seconds=seconds,
        received=len(arrivals),
        rate=slope(arrivals),
        spread=statistics.pstdev(bins) / statistics.fmean(bins),
        fine_spread=statistics.pstdev(fine_bins) / statistics.fmean(fine_bins),
        cpu_per_100k=used.total / while_watched * 100_000,
        cpu_share=used.total / ((ended_ns - began_ns) / 1e9),
    )


def slope(arrivals: Sequence[int]) -> float:
    """Return the arrivals per second, by least squares."""
    first = arrivals[0]
    if first == arrivals[-1]:
        raise MeasurementError(f"sent its {len(arrivals)} requests at one moment")
    # Regress time on number and invert: the number has no error, the arrival time has.
    return 1 / statistics.linear_regression(range(len(arrivals)), [(at - first) / 1e9 for at in arrivals]).slope


def per_bin(arrivals: Sequence[int], width_ns: int) -> list[int]:
    """Count the arrivals per bin from the first arrival; the last bin may be incomplete and is excluded."""
    first = arrivals[0]
    bins = [0] * max((arrivals[-1] - first) // width_ns, 1)
    for at in arrivals:
        place = (at - first) // width_ns
        if place < len(bins):
            bins[place] += 1
    return bins


def wait_for_first(process: ClientProcess, target: TargetServer) -> None:
    """Wait until the target has received a request. Raises MeasurementError on timeout."""
    deadline = time.monotonic() + _FIRST_REQUEST_SECONDS
    while target.stats().received == 0:
        if not process.running:
            raise MeasurementError(f"ended before it sent anything: {process.said()}")
        if time.monotonic() > deadline:
            raise MeasurementError(f"sent nothing in {_FIRST_REQUEST_SECONDS:g} s: {process.said()}")
        time.sleep(0.05)
