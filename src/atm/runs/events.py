"""From what an execution knows to the events that the world sees (`atm.models.events`), and back from storage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from atm.models.events import (
    EVENTS,
    AnyRunEvent,
    FinishedEvent,
    IntervalEvent,
    SampleEvent,
    SoFar,
    StartedEvent,
)

if TYPE_CHECKING:
    from atm.metrics.live_status import LiveStatus
    from atm.models.run import SampledExchange
    from atm.models.run_figures import FiguresSoFar, Second
    from atm.storage.records import Run, RunEvent

MOST_ERRORS = 10


def started(line: Mapping[str, Any], sequence: int) -> StartedEvent:
    """The load begins; `line` is the runner's. Raises ValueError on anything else."""
    return StartedEvent.model_validate({**line, "sequence": sequence})


def interval(standing: LiveStatus, sequence: int, at: datetime) -> IntervalEvent:
    """One second has passed; `standing` was taken after it."""
    far = standing.snapshot.so_far
    so_far = SoFar(
        **{**_fields(far), "errors": far.errors[:MOST_ERRORS]},
        thresholds=standing.thresholds,
        measurement=standing.measurement,
        reason=standing.reason,
    )
    return IntervalEvent(**_fields(standing.snapshot.second), sequence=sequence, at=at, so_far=so_far)


def _fields(figures: Second | FiguresSoFar) -> dict[str, Any]:
    return {field.name: getattr(figures, field.name) for field in fields(figures)}


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
    # By way of the text: only there +∞ is the string that it is everywhere else.
    document: dict[str, Any] = json.loads(EVENTS.dump_json(event, exclude={"kind", "sequence", "at"}))
    return document


def from_stored(stored: RunEvent) -> AnyRunEvent:
    """An event as it was before it was stored. Raises ValueError on anything else."""
    return EVENTS.validate_python(
        {**stored.data, "kind": stored.kind, "sequence": stored.sequence, "at": stored.at},
    )
