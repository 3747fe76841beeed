"""Measure query times of SQLite: lists of 100,000 runs, and windows of two hours with twenty endpoints.

The benchmark writes the rows directly into the tables, in the storage's format, and reads them through the storage.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from atm.config import Settings
from atm.metrics.interval import EndpointInterval, GeneratorInterval, Interval
from atm.models.outcome import Outcome, RunStatus
from atm.storage import StorageInterface, open_storage
from atm.storage.records import RunQuery, search_text
from atm.storage.series.rollup import Rollup
from atm.storage.series.rows import WHOLE, IntervalRow
from benches.measure import Timing, keep, timing_table

RUNS = 100_000
ENDPOINTS = 20
MINUTES = 120
ROUNDS = 40
LIST_BAR_MS = 25.0
WINDOW_BAR_MS = 300.0
START = datetime(2026, 1, 1, tzinfo=UTC)


def run_rows(generator: random.Random) -> Iterator[dict[str, Any]]:
    """Insert runs of 200 tests over a year, most of them passed, with documents of 8 KB."""
    filling = json.dumps({"figures": [generator.random() for _ in range(100)]})
    for number in range(RUNS):
        name = f"Test {number % 200} of the shop"
        url = f"https://shop{number % 50}.example/api/v1/items/{number % 977}"
        at = (START + timedelta(seconds=300 * number)).replace(tzinfo=None)
        failed = number % 20 == 0
        yield {
            "id": f"{generator.getrandbits(128):032x}",
            "name": name,
            "url": url,
            "method": "GET",
            "total_requests": 1000,
            "concurrency": 10,
            "status": "failed" if failed else "completed",
            "created_at": f"{at:%Y-%m-%d %H:%M:%S.%f}",
            "started_at": f"{at:%Y-%m-%d %H:%M:%S.%f}",
            "completed_at": f"{at + timedelta(seconds=60):%Y-%m-%d %H:%M:%S.%f}",
            "passed": None if failed else number % 7 != 0,
            "requests_completed": 1000,
            "engine": "native",
            "source": "api",
            "tags_json": '["nightly"]' if number % 10 == 0 else "[]",
            "latency_p95_ms": 12.5,
            "requests_per_second": 100.0,
            "error_rate": 0.0,
            "search_text": search_text(name, url),
            "notes": "",
            "failure_reasons_json": "[]",
            "spec_json": json.dumps({"name": name, "url": url, "body": "x" * 300}),
            "metrics_json": filling,
            "endpoint_metrics_json": filling,
            "sampled_requests_json": filling,
            "result_json": filling,
        }


def fill_runs(path: Path) -> None:
    rows = run_rows(random.Random(1))
    first = next(rows)
    names = ", ".join(first)
    statement = f"INSERT INTO runs ({names}) VALUES ({', '.join(f':{name}' for name in first)})"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(statement, first)
        connection.executemany(statement, rows)
        connection.execute(
            "INSERT INTO run_tags (tag, run_id, created_at) SELECT 'nightly', id, created_at FROM runs"
            " WHERE tags_json != '[]'"
        )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def second_of(number: int, generator: random.Random) -> Interval:
    """Return one second with 50 requests per endpoint, distributed like response times."""
    parts = []
    for endpoint in range(ENDPOINTS):
        part = EndpointInterval(endpoint, started=50, outcomes={Outcome.OK: 49, Outcome.TIMEOUT: 1}, statuses={200: 49})
        for _ in range(49):
            value = int(1e6 * math.exp(generator.gauss(2, 0.5)))
            for name in ("response_ok", "service", "first_byte"):
                getattr(part, name).record(value)
        part.response_timeout.record(2_000_000_000)
        parts.append(part)
    lag = GeneratorInterval(cpu_seconds=0.3)
    lag.schedule_lag.record(20_000, 1000)
    return Interval(number, "load", 1_000_000_000, 1000.0, parts, lag)


def fill_series(path: Path, run_id: str) -> None:
    """Insert two hours: one minute, stored 120 times, and the whole run merged from them."""
    generator = random.Random(2)
    rollup = Rollup()
    minute = [row for number in range(60) for row in rollup.add(second_of(number, generator))]
    coarse = [row for row in minute if row.resolution == 60]
    hours = Rollup.resumed([_shifted(row, 60 * number) for number in range(MINUTES) for row in coarse]).close()
    rows = [_shifted(row, 60 * number) for number in range(MINUTES) for row in minute]
    rows += [row for row in hours if row.resolution == WHOLE]
    values = (
        (run_id, row.resolution, row.endpoint, row.start, row.warm_up, row.counts, row.figures, row.histograms)
        for row in rows
    )
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.executemany("INSERT INTO run_intervals VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _shifted(row: IntervalRow, seconds: int) -> IntervalRow:
    return IntervalRow(
        row.resolution, row.start + seconds, row.endpoint, row.warm_up, row.counts, row.figures, row.histograms
    )


Samples = tuple[list[float], list[float]]
"""Wall times and CPU times of all rounds, in seconds."""


async def timed(ask: Callable[[], Awaitable[object]]) -> Samples:
    await ask()
    wall, cpu = [], []
    for _ in range(ROUNDS):
        start, start_cpu = time.perf_counter(), time.process_time()
        await ask()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    return wall, cpu


async def lists(storage: StorageInterface) -> dict[str, Samples]:
    first = await storage.runs.page(RunQuery())
    middle = await storage.runs.page(RunQuery(offset=50_000))
    month = RunQuery(since=START + timedelta(days=100), until=START + timedelta(days=130))
    queries = {
        "list, first page": RunQuery(),
        "list, page after a cursor": RunQuery(after=first.next),
        "list, page after a cursor in the middle": RunQuery(after=middle.next),
        "list, 200 runs": RunQuery(limit=200),
        "list, by name": RunQuery(name="Test 17 of the shop"),
        "list, by status, many": RunQuery(status=RunStatus.COMPLETED),
        "list, by status, none": RunQuery(status=RunStatus.RUNNING),
        "list, not passed": RunQuery(passed=False),
        "list, by tag": RunQuery(tag="nightly"),
        "list, by tag and status": RunQuery(tag="nightly", status=RunStatus.FAILED),
        "list, a month": month,
        "list, by text, many": RunQuery(text="shop"),
        "list, by text, few": RunQuery(text="items/976"),
        "list, by text, none": RunQuery(text="nowhere to be found"),
        "list, by name, status and text": RunQuery(
            name="Test 17 of the shop", status=RunStatus.COMPLETED, text="shop17"
        ),
    }
    return {name: await timed(lambda query=query: storage.runs.page(query)) for name, query in queries.items()}  # type: ignore[misc]


async def windows(storage: StorageInterface, run_id: str) -> dict[str, Samples]:
    series = storage.series
    all_of_them = list(range(ENDPOINTS))
    latency = ["response_ok", "response_failed", "response_timeout"]
    asks: dict[str, Callable[[], Awaitable[object]]] = {
        "plot, 2 h x 20 endpoints by 60 s": lambda: series.points(run_id, 60, endpoints=all_of_them),
        "plot, 2 h by 10 s": lambda: series.points(run_id, 10),
        "window, the whole run, 20 endpoints": lambda: series.window(run_id, 0, None, all_of_them),
        "window, 13 s to 7191 s": lambda: series.window(run_id, 13, 7191),
        "window, 13 s to 7191 s, 20 endpoints, latency": lambda: series.window(run_id, 13, 7191, all_of_them, latency),
        "window, 60 s to 7140 s, 20 endpoints, latency": lambda: series.window(run_id, 60, 7140, all_of_them, latency),
    }
    return {name: await timed(ask) for name, ask in asks.items()}


async def measure(folder: Path) -> tuple[dict[str, Samples], list[Timing]]:
    settings = Settings(data_dir=folder)
    await (await open_storage(settings)).close()
    fill_runs(settings.database_file)
    storage = await open_storage(settings)
    run_id = (await storage.runs.page(RunQuery(limit=1))).runs[0].id
    await asyncio.to_thread(fill_series, settings.database_file, run_id)
    samples = await lists(storage)
    rows = [Timing.of(name, *each, LIST_BAR_MS) for name, each in samples.items()]
    more = await windows(storage, run_id)
    rows += [Timing.of(name, *each, WINDOW_BAR_MS) for name, each in more.items()]
    await storage.close()
    return samples | more, rows


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="atm-bench-") as folder:
        samples, rows = asyncio.run(measure(Path(folder)))
    print(f"storage: SQLite, {RUNS:,} runs, a run of {MINUTES} minutes and {ENDPOINTS} endpoints, wall time")
    print(timing_table(rows))
    print(f"kept in {keep('storage', {name: wall for name, (wall, _) in samples.items()}, rows)}")
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
