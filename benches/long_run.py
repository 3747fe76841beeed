"""Measure a run of 24 hours with 50 endpoints: what it costs while it is recorded, its size on disk, and reading it.

A replayed engine emits the intervals of such a run one after the other without waiting, so everything behind it is the
product: executor, spool, history, storage, `atm show`, the Control API. The first hour takes that way. The other
23 are copies of its rows with later times, since recording them would take an hour. Each endpoint receives ten
requests per second with log-normal response times.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from atm.config import Settings
from atm.engine.base import Capability, Control, EngineReport, LaneReport
from atm.engine.executor import Execution
from atm.library import compile_spec
from atm.metrics.interval import EndpointInterval, GeneratorInterval, Interval
from atm.models.outcome import Outcome, StopReason
from atm.plan.load_plan import LoadPlan
from atm.runs.local_history import LocalHistory
from benches.control_plane import request_times, serving
from benches.measure import BIN, ROOT, Figure, Timing, cpu_seconds, figures, keep, timing_table

ENDPOINTS = 50
HOURS = 24
HOUR = 3600
REQUESTS_PER_SECOND = 10
ROUNDS = 5
SHOW_BAR_SECONDS = 1.0
PAGE_BAR_MS = 1000.0


def seconds_of_load(generator: random.Random) -> list[Interval]:
    """Return one minute of the run, which is replayed."""
    return [_second(generator) for _ in range(60)]


def _second(generator: random.Random) -> Interval:
    parts = []
    for endpoint in range(ENDPOINTS):
        part = EndpointInterval(
            endpoint,
            started=REQUESTS_PER_SECOND,
            outcomes={Outcome.OK: REQUESTS_PER_SECOND},
            statuses={200: REQUESTS_PER_SECOND},
        )
        for _ in range(REQUESTS_PER_SECOND):
            value = int(generator.lognormvariate(15.0, 0.5))
            for histogram in (part.response_ok, part.service, part.first_byte):
                histogram.record(value)
        parts.append(part)
    health = GeneratorInterval(cpu_seconds=0.1)
    health.schedule_lag.record(20_000, ENDPOINTS * REQUESTS_PER_SECOND)
    return Interval(0, "load", 1_000_000_000, float(ENDPOINTS * REQUESTS_PER_SECOND), parts, health)


class ReplayEngine:
    """Emits the seconds of an hour as fast as the caller takes them."""

    name = "asyncio"
    version = "replay"
    capabilities = frozenset(Capability)

    def __init__(self, minute: list[Interval]) -> None:
        self._minute = minute

    async def run(
        self,
        plan: LoadPlan,
        secrets: Mapping[str, str],  # noqa: ARG002  # part of the protocol, as the next one
        on_interval: Callable[[Interval], None],
        control: Control,  # noqa: ARG002
        starts_at_ns: int | None = None,  # noqa: ARG002
    ) -> EngineReport:
        for second in range(HOUR):
            on_interval(replace(self._minute[second % 60], second=second))
            if second % 60 == 59:
                # The spool is written by a thread, which has a second for each interval in a real run.
                await asyncio.sleep(0.5)
        end = HOUR * 1_000_000_000
        lanes = tuple(LaneReport(lane.name, 0, end, StopReason.DURATION) for lane in plan.lanes)
        return EngineReport(datetime.now(UTC), StopReason.DURATION, 0, end, end, lanes)


async def record_hour(settings: Settings) -> tuple[str, dict[str, float]]:
    """Record an hour of the run in the storage; return the id of the run, and figures per second of it."""
    test = compile_spec(
        {
            "name": "A day",
            "endpoints": [{"name": f"endpoint {n}", "url": f"http://127.0.0.1:9/{n}"} for n in range(ENDPOINTS)],
            "requests_per_second": ENDPOINTS * REQUESTS_PER_SECOND,
            "duration": "1h",
        }
    )
    execution = Execution(test, engine=ReplayEngine(seconds_of_load(random.Random(1))))
    history = LocalHistory()
    start = time.process_time()
    result = await execution.run(history.second, on_start=lambda: history.started(execution))
    recorded = time.process_time()
    await history.save(result, settings)
    stored = time.process_time()
    return execution.run_id, {
        "recording": (recorded - start) / HOUR,
        "storing": (stored - recorded) / HOUR,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def lengthen(database: Path, run_id: str) -> None:
    """Copy the rows of the first hour, apart from that of the whole run, to the 23 following hours."""
    names = "run_id, resolution, endpoint, start, warm_up, counts_json, figures_json, histograms"
    later = names.replace("start", "start + :later")
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        for hour in range(1, HOURS):
            connection.execute(
                f"INSERT INTO run_intervals ({names}) SELECT {later} FROM run_intervals"
                " WHERE run_id = :run_id AND resolution > 0 AND start < :hour",
                {"run_id": run_id, "later": hour * HOUR, "hour": HOUR},
            )
        connection.execute(
            "UPDATE runs SET next_interval = :end WHERE id = :run_id", {"end": HOURS * HOUR, "run_id": run_id}
        )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def sizes(database: Path, run_id: str) -> dict[int, float]:
    """Return the bytes of the rows of a run by resolution, without keys and index."""
    with sqlite3.connect(database) as connection:
        found = connection.execute(
            "SELECT resolution, sum(length(counts_json) + length(figures_json) + length(histograms)) FROM run_intervals"
            " WHERE run_id = ? GROUP BY resolution",
            (run_id,),
        ).fetchall()
    return {int(resolution): float(size) for resolution, size in found}


def page_requests(names: list[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return what the page of a run asks, by the name of the row: path below the run, and query."""
    each = ["*", *names]
    window = {"start": 13, "end": HOURS * HOUR - 13}
    return {
        "page: the run": ("", {}),
        "page: charts of all endpoints together": ("/intervals", {"endpoint": ["*"]}),
        "page: distribution of times": ("/distribution", {}),
        "page: a row per endpoint, figures merged": (
            "/intervals",
            {"endpoint": each, "resolution": "0", "merge": True},
        ),
        "window: charts of all endpoints together": ("/intervals", {"endpoint": ["*"], **window, "merge": True}),
        "window: a row per endpoint, figures merged": (
            "/intervals",
            {"endpoint": each, "resolution": "0", "merge": True, **window},
        ),
        "window: distribution of times": ("/distribution", window),
    }


def read(data_dir: Path, run_id: str) -> tuple[list[Timing], float]:
    """Return the times of the page's requests, and the most memory of the server in bytes."""
    names = [f"endpoint {number}" for number in range(ENDPOINTS)]
    rows = []
    with serving(data_dir) as server:
        for name, (path, query) in page_requests(names).items():
            wall, cpu = request_times(server, f"/runs/{run_id}{path}", ROUNDS, **query)
            rows.append(Timing.of(name, wall, cpu, PAGE_BAR_MS))
        status = Path(f"/proc/{server.process.pid}/status").read_text()
    return rows, int(status.split("VmHWM:")[1].split()[0]) * 1024.0


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="atm-bench-") as folder:
        os.environ["ATM_DATA_DIR"] = folder
        settings = Settings(data_dir=Path(folder))
        print("long_run: records an hour and copies it, some minutes", flush=True)
        run_id, recorded = asyncio.run(record_hour(settings))
        hour = settings.database_file.stat().st_size
        shown_hour = [cpu_seconds([BIN / "atm", "show", run_id], folder) for _ in range(ROUNDS)]
        lengthen(settings.database_file, run_id)
        day = settings.database_file.stat().st_size
        by_resolution = sizes(settings.database_file, run_id)
        shown = [cpu_seconds([BIN / "atm", "show", run_id], folder) for _ in range(ROUNDS)]
        timings, memory = read(Path(folder), run_id)
    rows = [
        Figure("CPU to add up and spool a second of the run", recorded["recording"] * 1000, "ms"),
        Figure("CPU to store a second of the run", recorded["storing"] * 1000, "ms"),
        Figure("memory of the recording process after an hour", recorded["memory"] / 1e6, "MB"),
        Figure("database after an hour", hour / 1e6, "MB"),
        Figure("database after 24 hours", day / 1e6, "MB"),
        Figure("growth per hour", (day - hour) / 1e6 / (HOURS - 1), "MB"),
        Figure(
            "growth per hour once its seconds are pruned", (day - hour) / 1e6 / (HOURS - 1) * _kept(by_resolution), "MB"
        ),
        Figure("CPU of `atm show` after an hour", statistics.median(shown_hour), "s"),
        Figure("CPU of `atm show` after 24 hours", statistics.median(shown), "s", SHOW_BAR_SECONDS),
        Figure("memory of the server after reading", memory / 1e6, "MB"),
    ]
    print(figures(rows))
    print(timing_table(timings))
    print(f"kept in {keep('long_run', {'atm show: CPU s': shown}, [*rows, *timings]).relative_to(ROOT)}")
    return 0 if all(row.holds for row in rows) and all(timing.holds for timing in timings) else 1


def _kept(by_resolution: dict[int, float]) -> float:
    """Return the part of the bytes that is left without the rows of seconds."""
    whole = sum(by_resolution.values())
    return (whole - by_resolution.get(1, 0.0)) / whole


if __name__ == "__main__":
    sys.exit(main())
