"""How soon a command on an existing Ray cluster sends its first request, with three nodes on this machine."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time

from atm.fleet.ray_session import RaySession
from atm.fleet.ray_transport import RayTransport
from atm.testing import TargetServer
from benches.measure import Figure, MeasurementError
from tests.fleet.ray_cluster import MISSING, RayCluster, is_installed

ROUNDS = 5
WORKERS = 3
MOST_SECONDS = 3.0 + 2.0
"""3 s until all workers are ready, and the 2 s from then to time zero that a cluster of several machines needs."""
MARGIN_SECONDS = 0.3
"""From the time when all workers are ready to the first request, where all nodes are on one machine."""


def rows(samples: dict[str, list[float]]) -> list[Figure]:
    """Start a cluster, and measure commands and the start of workers on it; none without Ray."""
    if not is_installed():
        print(MISSING)
        return []
    cluster = RayCluster()
    try:
        with TargetServer() as target:
            firsts = [_seconds_to_the_first_request(cluster, target) for _ in range(ROUNDS)]
        starts = asyncio.run(_seconds_to_start(cluster))
    finally:
        cluster.close()
    samples["Ray: from the command to the first request"] = firsts
    samples[f"Ray: start of {WORKERS} workers on a connection"] = starts
    return [
        Figure(
            f"Ray: from the command to the first request of {WORKERS} workers",
            statistics.median(firsts),
            "s",
            MOST_SECONDS,
        ),
        Figure(
            f"Ray: from the command until {WORKERS} workers are ready", statistics.median(firsts) - MARGIN_SECONDS, "s"
        ),
        Figure(f"Ray: start of {WORKERS} workers on a connection", statistics.median(starts), "s"),
    ]


def _seconds_to_the_first_request(cluster: RayCluster, target: TargetServer) -> float:
    target.reset()
    options = ("--rate", "50", "-n", "50", "--no-history", "--quiet", "--no-fail")
    place = ("--on", str(cluster.address), "--workers", str(WORKERS))
    begun = time.monotonic_ns()
    done = subprocess.run(
        [sys.executable, "-m", "atm", "run", f"{target.url}/", *options, *place], capture_output=True, text=True
    )
    if done.returncode not in (0, 4):
        raise MeasurementError(f"atm run on Ray ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    return (min(row.arrived_ns for row in target.record()) - begun) / 1e9


async def _seconds_to_start(cluster: RayCluster) -> list[float]:
    session = await asyncio.to_thread(RaySession.connect, cluster.address)
    seconds = []
    for _ in range(ROUNDS):
        transport = RayTransport(cluster.address, session=session)
        begun = time.monotonic()
        await transport.open(WORKERS)
        seconds.append(time.monotonic() - begun)
        await transport.close()
    await asyncio.to_thread(session.close)
    return seconds
