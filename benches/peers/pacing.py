"""The paced rows: does the rate that was asked for arrive, how evenly, and what does it cost the client.

The target server's own record says when each request arrived, in nanoseconds.
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
from benches.peers.closed import CLIENT_CPU, SERVER_CPU
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
"""wrk and ab have no rate. Left out to save time: hey, Locust, autocannon, and rates beyond one core for a tool."""
BIN_NS = 10_000_000
FINE_BIN_NS = 1_000_000
_EDGE_SECONDS = 1.5
_FIRST_REQUEST_SECONDS = 20.0
_GRACE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PacedSample:
    """One paced run as the server saw it."""

    command: str
    asked_rate: int
    seconds: int
    received: int
    rate: float
    """The slope of the straight line through all arrivals, requests per second. First to last would call a tool that
    sends in bursts faster than it is."""
    spread: float
    """Standard deviation of the arrivals per 10 ms, divided by their mean; 0 is even, a Poisson process has
    1/sqrt(mean)."""
    fine_spread: float
    """The same per 1 ms, where bursts show that come every 10 ms."""
    cpu_per_100k: float
    """CPU seconds of the client per 100,000 requests, between two moments of steady traffic."""
    cpu_share: float
    """Of one core, in that time."""


def target_on_its_core(target: TargetServer) -> None:
    """Hold a target server that has just started to the server's core."""
    for thread in os.listdir(f"/proc/{target.pid}/task"):
        os.sched_setaffinity(int(thread), {SERVER_CPU})


def measure(client: Client, rate: int, seconds: int = SECONDS) -> PacedSample:
    """One paced run. Raises MeasurementError when the client has no rate, fails, or sends hardly anything."""
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
    """The figures of a run from its arrivals (ns, in order), and from the CPU that was used while it was watched."""
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
    """Requests per second: how many more have arrived for each second that has passed, by least squares."""
    first = arrivals[0]
    if first == arrivals[-1]:
        raise MeasurementError(f"sent its {len(arrivals)} requests at one moment")
    # Time against number, and turned round: the number has no error, the arrival has.
    return 1 / statistics.linear_regression(range(len(arrivals)), [(at - first) / 1e9 for at in arrivals]).slope


def per_bin(arrivals: Sequence[int], width_ns: int) -> list[int]:
    """Arrivals in each full bin from the first arrival on; the last, which may be cut short, is left out."""
    first = arrivals[0]
    bins = [0] * max((arrivals[-1] - first) // width_ns, 1)
    for at in arrivals:
        place = (at - first) // width_ns
        if place < len(bins):
            bins[place] += 1
    return bins


def wait_for_first(process: ClientProcess, target: TargetServer) -> None:
    """Wait until the target has received something. Raises MeasurementError when that does not happen."""
    deadline = time.monotonic() + _FIRST_REQUEST_SECONDS
    while target.stats().received == 0:
        if not process.running:
            raise MeasurementError(f"ended before it sent anything: {process.said()}")
        if time.monotonic() > deadline:
            raise MeasurementError(f"sent nothing in {_FIRST_REQUEST_SECONDS:g} s: {process.said()}")
        time.sleep(0.05)
