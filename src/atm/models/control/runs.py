"""Runs, one and many, and what changes in their list."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from atm.models.control.base import Answer, Notes, Request, Spec, Tags
from atm.models.control.first_design import EndpointMetricsView, SampledRequest
from atm.models.outcome import RunOutcome, RunStatus, StopReason
from atm.models.run import Measurement, Metrics
from atm.models.run_figures import Figure


class NewRunRequest(Request):
    """POST /runs."""

    spec: Spec
    tags: Tags = Field([])
    notes: Notes = ""


class RerunRequest(Request):
    """POST /runs/{id}/rerun; what is left out is as it was."""

    spec: Spec | None = None
    """An edited spec; a credential that is sent as `***` stays as it was, unless the spec now leads elsewhere."""
    tags: Tags | None = None
    notes: Notes = ""


class AnnotateRequest(Request):
    """PATCH /runs/{id}; what is left out stays as it is."""

    tags: Tags | None = None
    notes: Notes | None = None


class RunAccepted(Answer):
    """The answer to POST /runs."""

    id: str
    status: RunStatus
    message: str


class RunSummaryView(Answer):
    """A run as a line in a list."""

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
    """The one word for the run."""
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
    """A run with everything but its seconds."""

    notes: str
    spec: dict[str, Any]
    """With all fields of the first design, also those that were not written; credentials are shown as `***`."""
    written_spec: dict[str, Any]
    """As it was written, credentials shown as `***`."""
    failure_reasons: list[str]
    """Why it did not pass, a sentence each."""
    metrics: Metrics | None
    """The figures so far while it runs; of a run that measured nothing, zeros and null."""
    endpoint_metrics: list[EndpointMetricsView] | None
    cancel_requested: Literal["graceful", "now"] | None
    has_credentials: bool
    """Whether a rerun needs no credentials to be sent again."""


class RunDetail(RunView):
    """GET /runs/{id}."""

    sampled_requests: list[SampledRequest]
    """The requests that were kept, at most 100; `/samples` has all of them."""


class Deleted(Answer):
    """The answer to a DELETE."""

    id: str
    deleted: bool = True
    message: str


class RunList(Answer):
    """A page of runs, newest first."""

    runs: list[RunSummaryView]
    total: int | None
    """How many match; null when the page was asked for by `cursor`."""
    limit: int
    offset: int
    next: str | None
    """Send as `cursor` for the next page: stable, whatever is added or deleted meanwhile. Null on the last page."""


class ListChange(Answer):
    """An event of GET /events: a run is new, has changed, or is gone."""

    kind: Literal["run", "deleted"]
    id: str
    run: RunSummaryView | None = None
