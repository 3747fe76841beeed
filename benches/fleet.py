"""Measure runs on several workers: CPU time for a request, the controller, the start on processes and on Ray."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from atm.engine.base import Control, Engine
from atm.engine.resolve import resolve_origins
from atm.fleet.fleet_engine import FleetEngine
from atm.fleet.local_processes import LocalProcesses
from atm.library import compile_spec
from atm.metrics.interval import Interval
from benches import fleet_controller, fleet_efficiency, fleet_on_ray
from benches.first_arrivals import FirstArrivals
from benches.measure import ROOT, Figure, MeasurementError, figures, keep
from benches.nginx import Nginx

SERVER_CORE = 1
SECONDS = 5
ROUNDS = 5
MOST_SKEW_MILLISECONDS = 2.0
SKEW_RATE = 200
SKEW_ROUNDS = 11
USERS = 32


def main() -> int:
    from atm.engine.asyncio_engine import AsyncioEngine
    from atm.engine.native_engine import load_native_engine

    native = load_native_engine()
    if sys.platform != "linux" or native is None:
        print("error: this benchmark needs Linux and the native engine (`atm doctor` says why it is not there)")
        return 2
    rows: list[Figure] = []
    samples: dict[str, list[float]] = {}
    try:
        rows += fleet_efficiency.rows(samples)
    except (MeasurementError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with Nginx(SERVER_CORE) as nginx:
        url = f"http://127.0.0.1:{nginx.port}/users/4711?page=1"
        for engine in (native, AsyncioEngine()):
            rows.append(controller(engine, url, samples))
    with FirstArrivals() as target:
        for engine in (native, AsyncioEngine()):
            rows.append(skew(engine, target, samples))
    rows += fleet_controller.rows()
    rows += fleet_on_ray.rows(samples)
    print(figures(rows))
    print(f"samples: {keep('fleet', samples, rows).relative_to(ROOT)}")
    return 0 if all(row.holds for row in rows) else 1


def controller(engine: Engine, url: str, samples: dict[str, list[float]]) -> Figure:
    """Measure the CPU time of this process while it controls two workers that send as fast as they can."""
    spent = [asyncio.run(run(engine, url, 2, {"concurrency": USERS})) for _ in range(ROUNDS)]
    samples[f"{engine.name}: controller CPU per worker and second"] = spent
    return Figure(f"{engine.name}: controller CPU per worker and second", statistics.median(spent) * 1e3, "ms")


async def run(engine: Engine, url: str, workers: int, load: dict[str, object], seconds: int = SECONDS) -> float:
    """Run a test on worker processes; return the CPU time of this process for each worker and second."""
    test = compile_spec({"name": "bench", "url": url, "duration": f"{seconds}s", "engine": engine.name, **load})
    plan = (await resolve_origins(test.plan)).plan
    fleet = FleetEngine(engine, LocalProcesses(), workers)
    intervals: list[Interval] = []
    try:
        await fleet.open(plan)
        before = time.process_time()
        await fleet.run(plan, {}, intervals.append, Control())
        spent = time.process_time() - before
    finally:
        await fleet.close()
    return spent / workers / (sum(interval.duration_ns for interval in intervals) / 1e9)


def skew(engine: Engine, target: FirstArrivals, samples: dict[str, list[float]]) -> Figure:
    """Measure how far apart two workers start, by the arrival of the first request of each at the target."""
    skews: list[float] = []
    for _ in range(SKEW_ROUNDS):
        target.taken()
        asyncio.run(
            run(
                engine,
                f"http://127.0.0.1:{target.port}/{{{{request_number}}}}",
                2,
                {"requests_per_second": SKEW_RATE},
                seconds=1,
            )
        )
        arrived = target.taken()
        # The first request of each worker, which opens a connection: due at 0 and one interval later.
        skews.append(abs(arrived[2] - arrived[1] - 1e9 / SKEW_RATE) / 1e9)
    samples[f"{engine.name}: start skew"] = skews
    name = f"{engine.name}: start skew of 2 workers at the target"
    return Figure(name, statistics.median(skews) * 1e3, "ms", MOST_SKEW_MILLISECONDS)
