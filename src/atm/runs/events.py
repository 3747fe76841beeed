"""From what an execution knows to the events that the world sees (`atm.models.events`), and back from storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from atm.models.events import (
    EVENTS,
    AnyRunEvent,
    EndpointSoFar,
    ErrorSoFar,
    FinishedEvent,
    IntervalEvent,
    SampleEvent,
    SoFar,
    StartedEvent,
)
from atm.models.outcome import Outcome

if TYPE_CHECKING:
    from atm.metrics.interval import Interval
    from atm.metrics.snapshot import Snapshot
    from atm.models.run import Measurement, SampledExchange, ThresholdResult
    from atm.storage.records import Run, RunEvent

MOST_ERRORS = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """How thresholds and measurement stand after a second."""

    thresholds: Sequence[ThresholdResult] = ()
    measurement: Measurement | None = None
    reason: str = ""


def started(line: Mapping[str, Any], sequence: int) -> StartedEvent:
    """The load begins; `line` is the runner's. Raises ValueError on anything else."""
    return StartedEvent.model_validate({**line, "sequence": sequence})


def interval(
    second: Interval, snapshot: Snapshot, sequence: int, at: datetime, judged: Judged | None = None
) -> IntervalEvent:
    """One second has passed; `snapshot` was taken after it, and `judged` is how it stands."""
    return IntervalEvent(
        sequence=sequence,
        at=at,
        second=second.second,
        phase=second.phase,
        warm_up=snapshot.warm_up,
        duration_seconds=second.duration_ns / 1e9,
        offered_rate=snapshot.offered_rate,
        requests_per_second=snapshot.requests_per_second,
        started=sum(part.started for part in second.endpoints),
        completed=sum(part.completed for part in second.endpoints),
        failed=sum(part.failed for part in second.endpoints),
        latency_p50_ms=snapshot.last_p50_ms,
        latency_p95_ms=snapshot.last_p95_ms,
        latency_p99_ms=snapshot.last_p99_ms,
        latency_max_ms=_milliseconds(_slowest(second)),
        outcomes=_outcomes(second),
        missed=sum(part.missed for part in second.endpoints),
        schedule_lag_p99_ms=_milliseconds(second.generator.schedule_lag.percentile(99)),
        users=snapshot.users,
        in_flight=snapshot.in_flight,
        waiting=snapshot.waiting,
        cpu_share=snapshot.cpu_share,
        busiest_thread_share=snapshot.busiest_thread_share,
        so_far=_so_far(snapshot, judged or Judged()),
    )


def _slowest(second: Interval) -> int | None:
    kept = ("response_ok", "response_failed", "response_timeout")
    times = [getattr(part, name).maximum for part in second.endpoints for name in kept]
    return max((each for each in times if each is not None), default=None)


def _outcomes(second: Interval) -> dict[Outcome, int]:
    found: Counter[Outcome] = Counter()
    for part in second.endpoints:
        found.update(part.outcomes)
    return dict(found)


def _milliseconds(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6


def _so_far(snapshot: Snapshot, judged: Judged) -> SoFar:
    return SoFar(
        due=snapshot.due,
        started=snapshot.started,
        ok=snapshot.ok,
        failed=snapshot.failed,
        completed=snapshot.completed,
        generator_errors=snapshot.generator_errors,
        missed=snapshot.missed,
        waited=snapshot.waited,
        error_rate=snapshot.error_rate,
        latency_p50_ms=snapshot.latency_p50_ms,
        latency_p90_ms=snapshot.latency_p90_ms,
        latency_p95_ms=snapshot.latency_p95_ms,
        latency_p99_ms=snapshot.latency_p99_ms,
        latency_max_ms=snapshot.latency_max_ms,
        schedule_lag_p99_ms=snapshot.schedule_lag_p99_ms,
        endpoints=[
            EndpointSoFar(**{name: getattr(each, name) for name in EndpointSoFar.model_fields})
            for each in snapshot.endpoints
        ],
        errors=[
            ErrorSoFar(**{name: getattr(each, name) for name in ErrorSoFar.model_fields})
            for each in snapshot.errors[:MOST_ERRORS]
        ],
        thresholds=list(judged.thresholds),
        measurement=judged.measurement,
        reason=judged.reason,
    )


def sample(kept: SampledExchange, sequence: int, at: datetime) -> SampleEvent:
    """A request has been kept whole."""
    names = set(SampleEvent.model_fields) - {"kind", "sequence", "at"}
    return SampleEvent(sequence=sequence, at=at, **{name: getattr(kept, name) for name in names})


def finished(run: Run, sequence: int) -> FinishedEvent:
    """The end of a run as its row tells it, so that there is one truth about it however it came to its end."""
    summary = run.summary
    return FinishedEvent(
        sequence=sequence,
        at=summary.completed_at or summary.created_at,
        status=summary.status,
        stop_reason=summary.stop_reason,
        passed=summary.passed,
        outcome=summary.outcome,
        measurement=summary.measurement,
        error=summary.error_message,
        failure_reasons=list(run.failure_reasons),
    )


def to_data(event: AnyRunEvent) -> dict[str, Any]:
    """The JSON object of an event without what storage keeps in columns."""
    return event.model_dump(mode="json", exclude={"kind", "sequence", "at"})


def from_stored(stored: RunEvent) -> AnyRunEvent:
    """An event as it was before it was stored. Raises ValueError on anything else."""
    return EVENTS.validate_python(
        {**stored.data, "kind": stored.kind, "sequence": stored.sequence, "at": stored.at},
    )
