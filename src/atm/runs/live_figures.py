"""Live metrics of a run in progress, in the shape of its final result, aggregated from the stored intervals.

Each process caches the aggregate and reads only new intervals, so frequent queries are cheap.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import field

from atm.dataclass import dataclass
from atm.metrics.collector import Collector
from atm.metrics.interval import Interval
from atm.metrics.summary import RunTimes, endpoint_metrics, whole_metrics
from atm.models.endpoint_metrics import Metrics, NamedEndpointMetrics
from atm.models.outline import EndpointDescription
from atm.runs.started_line import new_collector, requests_of, warm_up_ns
from atm.storage import StorageInterface
from atm.storage.records import Run

MOST_RUNS = 50
"""How many runs a process caches; the least recently used is dropped first."""


@dataclass(slots=True)
class _Aggregate:
    """The intervals of one run, aggregated so far."""

    collector: Collector
    endpoints: list[EndpointDescription]
    warm_up_ns: int
    is_open: bool
    has_started: bool
    next_second: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class LiveFigures:
    """Live metrics for the runs of one storage."""

    def __init__(self, storage: StorageInterface) -> None:
        self._storage = storage
        self._aggregates: OrderedDict[str, _Aggregate] = OrderedDict()

    async def of(self, run: Run) -> tuple[Metrics, list[NamedEndpointMetrics]]:
        """Return the metrics so far; zeros and null before the load has started."""
        aggregate = self._aggregates.get(run.id) or await self._new_aggregate(run)
        async with aggregate.lock:
            for interval in await self._new_intervals(run.id, aggregate):
                aggregate.collector.add(interval)
                aggregate.next_second = interval.second + 1
        end_ns = aggregate.collector.end_ns
        times = RunTimes(min(aggregate.warm_up_ns, end_ns), end_ns, end_ns)
        return (
            whole_metrics(aggregate.collector, times, is_open=aggregate.is_open),
            endpoint_metrics(
                aggregate.collector,
                times,
                aggregate.collector.described(aggregate.endpoints),
                is_open=aggregate.is_open,
            ),
        )

    async def _new_intervals(self, run_id: str, aggregate: _Aggregate) -> list[Interval]:
        if not aggregate.has_started:
            # Its endpoints may be unknown, even if start and first second have been stored meanwhile.
            return []
        return await self._storage.series.intervals(run_id, aggregate.next_second)

    async def _new_aggregate(self, run: Run) -> _Aggregate:
        """Return a new aggregate; cached only once the load has started and its endpoints and warm-up are known."""
        first_events = await self._storage.series.events(run.id, 0, 1)
        started = first_events[0].data if first_events and first_events[0].kind == "started" else None
        endpoints = requests_of(started) if started else _written_endpoints(run)
        planned_warm_up_ns = warm_up_ns(started) if started else 0
        collector = new_collector(started) if started else Collector([endpoint.name for endpoint in endpoints])
        is_open = started is not None and started.get("model") == "open"
        aggregate = _Aggregate(collector, endpoints, planned_warm_up_ns, is_open, has_started=started is not None)
        if started is None:
            return aggregate
        shared = self._aggregates.setdefault(run.id, aggregate)
        self._aggregates.move_to_end(run.id)
        while len(self._aggregates) > MOST_RUNS:
            self._aggregates.popitem(last=False)
        return shared


def _written_endpoints(run: Run) -> list[EndpointDescription]:
    """Describe the endpoints of a run whose load has not started; those of scenarios are unknown until then."""
    if run.spec.get("scenarios"):
        return []
    written = run.spec.get("endpoints") or [run.spec]
    return [
        EndpointDescription(
            str(endpoint.get("name", run.summary.name)),
            str(endpoint.get("method", "GET")),
            str(endpoint.get("url", "")),
        )
        for endpoint in written
    ]
