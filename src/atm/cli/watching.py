"""A run that goes on elsewhere, as the live view shows it: from its events to the same course and standing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from atm.cli.progress import Course, Standing, course_of
from atm.errors import SpecError
from atm.metrics.snapshot import EndpointSnapshot, ErrorSnapshot, Snapshot
from atm.models.events import IntervalEvent, StartedEvent
from atm.plan.compile import compile_plan

RECENT_SECONDS = 60
LEAVES = "Ctrl-C leaves, and the run goes on"


class _Anything(Mapping[str, str]):
    """An environment in which everything is set: what the run was sent with is known only where it runs."""

    def __getitem__(self, name: str) -> str:
        return "-"

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def course_of_events(name: str, spec: Mapping[str, Any], started: StartedEvent, keys: str) -> Course:
    """What was known before the start, from a stored spec (credentials masked) and the first event."""
    cores = started.cores or 1
    try:
        plan = compile_plan(spec, _Anything(), default_seed=started.seed, read_file=lambda _name: b"")
    except SpecError:
        # A mask may stand where only a real value can be read; what the event says is enough to go by.
        seconds = started.planned_seconds
        return Course(
            name=name,
            load=f"{len(started.endpoints)} endpoints" if len(started.endpoints) > 1 else "1 endpoint",
            engine=started.engine,
            seed=started.seed,
            endpoints=tuple(started.endpoints),
            warm_up_seconds=started.warm_up_seconds,
            seconds=None if seconds is None else started.warm_up_seconds + seconds,
            total_requests=started.planned_requests,
            cores=cores,
            keys=keys,
        )
    course = course_of(plan.plan, started.engine, cores)
    return Course(**{**{field: getattr(course, field) for field in course.__dataclass_fields__}, "keys": keys})


class EventStanding:
    """How a run stands, from the seconds that it tells."""

    def __init__(self) -> None:
        self._rates: deque[float] = deque(maxlen=RECENT_SECONDS)
        self._p99s: deque[float | None] = deque(maxlen=RECENT_SECONDS)

    def after(self, second: IntervalEvent) -> Standing:
        """Take the next second."""
        self._rates.append(second.requests_per_second)
        self._p99s.append(second.latency_p99_ms)
        return Standing(
            self._snapshot(second), second.so_far.thresholds, second.so_far.measurement, second.so_far.reason
        )

    def _snapshot(self, second: IntervalEvent) -> Snapshot:
        far = second.so_far
        errors = tuple(ErrorSnapshot(each.outcome, each.message, each.count, each.last_seconds) for each in far.errors)
        return Snapshot(
            elapsed_seconds=second.second + second.duration_seconds,
            phase=second.phase,
            warm_up=second.warm_up,
            due=far.due,
            started=far.started,
            ok=far.ok,
            failed=far.failed,
            completed=far.completed,
            generator_errors=far.generator_errors,
            missed=far.missed,
            waited=far.waited,
            latency_p50_ms=far.latency_p50_ms,
            latency_p90_ms=far.latency_p90_ms,
            latency_p95_ms=far.latency_p95_ms,
            latency_p99_ms=far.latency_p99_ms,
            latency_max_ms=far.latency_max_ms,
            error_rate=far.error_rate,
            requests_per_second=second.requests_per_second,
            offered_rate=second.offered_rate,
            last_p50_ms=second.latency_p50_ms,
            last_p95_ms=second.latency_p95_ms,
            last_p99_ms=second.latency_p99_ms,
            rates=tuple(self._rates),
            p99s_ms=tuple(self._p99s),
            endpoints=tuple(
                EndpointSnapshot(
                    each.name,
                    each.requests_per_second,
                    each.started,
                    each.completed,
                    each.failed,
                    each.latency_p50_ms,
                    each.latency_p95_ms,
                    each.latency_p99_ms,
                )
                for each in far.endpoints
            ),
            errors=errors,
            last_failure_seconds=max((error.last_seconds for error in errors), default=None),
            users=second.users,
            in_flight=second.in_flight,
            waiting=second.waiting,
            schedule_lag_p99_ms=far.schedule_lag_p99_ms,
            cpu_share=second.cpu_share,
            busiest_thread_share=second.busiest_thread_share,
        )
