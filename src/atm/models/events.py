"""The events of a run: one typed union, the same from the runner, over SSE and over WebSocket.

Stored events have consecutive sequence numbers from 1; a reader can resume after the last one it has seen without loss.
`progress` is never stored, has no number, and may be skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from atm.dataclass import dataclass
from atm.models.fleet_figures import WorkerSecond
from atm.models.forecast import Forecast
from atm.models.outcome import Outcome, RunOutcome, RunStatus, StopReason
from atm.models.outline import CheckName, DataSource, EndpointDescription, ScenarioSteps
from atm.models.own_metric import OwnMetric
from atm.models.run import Measurement, ThresholdResult, is_empty, may_be_absent
from atm.models.run_figures import (
    CheckFigures,
    DataFigures,
    ExceptionFigures,
    FiguresSoFar,
    OwnFigures,
    ScenarioSoFar,
    Second,
)

_CONFIG = ConfigDict(extra="ignore", defer_build=True, ser_json_inf_nan="strings")


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, **_CONFIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoFar(FiguresSoFar):
    """The measured load up to the end of this second; during warm-up, the warm-up. At most ten errors."""

    scenarios: Annotated[Sequence[ScenarioSoFar], Field(exclude_if=is_empty, json_schema_extra=may_be_absent)] = ()
    """In the order of the spec; absent for a spec without scenarios."""
    checks: Annotated[Sequence[CheckFigures], Field(exclude_if=is_empty, json_schema_extra=may_be_absent)] = ()
    """In the order of the spec; absent for a spec without named checks."""
    data: Annotated[Sequence[DataFigures], Field(exclude_if=is_empty, json_schema_extra=may_be_absent)] = ()
    """In the order of the spec, warm-up included; absent for a spec without test data."""
    exceptions: Annotated[Sequence[ExceptionFigures], Field(exclude_if=is_empty, json_schema_extra=may_be_absent)] = ()
    """Most frequent first, without tracebacks; absent if there are none."""
    own_metrics: Annotated[Sequence[OwnFigures], Field(exclude_if=is_empty, json_schema_extra=may_be_absent)] = ()
    """In the order of their declaration; absent for a test that declares no metrics."""
    thresholds: Sequence[ThresholdResult] = ()
    """The current result of each threshold."""
    measurement: Measurement | None = None
    """The measurement verdict so far; null while nothing was measured."""
    reason: str = ""
    """Reasons why the measurement is not valid so far."""


class StartedEvent(_Event):
    """The load begins."""

    kind: Literal["started"] = "started"
    sequence: int
    at: datetime
    engine: str
    engine_reason: str
    seed: int
    endpoints: list[str]
    """Names, in the order of the spec."""
    model: Literal["closed", "open", "mixed"] | None = None
    """The load model of all scenarios, `mixed` if they differ; null in runs of earlier versions."""
    requests: list[EndpointDescription] = Field(default=[], exclude_if=is_empty, json_schema_extra=may_be_absent)
    """Method and URL of each endpoint, as written in the spec, secrets masked; absent in runs of earlier versions."""
    scenarios: list[ScenarioSteps] = Field(default=[], exclude_if=is_empty, json_schema_extra=may_be_absent)
    """Scenarios with their steps, as indices into `endpoints`; absent for a spec without scenarios."""
    checks: list[CheckName] = Field(default=[], exclude_if=is_empty, json_schema_extra=may_be_absent)
    """Absent for a spec without named checks."""
    data: list[DataSource] = Field(default=[], exclude_if=is_empty)
    """Absent for a spec without test data."""
    own_metrics: list[OwnMetric] = Field(default=[], exclude_if=is_empty, json_schema_extra=may_be_absent)
    """The metrics that the test declares; absent for a test without any."""
    warm_up_seconds: float
    planned_seconds: float | None
    """Planned length of the measured load; null if the number of requests decides."""
    planned_requests: int | None
    cores: int | None = None
    """Cores available to the load generator."""
    forecast: Forecast | None = None
    """The planned load over time; null in runs of earlier versions."""


@dataclass(frozen=True, kw_only=True)
class IntervalEvent(Second):
    """The figures of one second. Figures outside `so_far` cover this second alone."""

    __pydantic_config__ = _CONFIG

    kind: Literal["interval"] = "interval"
    sequence: int
    at: datetime
    so_far: SoFar
    own_metrics: Annotated[Sequence[OwnFigures], Field(exclude_if=is_empty, json_schema_extra=may_be_absent)] = ()
    """The metrics that the test declares, in the order of their declaration; absent for a test without any."""
    workers: Annotated[Sequence[WorkerSecond], Field(exclude_if=is_empty, json_schema_extra=may_be_absent)] = ()
    """The workers in this second, in their order; absent for a run in one process."""


class SampleEvent(_Event):
    """A request was sampled; `/runs/{id}/samples` has the whole sample."""

    kind: Literal["sample"] = "sample"
    sequence: int
    at: datetime
    request_number: int
    endpoint: str
    reason: str
    """`first` or `failure`."""
    outcome: Outcome
    message: str
    status: int | None
    response_ms: float
    at_seconds: float


class SampledIterationEvent(_Event):
    """A whole iteration of a scenario was sampled; `/runs/{id}/iterations` has it with its requests."""

    kind: Literal["iteration"] = "iteration"
    sequence: int
    at: datetime
    scenario: str
    number: int
    reason: Literal["first", "failure", "slowest"]
    """`slowest` ones are known at the end of the run, and not announced."""
    outcome: Literal["completed", "failed"]
    at_seconds: float
    time_ms: float
    active_ms: float
    """The time without think time."""


class ProgressEvent(_Event):
    """The status of a run; sent when it changes, and skipped where a newer one is known."""

    kind: Literal["progress"] = "progress"
    status: RunStatus
    requests_completed: int
    queue_position: int | None = None
    """Number of pending runs ahead of this one; null once it runs."""
    cancelling: bool = False


class FinishedEvent(_Event):
    """The run has ended; the last event."""

    kind: Literal["finished"] = "finished"
    sequence: int
    at: datetime
    status: RunStatus
    stop_reason: StopReason | None
    passed: bool | None
    outcome: RunOutcome
    measurement: Measurement | None
    error: str | None
    failure_reasons: list[str]


StoredEvent = Annotated[
    StartedEvent | IntervalEvent | SampleEvent | SampledIterationEvent | FinishedEvent,
    Field(discriminator="kind"),
]
RunEventMessage = Annotated[
    StartedEvent | IntervalEvent | SampleEvent | SampledIterationEvent | ProgressEvent | FinishedEvent,
    Field(discriminator="kind"),
]
AnyRunEvent = StartedEvent | IntervalEvent | SampleEvent | SampledIterationEvent | ProgressEvent | FinishedEvent

EVENTS: TypeAdapter[AnyRunEvent] = TypeAdapter(RunEventMessage, config=_CONFIG)
"""Parses an event from JSON. Raises pydantic.ValidationError."""


def event_json(event: AnyRunEvent) -> str:
    """Return an event as JSON text."""
    return EVENTS.dump_json(event).decode()
