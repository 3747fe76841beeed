"""The records of runs, with ids and tags: frozen dataclasses, independent of the backend.

Times are UTC and timezone-aware. Ids are 1 to 64 characters of `A-Z a-z 0-9 _ -`, chosen by the creator of the object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any

from atm.dataclass import dataclass
from atm.errors import ConflictError, Problem
from atm.models.failure_reasons import failure_reasons
from atm.models.outcome import Outcome, RunOutcome, RunStatus, StopReason, run_outcome
from atm.models.run import Measurement, RunResult

FINAL = frozenset({RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.FAILED})
"""The final states of a run."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def is_id(value: str) -> bool:
    """Return whether a text is a valid id."""
    return _ID.fullmatch(value) is not None


def checked_id(value: str) -> str:
    """Return `value` if it is a valid id, which excludes path traversal. Raises ConflictError."""
    if not is_id(value):
        raise ConflictError(
            Problem(f"{value[:80]!r} is not a valid id", "invalid_id", hint="use 1 to 64 of A-Z a-z 0-9 _ -")
        )
    return value


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags trimmed, sorted and deduplicated. Raises ConflictError for one over 128 characters."""
    cleaned = sorted({tag.strip() for tag in tags} - {""})
    long = next((tag for tag in cleaned if len(tag) > 128), None)
    if long is not None:
        raise ConflictError(Problem(f"the tag {long[:20]!r}… is longer than 128 characters", "invalid_tag"))
    return tuple(cleaned)


def search_text(name: str, url: str) -> str:
    """Return the text for the `text` filter: the first 512 characters of name and URL, in lower case."""
    return f"{name} {url}".lower().replace("\0", "")[:512]


class RunSource(StrEnum):
    """The interface that started a run."""

    API = "api"
    CLI = "cli"
    MCP = "mcp"
    """An agent, through the MCP server."""
    SCHEDULE = "schedule"
    IMPORT = "import"


class CancelRequest(StrEnum):
    """A request to end a running run. `NOW` replaces `GRACEFUL`, never the reverse."""

    GRACEFUL = "graceful"
    """No new starts; requests in flight may finish."""
    NOW = "now"
    """No new starts, and connections are closed."""


@dataclass(frozen=True, slots=True)
class RunBatch:
    """A batch of runs started together."""

    id: str
    most_running: int | None = None
    """How many of them may run concurrently; None: only the limit of the installation applies."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch that has runs; its state is that of its runs."""

    batch: RunBatch
    created_at: datetime
    """When its first run was created."""
    runs: int


@dataclass(frozen=True, slots=True)
class BatchPage:
    """A page of batches, newest first."""

    batches: tuple[StoredBatch, ...]
    total: int


@dataclass(frozen=True, slots=True)
class NewRun:
    """An accepted run that has not started."""

    id: str
    name: str
    url: str
    """URL of the first endpoint, as written in the spec, secrets masked."""
    method: str
    created_at: datetime
    spec: Mapping[str, Any]
    """The spec with its secrets masked."""
    total_requests: int | None = None
    concurrency: int | None = None
    engine: str = ""
    source: RunSource = RunSource.API
    tags: tuple[str, ...] = ()
    notes: str = ""
    sealed: bytes | None = None
    """The full spec, encrypted (see `seal.py`), if it has credentials; never exported."""
    idempotency_key: str | None = None
    request_digest: str = ""
    """Digest of the request with the key: the same key with another digest is a conflict."""
    batch: RunBatch | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    """See `Run.files`."""


@dataclass(frozen=True, slots=True)
class Created:
    """The result of `create`: a new run, or the one created earlier with the same idempotency key."""

    run: Run
    is_new: bool


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to a running run, proven by its token."""

    run_id: str
    token: str


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The lease of a running run. A beat unchanged for 15 s of the observer's clock means a dead runner."""

    run_id: str
    owner: str
    """Free text for display: host, process id."""
    token: str
    beat: int


@dataclass(frozen=True, slots=True)
class RunControl:
    """The state that a recorder polls about every 100 ms: the current token and a cancel request."""

    status: RunStatus
    token: str | None
    cancel: CancelRequest | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run as a list entry, stored without reading any document.

    A new field needs a column of the same name and a field of `RunSummaryView`; `figures_of` sets its value for
    finished runs. It needs a default, so that older files stay readable.
    """

    id: str
    name: str
    url: str
    method: str
    total_requests: int | None
    concurrency: int | None
    status: RunStatus
    created_at: datetime
    engine: str
    source: RunSource
    tags: tuple[str, ...]
    stop_reason: StopReason | None = None
    started_at: datetime | None = None
    """Start of the load; None before that, also for a claimed run."""
    completed_at: datetime | None = None
    passed: bool | None = None
    measurement: Measurement | None = None
    requests_completed: int = 0
    error_message: str | None = None
    latency_p95_ms: float | None = None
    requests_per_second: float | None = None
    error_rate: float | None = None
    """The three metrics of a finished run that lists show; None before the end, and without samples."""
    endpoint_count: int = 1
    """Number of endpoints in the spec; `url` is that of the first one."""

    @property
    def outcome(self) -> RunOutcome:
        """The outcome derived from status, stop reason and verdict."""
        return run_outcome(self.status, self.stop_reason, self.passed)


def endpoint_count_of(spec: Mapping[str, Any]) -> int:
    """Return the number of endpoints in a stored spec."""
    endpoints = spec.get("endpoints")
    return max(len(endpoints), 1) if isinstance(endpoints, list) else 1


def summary_of(run: NewRun, status: RunStatus) -> RunSummary:
    """Return the summary of a run that has not started. Raises ConflictError for an invalid tag."""
    return RunSummary(
        id=run.id,
        name=run.name,
        url=run.url,
        method=run.method,
        total_requests=run.total_requests,
        concurrency=run.concurrency,
        status=status,
        created_at=run.created_at,
        engine=run.engine,
        source=run.source,
        tags=checked_tags(run.tags),
        endpoint_count=endpoint_count_of(run.spec),
    )


def figures_of(result: RunResult) -> dict[str, Any]:
    """Return the fields of a `RunSummary` that come from the result."""
    metrics, verdict = result.metrics, result.verdict
    return {
        "passed": verdict.passed,
        "measurement": verdict.measurement,
        "requests_completed": metrics.successful_requests + metrics.failed_requests,
        "latency_p95_ms": metrics.latency_p95_ms,
        "requests_per_second": metrics.requests_per_second,
        "error_rate": metrics.error_rate,
    }


@dataclass(frozen=True, slots=True)
class Run:
    """A run in full, without its time series."""

    summary: RunSummary
    notes: str
    spec: Mapping[str, Any]
    failure_reasons: tuple[str, ...]
    """Sentences on why a run did not pass: failed thresholds with their actual value, or the error that ended it."""
    metrics: Mapping[str, Any] | None
    """`Metrics` of a finished run as JSON."""
    endpoint_metrics: tuple[Mapping[str, Any], ...] | None
    """`NamedEndpointMetrics` of a finished run as JSON."""
    cancel: CancelRequest | None
    sealed: bytes | None = field(repr=False, default=None)
    files: Mapping[str, str] = field(default_factory=dict)
    """The files of its test that it used: the digest of each (SHA-256) by name."""

    @property
    def id(self) -> str:
        return self.summary.id

    @property
    def status(self) -> RunStatus:
        return self.summary.status


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a run. `status` is one of `FINAL`."""

    status: RunStatus
    completed_at: datetime
    result: RunResult | None = None
    """None when nothing was measured."""
    error_message: str | None = None
    stop_reason: StopReason | None = None

    def __post_init__(self) -> None:
        if self.status not in FINAL:
            raise ValueError(f"a run does not end as {self.status}")

    @property
    def failure_reasons(self) -> tuple[str, ...]:
        """The value of `Run.failure_reasons`."""
        reasons = failure_reasons(self.result) if self.result else ()
        return (*reasons, *((self.error_message,) if self.error_message else ()))


class Order(StrEnum):
    """The order of lists by creation."""

    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class RunCursor:
    """The last run of a page; the next page begins after it, unaffected by runs added or deleted meanwhile."""

    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class RunQuery:
    """A query for runs; conditions are combined with AND. `offset` is for `limit/offset` paging."""

    name: str | None = None
    """Exact name."""
    tag: str | None = None
    status: RunStatus | None = None
    passed: bool | None = None
    outcome: RunOutcome | None = None
    measurement: Measurement | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Created at or after `since`, and before `until`."""
    batch: str | None = None
    """Only runs of the batch with this id."""
    text: str | None = None
    """Substring of name or URL (of their first 512 characters), ignoring case."""
    order: Order = Order.NEWEST
    limit: int = 50
    offset: int = 0
    after: RunCursor | None = None
    with_total: bool = True


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of runs; `next` is None on the last page, `total` when it was not requested."""

    runs: tuple[RunSummary, ...]
    total: int | None
    next: RunCursor | None


@dataclass(frozen=True, slots=True)
class RunEvent:
    """A stored event of a run. The run's single writer numbers `sequence` from 1 without gaps."""

    sequence: int
    kind: str
    at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SampleQuery:
    """A query for samples; conditions are combined with AND."""

    endpoint: str | None = None
    outcome: Outcome | None = None
    status: int | None = None
    reason: str | None = None
    """`first`, `failure` or `slowest`."""
    minimum_ms: float | None = None
    """Minimum response time."""
    start: int = 0
    end: int | None = None
    """Finished within [start, end), in seconds since the start of the run, as in intervals."""
