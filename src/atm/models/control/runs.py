"""Runs, the list of runs, and its changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from atm.models.control.base import Answer, Name, Notes, Request, Spec, Tags
from atm.models.control.first_design import EndpointMetricsView, SampledRequest
from atm.models.endpoint_metrics import Metrics
from atm.models.fleet_figures import WorkerSecond
from atm.models.outcome import RunOutcome, RunStatus, StopReason
from atm.models.run import Measurement, is_empty, may_be_absent
from atm.models.run_figures import Figure


class NewRunRequest(Request):
    """POST /runs."""

    spec: Spec
    tags: Tags = Field([])
    notes: Notes = ""
    test: Name | None = None
    """The stored test whose files the spec may name; by default it may name none."""


class RerunRequest(Request):
    """POST /runs/{id}/rerun; missing fields are taken from the run."""

    spec: Spec | None = None
    """An edited spec; a credential sent as `***` is unchanged, unless the spec now has other targets."""
    tags: Tags | None = None
    notes: Notes = ""


class AnnotateRequest(Request):
    """PATCH /runs/{id}; missing fields are unchanged."""

    tags: Tags | None = None
    notes: Notes | None = None


class RunAccepted(Answer):
    """The response to POST /runs."""

    id: str
    status: RunStatus
    message: str


class RunSummaryView(Answer):
    """A run in a list."""

    id: str
    name: str
    url: str
    method: str
    total_requests: int | None
    concurrency: int | None
    status: RunStatus
    stop_reason: StopReason | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    passed: bool | None
    """Null while it runs, and for runs that were stopped, cancelled, invalid or could not be carried out."""
    outcome: RunOutcome
    """The single word for the run."""
    measurement: Measurement | None
    requests_completed: int
    error_message: str | None
    engine: str
    source: str
    """`api`, `cli`, `mcp`, `schedule` or `import`."""
    tags: list[str]
    latency_p95_ms: Figure
    requests_per_second: Figure
    error_rate: Figure
    endpoint_count: int
    """With more than one, `url` and `method` are those of the first."""


class RunView(RunSummaryView):
    """A run without its intervals."""

    notes: str
    spec: dict[str, Any]
    """With all fields of the first design, set or not; credentials are shown as `***`."""
    written_spec: dict[str, Any]
    """As it was written, credentials shown as `***`."""
    failure_reasons: list[str]
    """Why it did not pass, one sentence per reason."""
    metrics: Metrics | None
    """The figures so far while it runs; zeros and null for a run that measured nothing."""
    endpoint_metrics: list[EndpointMetricsView] | None
    cancel_requested: Literal["graceful", "now"] | None
    has_credentials: bool
    """Whether a rerun needs no credentials."""
    files: dict[str, str] = Field({})
    """The files of its test that it used: the SHA-256 digest of each by name."""


class RunDetail(RunView):
    """GET /runs/{id}."""

    sampled_requests: list[SampledRequest]
    """At most 100 samples; `/samples` has all of them."""
    workers: Sequence[WorkerSecond] = Field((), exclude_if=is_empty, json_schema_extra=may_be_absent)
    """During a run on several workers: each of them in the last second. Its result has `fleet`."""


class Deleted(Answer):
    """The response to a DELETE."""

    id: str
    deleted: bool = True
    message: str


class RunList(Answer):
    """A page of runs, newest first."""

    runs: list[RunSummaryView]
    total: int | None
    """Number of matching runs; null for a page requested by `cursor`."""
    limit: int
    offset: int
    next: str | None
    """Send as `cursor` for the next page: stable while runs are added or deleted. Null on the last page."""


class ListChange(Answer):
    """An event of GET /events: a run was created, changed or deleted."""

    kind: Literal["run", "deleted"]
    id: str
    run: RunSummaryView | None = None
