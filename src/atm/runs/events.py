"""Build the public run events (`atm.models.events`) from the state of an execution, and read them back from storage."""

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
    SampledIterationEvent,
    SampleEvent,
    SoFar,
    StartedEvent,
)

if TYPE_CHECKING:
    from atm.metrics.live_status import LiveStatus
    from atm.models.run_figures import FiguresSoFar, Second
    from atm.models.samples import SampledExchange, SampledIteration
    from atm.storage.records import Run, RunEvent

MOST_ERRORS = 10


def started(line: Mapping[str, Any], sequence: int) -> StartedEvent:
    """Return the event for the start of the load from the runner's spool line. Raises ValueError for another line."""
    return StartedEvent.model_validate({**line, "sequence": sequence})


def interval(status: LiveStatus, sequence: int, at: datetime) -> IntervalEvent:
    """Return the event for one completed second; `status` is the live status after it."""
    far = status.snapshot.so_far
    so_far = SoFar(
        **{**_fields(far), "errors": far.errors[:MOST_ERRORS]},
        thresholds=status.thresholds,
        measurement=status.measurement,
        reason=status.reason,
    )
    second = _fields(status.snapshot.second)
    return IntervalEvent(
        **second,
        sequence=sequence,
        at=at,
        so_far=so_far,
        own_metrics=status.snapshot.own_metrics,
        workers=status.snapshot.workers,
    )


def _fields(figures: Second | FiguresSoFar) -> dict[str, Any]:
    return {field.name: getattr(figures, field.name) for field in fields(figures)}


def sample(exchange: SampledExchange, sequence: int, at: datetime) -> SampleEvent:
    """Return the event for a sampled request."""
    names = set(SampleEvent.model_fields) - {"kind", "sequence", "at"}
    return SampleEvent(sequence=sequence, at=at, **{name: getattr(exchange, name) for name in names})


def sampled_iteration(iteration: SampledIteration, sequence: int, at: datetime) -> SampledIterationEvent:
    """Return the event for a sampled iteration."""
    names = set(SampledIterationEvent.model_fields) - {"kind", "sequence", "at"}
    return SampledIterationEvent(sequence=sequence, at=at, **{name: getattr(iteration, name) for name in names})


def finished(run: Run, sequence: int) -> FinishedEvent:
    """Return the end of a run from its stored row, the single source however the run ended."""
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
    """Return the JSON object of an event without the fields that storage has as columns."""
    # Through JSON text: only there +∞ becomes the string that the other formats use.
    document: dict[str, Any] = json.loads(EVENTS.dump_json(event, exclude={"kind", "sequence", "at"}))
    return document


def from_stored(stored: RunEvent) -> AnyRunEvent:
    """Return a stored event as its model. Raises ValueError for invalid data."""
    return EVENTS.validate_python(
        {**stored.data, "kind": stored.kind, "sequence": stored.sequence, "at": stored.at},
    )
