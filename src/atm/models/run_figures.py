"""Figures of a run, each declared once: the collector makes them, storage, events and the API carry them.

Plain dataclasses, so that the live view of `atm run` needs no pydantic; models of pydantic take them as they are.
Times are in ms and end in `_ms`; None is no data, and +∞ ("Infinity" in JSON) reaches into the failures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from atm.models.outcome import Outcome


class _FigureSchema:
    """What pydantic asks for a JSON Schema."""

    def __get_pydantic_json_schema__(self, _core: Any, _handler: Any) -> dict[str, Any]:
        return {"anyOf": [{"type": "number"}, {"const": "Infinity", "type": "string"}]}


Figure = Annotated[float, _FigureSchema()] | None
"""A number in the unit of its name, null without samples, +∞ as the string "Infinity" in JSON."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How a time was distributed, in ms: null without samples, "Infinity" where it reaches into the failures."""

    min_ms: Figure
    mean_ms: Figure
    p50_ms: Figure
    p90_ms: Figure
    p95_ms: Figure
    p99_ms: Figure
    p99_9_ms: Figure
    max_ms: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A stretch of a run: percentiles of it alone, null where nothing finished."""

    second: int
    """Its start, in seconds since the start of the run."""
    phase: str
    """Where it ended."""
    warm_up: bool
    duration_seconds: float
    offered_rate: float
    """Arrivals asked for, per second; 0 in the closed model."""
    started: int
    completed: int
    failed: int
    latency_p50_ms: Figure
    latency_p95_ms: Figure
    latency_p99_ms: Figure
    latency_max_ms: Figure
    in_flight: int
    schedule_lag_p99_ms: Figure
    cpu_share: float
    """Of one core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelinePoint(Stretch):
    """One point of the timeline of a result: a second, or more of them in a long run."""

    errors: dict[Outcome, int] = field(default_factory=dict)
    """Failures by their kind; no zeros."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Second(Stretch):
    """One second of a run, as it is told while the run goes on."""

    requests_per_second: float
    """Completed."""
    outcomes: dict[Outcome, int]
    """How requests ended in this second, by outcome; no zeros."""
    missed: int
    users: int
    waiting: int
    busiest_thread_share: float
    """Of one core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSoFar:
    """One endpoint since the start of the measured load."""

    name: str
    requests_per_second: float
    """Completed in the last second."""
    started: int
    completed: int
    failed: int
    latency_p50_ms: Figure
    latency_p95_ms: Figure
    latency_p99_ms: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSoFar:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresSoFar:
    """The measured load up to the end of this second; during warm-up, the warm-up."""

    due: int
    started: int
    ok: int
    failed: int
    completed: int
    generator_errors: int
    missed: int
    waited: int
    error_rate: float
    """Failed / completed; 0 when nothing completed."""
    latency_p50_ms: Figure
    latency_p90_ms: Figure
    latency_p95_ms: Figure
    latency_p99_ms: Figure
    latency_max_ms: Figure
    schedule_lag_p99_ms: Figure
    endpoints: Sequence[EndpointSoFar]
    errors: Sequence[ErrorSoFar]
    """The most frequent first."""
