"""Measure runs on several workers: CPU time for a request, the controller, the start on processes and on Ray.

CPU time is that of the worker processes, as their intervals report it, and of this process, which controls them. Two
workers are compared with one in each round: with the same load for each worker, as load is added by adding workers, and
with the same load divided between them, which costs more, as each wakes up for fewer requests at a time.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from dataclasses import dataclass

from atm.engine.base import Control, Engine
from atm.engine.resolve import resolve_origins
from atm.fleet.fleet_engine import FleetEngine
from atm.fleet.local_processes import LocalProcesses
from atm.library import compile_spec
from atm.metrics.interval import Interval
from benches import fleet_controller, fleet_on_ray
from benches.first_arrivals import FirstArrivals
from benches.measure import ROOT, Figure, figures, keep
from benches.nginx import Nginx

SERVER_CORE = 1
SECONDS = 5
ROUNDS = 5
LEAST_EFFICIENCY = 0.95
MOST_SKEW_MILLISECONDS = 2.0
SKEW_RATE = 200
SKEW_ROUNDS = 11
USERS = 32


@dataclass(frozen=True, slots=True)
class RunFigures:
    """Figures of one run."""

    requests: int
    worker_cpu_seconds: float
    controller_cpu_seconds: float
    seconds: float

    @property
    def per_cpu_second(self) -> float:
        return self.requests / self.worker_cpu_seconds


def main() -> int:
    from atm.engine.asyncio_engine import AsyncioEngine
    from atm.engine.native_engine import load_native_engine

    native = load_native_engine()
    if sys.platform != "linux" or native is None:
        print("error: this benchmark needs Linux and the native engine (`atm doctor` says why it is not there)")
        return 2
    rows: list[Figure] = []
    samples: dict[str, list[float]] = {}
    with Nginx(SERVER_CORE) as nginx:
        url = f"http://127.0.0.1:{nginx.port}/users/4711?page=1"
        for engine in (native, AsyncioEngine()):
            rows += efficiency(engine, url, samples)
    with FirstArrivals() as target:
        for engine in (native, AsyncioEngine()):
            rows.append(skew(engine, target, samples))
    rows += fleet_controller.rows()
    rows += fleet_on_ray.rows(samples)
    print(figures(rows))
    print(f"samples: {keep('fleet', samples, rows).relative_to(ROOT)}")
    return 0 if all(row.holds for row in rows) else 1


def efficiency(engine: Engine, url: str, samples: dict[str, list[float]]) -> list[Figure]:
    """Compare CPU time per request of 2 workers with that of 1, within each round, and measure the controller's."""
    loads = {"same load for each": 2 * USERS, "same load divided": USERS}
    ratios: dict[str, list[float]] = {name: [] for name in loads}
    controller: list[float] = []
    for _ in range(ROUNDS):
        one = asyncio.run(run(engine, url, 1, {"concurrency": USERS}))
        for name, users in loads.items():
            two = asyncio.run(run(engine, url, 2, {"concurrency": users}))
            ratios[name].append(one.per_cpu_second / two.per_cpu_second)
            samples.setdefault(f"{engine.name}, {name}: CPU for a request", []).append(1 / two.per_cpu_second)
            controller.append(two.controller_cpu_seconds / (2 * two.seconds))
        samples.setdefault(f"{engine.name}, 1 process: CPU for a request", []).append(1 / one.per_cpu_second)
    samples[f"{engine.name}: controller CPU per worker and second"] = controller
    title = f"{engine.name}: CPU time per request, 2 processes against 1"
    return [
        *(
            Figure(f"{title}, {name}", statistics.median(found), "times", 1 / LEAST_EFFICIENCY)
            for name, found in ratios.items()
        ),
        Figure(f"{engine.name}: controller CPU per worker and second", statistics.median(controller) * 1e3, "ms"),
    ]


async def run(engine: Engine, url: str, workers: int, load: dict[str, object], seconds: int = SECONDS) -> RunFigures:
    """Run a test of some seconds on worker processes."""
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
    return RunFigures(
        requests=sum(part.started for interval in intervals for part in interval.endpoints),
        worker_cpu_seconds=sum(interval.generator.cpu_seconds for interval in intervals),
        controller_cpu_seconds=spent,
        seconds=sum(interval.duration_ns for interval in intervals) / 1e9,
    )


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
