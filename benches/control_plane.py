"""Measure the Control API from outside: lists of 100,000 runs, a window of two hours with twenty endpoints, 300 event
streams of one run, the time to the first request of a run, and the time to stop after a cancel.

`python -m benches.control_plane --small` runs a smaller version.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from atm.config import Settings
from atm.storage import open_storage
from atm.storage.records import RunQuery
from atm.testing import TargetServer
from benches import storage as filling
from benches.measure import BIN, ROOT, Figure, Timing, cpu_seconds_so_far, figures, keep, timing_table

LIST_BAR_MS = 25.0
WINDOW_BAR_MS = 300.0
START_BAR_MS = 500.0
CANCEL_BAR_MS = 250.0
WATCHERS_BAR_SHARE = 0.30
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Size:
    """Numbers of runs, rounds, streams, seconds and starts."""

    runs: int
    rounds: int
    watchers: int
    watched_seconds: int
    starts: int


FULL = Size(100_000, 200, 300, 30, 15)
SMALL = Size(5_000, 20, 50, 6, 3)


class Server:
    """`atm serve` with one worker and a new data directory."""

    def __init__(self, data_dir: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/api/v1"
        self.port = port
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ATM_")}
        self.process = subprocess.Popen(
            [str(BIN / "atm"), "serve", "--port", str(port), "--data-dir", str(data_dir)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )

    def ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/health/ready", trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("the server did not start")
            time.sleep(0.05)


@contextmanager
def serving(data_dir: Path) -> Iterator[Server]:
    server = Server(data_dir)
    try:
        server.ready()
        yield server
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)


async def fill(data_dir: Path, runs: int) -> str:
    """Create a history of `runs` runs, the newest with two hours of twenty endpoints, and return its id."""
    settings = Settings(data_dir=data_dir)
    await (await open_storage(settings)).close()
    filling.RUNS = runs
    filling.fill_runs(settings.database_file)
    storage = await open_storage(settings)
    run_id = (await storage.runs.page(RunQuery(limit=1))).runs[0].id
    await storage.close()
    filling.fill_series(settings.database_file, run_id)
    names = ", ".join(f'{{"name": "endpoint {number}"}}' for number in range(filling.ENDPOINTS))
    with sqlite3.connect(settings.database_file) as connection:
        spec = f'{{"name": "long", "endpoints": [{names}]}}'
        connection.execute("UPDATE runs SET spec_json = ? WHERE id = ?", (spec, run_id))
    return run_id


def request_times(server: Server, path: str, rounds: int, **query: Any) -> tuple[list[float], list[float]]:
    """Return the wall time of each response, and the server's CPU time for it."""
    wall, cpu = [], []
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
        client.get(path, params=query).raise_for_status()
        for _ in range(rounds):
            start, start_cpu = time.perf_counter(), cpu_seconds_so_far(server.process.pid)
            client.get(path, params=query).raise_for_status()
            wall.append(time.perf_counter() - start)
            cpu.append(cpu_seconds_so_far(server.process.pid) - start_cpu)
    return wall, cpu


def history(server: Server, run_id: str, size: Size) -> list[tuple[Timing, list[float]]]:
    """Measure lists and windows over HTTP."""
    lists: Mapping[str, dict[str, Any]] = {
        "GET /runs": {},
        "GET /runs, 200 of them": {"limit": 200},
        "GET /runs, by status": {"status": "completed"},
        "GET /runs, by name": {"name": "Test 17 of the shop"},
        "GET /runs, by tag": {"tag": "nightly"},
        "GET /runs, not passed": {"passed": False},
        "GET /runs, a month": {"since": "2026-04-11T00:00:00Z", "until": "2026-05-11T00:00:00Z"},
        "GET /runs, by text": {"text": "items/976"},
    }
    found = []
    for name, query in lists.items():
        wall, cpu = request_times(server, "/runs", size.rounds, **query)
        found.append((Timing.of(name, wall, cpu, LIST_BAR_MS), wall))
    endpoints = [f"endpoint {number}" for number in range(filling.ENDPOINTS)]
    windows: Mapping[str, dict[str, Any]] = {
        "2 h x 20 endpoints, by 60 s": {"resolution": "60", "endpoint": endpoints},
        "2 h x 20 endpoints, merged": {"resolution": "0", "endpoint": endpoints, "merge": True},
        "2 h, by 10 s": {"resolution": "10"},
    }
    for name, query in windows.items():
        wall, cpu = request_times(server, f"/runs/{run_id}/intervals", max(5, size.rounds // 5), **query)
        found.append((Timing.of(name, wall, cpu, WINDOW_BAR_MS), wall))
    return found


async def watch(port: int, run_id: str) -> list[int]:
    """Return the numbers of all events of a stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /api/v1/runs/{run_id}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    numbers = []
    while line := await reader.readline():
        if line.startswith(b"id: "):
            numbers.append(int(line[4:]))
        if line == b"event: finished\n":
            break
    writer.close()
    return numbers


def watching(server: Server, target: TargetServer, size: Size) -> tuple[float, int]:
    """Return the server's share of a core for all watchers of one run, and the number of watchers that lost events."""
    spec = {
        "name": "watched",
        "url": f"{target.url}/fixed",
        "requests_per_second": 20,
        "duration": size.watched_seconds,
    }
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
        run_id = client.post("/runs", json={"spec": spec}).json()["id"]

    async def all_of_them() -> list[list[int]]:
        return list(await asyncio.gather(*(watch(server.port, run_id) for _ in range(size.watchers))))

    start, start_cpu = time.perf_counter(), cpu_seconds_so_far(server.process.pid)
    streams = asyncio.run(all_of_them())
    share = (cpu_seconds_so_far(server.process.pid) - start_cpu) / (time.perf_counter() - start)
    # At least one event per second, numbered from 1.
    whole = list(range(1, max(size.watched_seconds + 1, *(len(numbers) for numbers in streams)) + 1))
    return share, sum(numbers != whole for numbers in streams)


def life(server: Server, target: TargetServer, size: Size) -> tuple[list[float], list[float]]:
    """Return the seconds from creating a run to its first request, and from a cancel's response to the last one."""
    starts, cancels = [], []
    spec = {"name": "life", "url": f"{target.url}/fixed", "requests_per_second": 500, "duration": 60}
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
        for _ in range(size.starts):
            target.settled_stats()
            target.reset()
            began = time.monotonic_ns()
            run_id = client.post("/runs", json={"spec": spec}).json()["id"]
            # The first second is in storage, so the recorder polls for a cancel.
            while not client.get(f"/runs/{run_id}").json()["requests_completed"]:
                time.sleep(0.05)
            client.post(f"/runs/{run_id}/cancel")
            cancelled = time.monotonic_ns()
            while client.get(f"/runs/{run_id}").json()["status"] == "running":
                time.sleep(0.05)
            arrived = [row.arrived_ns for row in target.record()]
            starts.append((min(arrived) - began) / 1e9)
            cancels.append(max(max(arrived) - cancelled, 0) / 1e9)
    return starts, cancels


def main(small: bool = False) -> int:
    size = SMALL if small else FULL
    with tempfile.TemporaryDirectory(prefix="atm-bench-") as folder:
        run_id = asyncio.run(fill(Path(folder), size.runs))
        with serving(Path(folder)) as server, TargetServer() as target:
            found = history(server, run_id, size)
            share, lost = watching(server, target, size)
            starts, cancels = life(server, target, size)
    cpu = [0.0] * len(starts)
    found.append((Timing.of("cancel to last request", cancels, cpu, CANCEL_BAR_MS), cancels))
    rows = [row for row, _ in found]
    others = [
        Figure("start to first request, median", statistics.median(starts) * 1000, "ms", START_BAR_MS),
        Figure(f"{size.watchers} watchers of one run", share * 100, "% of a core", WATCHERS_BAR_SHARE * 100),
        Figure("watchers that lost something", lost, "", 0),
    ]
    print(f"control plane: one worker, SQLite, {size.runs:,} runs, wall time seen by a client")
    print(timing_table(rows))
    print(figures(others))
    samples = {row.name: wall for row, wall in found}
    samples |= {"start to first request": starts, f"{size.watchers} watchers, share of a core": [share]}
    judged: list[Timing | Figure] = [*rows, *others]
    if not small:
        print(f"kept in {keep('control_plane', samples, judged)}")
    return 0 if all(row.holds for row in judged) else 1


if __name__ == "__main__":
    sys.exit(main("--small" in sys.argv))
