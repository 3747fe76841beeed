"""The figures of a run in progress, for the live view, once a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from atm.dataclass import dataclass
from atm.metrics.interval import EndpointInterval
from atm.metrics.scenarios import check_figures, scenarios_so_far
from atm.metrics.timeline import milliseconds
from atm.models.fleet_figures import WorkerSecond
from atm.models.outcome import Outcome
from atm.models.run_figures import EndpointSoFar, ErrorSoFar, FiguresSoFar, OwnFigures, Second

if TYPE_CHECKING:
    from atm.metrics.collector import Collector


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run so far: its last second, its totals up to then, and the data of a sparkline."""

    second: Second
    so_far: FiguresSoFar
    rates: tuple[float, ...]
    """Completed per second in each of the last 60 seconds, oldest first."""
    p99s_ms: tuple[float | None, ...]
    """p99 of each of the last 60 seconds by itself; None where nothing completed."""
    workers: tuple[WorkerSecond, ...] = ()
    """The workers in the last second, in their order; empty for a run in one process."""
    own_metrics: tuple[OwnFigures, ...] = ()
    """The metrics that the test declares, in the last second alone."""

    @classmethod
    def of(
        cls,
        recent: Sequence[Second],
        so_far: FiguresSoFar,
        workers: Sequence[WorkerSecond] = (),
        own_metrics: tuple[OwnFigures, ...] = (),
    ) -> Snapshot:
        """`recent` holds the last seconds, oldest first; it may be empty."""
        return cls(
            recent[-1] if recent else _NO_SECOND,
            so_far,
            tuple(second.requests_per_second for second in recent),
            tuple(second.latency_p99_ms for second in recent),
            tuple(workers),
            own_metrics,
        )

    @property
    def elapsed_seconds(self) -> float:
        """Since the start of the run, warm-up included, up to the end of the last second."""
        return self.second.second + self.second.duration_seconds

    @property
    def last_failure_seconds(self) -> float | None:
        """When the last failure ended, since the start of the run."""
        return max((error.last_seconds for error in self.so_far.errors), default=None)


_NO_SECOND = Second(
    second=0,
    phase="",
    warm_up=False,
    duration_seconds=0.0,
    offered_rate=0.0,
    started=0,
    completed=0,
    failed=0,
    latency_p50_ms=None,
    latency_p95_ms=None,
    latency_p99_ms=None,
    latency_max_ms=None,
    in_flight=0,
    schedule_lag_p99_ms=None,
    cpu_share=0.0,
    requests_per_second=0.0,
    outcomes={},
    missed=0,
    users=0,
    waiting=0,
    busiest_thread_share=0.0,
)


def figures_so_far(collector: Collector) -> FiguresSoFar:
    """Return the totals; during warm-up those of the warm-up."""
    is_warm_up = collector.last is not None and collector.last.phase == "warm_up"
    shown = collector.warm_up if is_warm_up else collector.total
    response = shown.response()
    p50, p90, p95, p99 = (milliseconds(value) for value in response.percentiles((50, 90, 95, 99)))
    return FiguresSoFar(
        due=shown.due,
        started=shown.started,
        ok=shown.ok,
        failed=shown.failed,
        completed=shown.completed,
        generator_errors=shown.outcomes.get(Outcome.GENERATOR_ERROR, 0),
        missed=shown.missed,
        waited=shown.waited,
        error_rate=shown.failed / shown.completed if shown.completed else 0.0,
        latency_p50_ms=p50,
        latency_p90_ms=p90,
        latency_p95_ms=p95,
        latency_p99_ms=p99,
        latency_max_ms=milliseconds(response.maximum),
        schedule_lag_p99_ms=milliseconds(collector.generator.schedule_lag.percentile(99)),
        endpoints=_endpoints(collector),
        errors=_errors(collector, warm_up=is_warm_up),
        scenarios=scenarios_so_far(collector.scenarios, collector.endpoints, collector.measured, collector.last),
        checks=check_figures(collector.scenarios, collector.endpoints),
        data=collector.data.figures(),
        exceptions=[
            replace(exception, traceback="")
            for exception in collector.code.exceptions(collector.scenarios.scenarios)[:10]
        ],
        own_metrics=collector.own.figures(collector.window_ns / 1e9),
    )


def _endpoints(collector: Collector) -> tuple[EndpointSoFar, ...]:
    last = collector.last
    completed = [0] * len(collector.endpoints)
    for part in last.endpoints if last else ():
        completed[part.endpoint] += part.completed
    seconds = last.duration_ns / 1e9 if last else 0.0
    return tuple(
        _endpoint(name, totals, count / seconds if seconds else 0.0)
        for name, totals, count in zip(collector.endpoints, collector.measured, completed, strict=True)
    )


def _endpoint(name: str, totals: EndpointInterval, per_second: float) -> EndpointSoFar:
    p50, p95, p99 = (milliseconds(value) for value in totals.response().percentiles((50, 95, 99)))
    return EndpointSoFar(
        name=name,
        requests_per_second=per_second,
        started=totals.started,
        completed=totals.completed,
        failed=totals.failed,
        latency_p50_ms=p50,
        latency_p95_ms=p95,
        latency_p99_ms=p99,
    )


def _errors(collector: Collector, *, warm_up: bool) -> tuple[ErrorSoFar, ...]:
    groups: dict[tuple[Outcome, str], tuple[int, int]] = {}
    for group in (collector.warm_up_failures if warm_up else collector.failures).groups():
        count, last_ns = groups.get((group.outcome, group.message), (0, 0))
        groups[group.outcome, group.message] = (count + group.count, max(last_ns, group.last_ns))
    errors = [
        ErrorSoFar(outcome=outcome, message=message, count=count, last_seconds=last_ns / 1e9)
        for (outcome, message), (count, last_ns) in groups.items()
    ]
    return tuple(sorted(errors, key=lambda error: -error.count))
