"""The figures of a run while it goes on: what the live view draws once a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atm.metrics.interval import EndpointInterval
from atm.metrics.timeline import Point, milliseconds
from atm.models.outcome import Outcome

if TYPE_CHECKING:
    from atm.metrics.collector import Collector


@dataclass(frozen=True, slots=True)
class EndpointSnapshot:
    """One endpoint so far; percentiles are of the response time, None without samples."""

    name: str
    requests_per_second: float
    """Completed in the last second."""
    started: int
    completed: int
    failed: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None


@dataclass(frozen=True, slots=True)
class ErrorSnapshot:
    """Failures of one kind with one message so far, over all endpoints."""

    outcome: Outcome
    message: str
    count: int
    last_seconds: float
    """When the last one ended, since the start of the run."""

    @property
    def label(self) -> str:
        """The shortest name of it: the status of an unexpected one (`503`), else the kind (`connect error`)."""
        if self.outcome is Outcome.UNEXPECTED_STATUS:
            return self.message.split(",", 1)[0]
        return self.outcome.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run so far. Counts and percentiles are of the measured load; during warm-up, of the warm-up."""

    elapsed_seconds: float
    """Since the start of the run, warm-up included, up to the end of the last interval."""
    phase: str
    warm_up: bool
    due: int
    started: int
    ok: int
    failed: int
    completed: int
    generator_errors: int
    missed: int
    waited: int
    latency_p50_ms: float | None
    latency_p90_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    latency_max_ms: float | None
    error_rate: float
    """Failed / completed; 0 when nothing completed."""
    requests_per_second: float
    """Completed in the last second, per second of it."""
    offered_rate: float
    """Arrivals asked for in the last second, per second of it; 0 in the closed model."""
    last_p50_ms: float | None
    last_p95_ms: float | None
    last_p99_ms: float | None
    """Percentiles of the last second alone."""
    rates: tuple[float, ...]
    """Completed per second in each of the last 60 seconds, the oldest first."""
    p99s_ms: tuple[float | None, ...]
    """p99 of each of the last 60 seconds alone; None where nothing completed."""
    endpoints: tuple[EndpointSnapshot, ...]
    errors: tuple[ErrorSnapshot, ...]
    """The most frequent first."""
    last_failure_seconds: float | None
    """When the last failure ended, since the start of the run."""
    users: int
    in_flight: int
    waiting: int
    schedule_lag_p99_ms: float | None
    """Over the measured load; None in the closed model without a rate."""
    cpu_share: float
    """Of one core, in the last second."""
    busiest_thread_share: float
    """Of one core, in the last second."""


def take_snapshot(collector: Collector, recent: tuple[Point, ...]) -> Snapshot:
    """What `Collector.snapshot` answers; `recent` are the points of the last seconds."""
    last = collector.last
    generator = last.generator if last else None
    point = recent[-1] if recent else None
    warm_up = point is not None and point.warm_up
    shown = collector.warm_up if warm_up else collector.total
    response = shown.response()
    p50, p90, p95, p99 = (milliseconds(value) for value in response.percentiles((50, 90, 95, 99)))
    errors = _errors(collector, warm_up=warm_up)
    return Snapshot(
        elapsed_seconds=collector.end_ns / 1e9,
        phase=point.phase if point else "",
        warm_up=warm_up,
        due=shown.due,
        started=shown.started,
        ok=shown.ok,
        failed=shown.failed,
        completed=shown.completed,
        generator_errors=shown.outcomes.get(Outcome.GENERATOR_ERROR, 0),
        missed=shown.missed,
        waited=shown.waited,
        latency_p50_ms=p50,
        latency_p90_ms=p90,
        latency_p95_ms=p95,
        latency_p99_ms=p99,
        latency_max_ms=milliseconds(response.maximum),
        error_rate=shown.failed / shown.completed if shown.completed else 0.0,
        requests_per_second=_rate(point),
        offered_rate=point.offered / point.seconds if point and point.seconds else 0.0,
        last_p50_ms=milliseconds(point.p50_ns) if point else None,
        last_p95_ms=milliseconds(point.p95_ns) if point else None,
        last_p99_ms=milliseconds(point.p99_ns) if point else None,
        rates=tuple(_rate(each) for each in recent),
        p99s_ms=tuple(milliseconds(each.p99_ns) for each in recent),
        endpoints=_endpoints(collector),
        errors=errors,
        last_failure_seconds=max((error.last_seconds for error in errors), default=None),
        users=generator.users if generator else 0,
        in_flight=generator.in_flight if generator else 0,
        waiting=generator.waiting if generator else 0,
        schedule_lag_p99_ms=milliseconds(collector.generator.schedule_lag.percentile(99)),
        cpu_share=point.cpu_seconds / point.seconds if point and point.seconds else 0.0,
        busiest_thread_share=generator.busiest_thread_share if generator else 0.0,
    )


def _rate(point: Point | None) -> float:
    return point.completed / point.seconds if point and point.seconds else 0.0


def _endpoints(collector: Collector) -> tuple[EndpointSnapshot, ...]:
    last = collector.last
    completed = [0] * len(collector.endpoints)
    for part in last.endpoints if last else ():
        completed[part.endpoint] += part.completed
    seconds = last.duration_ns / 1e9 if last else 0.0
    return tuple(
        _endpoint(name, totals, count / seconds if seconds else 0.0)
        for name, totals, count in zip(collector.endpoints, collector.measured, completed, strict=True)
    )


def _endpoint(name: str, totals: EndpointInterval, per_second: float) -> EndpointSnapshot:
    p50, p95, p99 = (milliseconds(value) for value in totals.response().percentiles((50, 95, 99)))
    return EndpointSnapshot(name, per_second, totals.started, totals.completed, totals.failed, p50, p95, p99)


def _errors(collector: Collector, *, warm_up: bool) -> tuple[ErrorSnapshot, ...]:
    found: dict[tuple[Outcome, str], tuple[int, int]] = {}
    for group in (collector.warm_up_failures if warm_up else collector.failures).groups():
        count, last_ns = found.get((group.outcome, group.message), (0, 0))
        found[group.outcome, group.message] = (count + group.count, max(last_ns, group.last_ns))
    errors = [ErrorSnapshot(*key, count, last_ns / 1e9) for key, (count, last_ns) in found.items()]
    return tuple(sorted(errors, key=lambda error: -error.count))
