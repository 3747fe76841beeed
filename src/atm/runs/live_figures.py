"""The figures of a run that goes on, as its result will have them, added up from the seconds that are stored.

Each process keeps what it has added up and reads only what is new, so asking often costs little.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from atm.metrics.collector import Collector
from atm.metrics.summary import EndpointDescription, RunTimes, endpoint_metrics, whole_metrics
from atm.models.run import Metrics, NamedEndpointMetrics
from atm.storage import StorageInterface
from atm.storage.records import Run

MOST_RUNS = 50
"""Runs whose figures a process keeps; the one that was asked for longest ago goes first."""


@dataclass(slots=True)
class _Course:
    """What has been added up of one run."""

    collector: Collector
    endpoints: list[EndpointDescription]
    warm_up_ns: int
    is_open: bool
    next_second: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class LiveFigures:
    """The figures of the runs of one storage."""

    def __init__(self, storage: StorageInterface) -> None:
        self._storage = storage
        self._courses: OrderedDict[str, _Course] = OrderedDict()

    async def of(self, run: Run) -> tuple[Metrics, list[NamedEndpointMetrics]]:
        """The figures so far: zeros and null before the load has begun."""
        course = self._courses.get(run.id) or await self._begun(run)
        async with course.lock:
            for interval in await self._storage.series.intervals(run.id, course.next_second):
                course.collector.add(interval)
                course.next_second = interval.second + 1
        end_ns = course.collector.end_ns
        times = RunTimes(min(course.warm_up_ns, end_ns), end_ns, end_ns)
        return (
            whole_metrics(course.collector, times, is_open=course.is_open),
            endpoint_metrics(course.collector, times, course.endpoints, is_open=course.is_open),
        )

    async def _begun(self, run: Run) -> _Course:
        """A new course; kept once the load has begun, as only then it is known what it will be."""
        written = run.spec.get("endpoints") or [run.spec]
        found = await self._storage.series.events(run.id, 0, 1)
        started = found[0].data if found and found[0].kind == "started" else None
        names = started["endpoints"] if started else [str(each.get("name", run.summary.name)) for each in written]
        endpoints = [
            EndpointDescription(str(name), str(each.get("method", "GET")), str(each.get("url", "")))
            for name, each in zip(names, written, strict=True)
        ]
        warm_up_ns = round(started["warm_up_seconds"] * 1e9) if started else 0
        collector = Collector([each.name for each in endpoints], warm_up_ns=warm_up_ns)
        course = _Course(collector, endpoints, warm_up_ns, _is_open(run))
        if started is None:
            return course
        kept = self._courses.setdefault(run.id, course)
        self._courses.move_to_end(run.id)
        while len(self._courses) > MOST_RUNS:
            self._courses.popitem(last=False)
        return kept


def _is_open(run: Run) -> bool:
    load = run.spec.get("load") or {}
    stages_of_rates = load.get("model") == "open"
    return run.spec.get("requests_per_second") is not None or load.get("rate") is not None or stages_of_rates
