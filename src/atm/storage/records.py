"""The nouns that go into storage and come out of it: frozen, without a trace of where they are kept.

Times of day are UTC and timezone-aware. Ids are 1 to 64 of `A-Z a-z 0-9 _ -`, made by whoever creates the thing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from atm.errors import ConflictError, Problem
from atm.models.failure_reasons import failure_reasons
from atm.models.outcome import Outcome, RunOutcome, RunStatus, StopReason, run_outcome
from atm.models.run import Measurement, RunResult

FINAL = frozenset({RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.FAILED})
"""The states that a run never leaves."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def is_id(value: str) -> bool:
    """Whether this can be an id."""
    return _ID.fullmatch(value) is not None


def checked_id(value: str) -> str:
    """`value`, when it can be an id; a file name that leaves its folder cannot. Raises ConflictError."""
    if not is_id(value):
        raise ConflictError(
            Problem(f"{value[:80]!r} cannot be an id", "invalid_id", hint="use 1 to 64 of A-Z a-z 0-9 _ -")
        )
    return value


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags without blanks around them, sorted, each once. Raises ConflictError for one over 128 characters."""
    cleaned = sorted({tag.strip() for tag in tags} - {""})
    long = next((tag for tag in cleaned if len(tag) > 128), None)
    if long is not None:
        raise ConflictError(Problem(f"the tag {long[:20]!r}… is longer than 128 characters", "invalid_tag"))
    return tuple(cleaned)


def search_text(name: str, url: str) -> str:
    """What the `text` filter looks into: the first 512 characters of name and URL, in lower case."""
    return f"{name} {url}".lower().replace("\0", "")[:512]


class RunSource(StrEnum):
    """Who started a run."""

    API = "api"
    CLI = "cli"
    MCP = "mcp"
    """An agent, through the MCP server."""
    SCHEDULE = "schedule"
    IMPORT = "import"


class CancelRequest(StrEnum):
    """What was asked of a running run. `NOW` replaces `GRACEFUL`, never the other way round."""

    GRACEFUL = "graceful"
    """No new starts; what is in flight may finish."""
    NOW = "now"
    """No new starts, and connections are closed."""


@dataclass(frozen=True, slots=True)
class RunBatch:
    """Runs that were started together."""

    id: str
    most_running: int | None = None
    """At most this many of them run at the same time; null: no limit of their own."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that has been accepted and not begun."""

    id: str
    name: str
    url: str
    """The first endpoint's, as written in the spec, secrets masked."""
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
    """The literal credentials of the spec, encrypted (see `seal.py`); never exported."""
    idempotency_key: str | None = None
    request_digest: str = ""
    """Of the request that carried the key: the same key with another digest is a conflict."""
    batch: RunBatch | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """What `create` did: a new run, or the one that this idempotency key had made before."""

    run: Run
    is_new: bool


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to a running run: whoever holds the token may, all others are refused."""

    run_id: str
    token: str


@dataclass(frozen=True, slots=True)
class LeaseState:
    """What an observer sees of a running run. A beat that stands still for 15 s of *its* clock is a dead runner."""

    run_id: str
    owner: str
    """Free text for people: host, process id."""
    token: str
    beat: int


@dataclass(frozen=True, slots=True)
class RunControl:
    """What a runner asks for every 100 ms or so: is the lease still mine, and was I asked to end?"""

    status: RunStatus
    token: str | None
    cancel: CancelRequest | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run as a line in a list: nothing here needs a document to be read.

    A field that is added here needs a column of the same name and a field of `RunSummaryView`; what it is in a finished
    run is said in `figures_of`. With a default, files that were written before it stay readable.
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
    """When the load began; null while it has not, also in a run that was claimed."""
    completed_at: datetime | None = None
    passed: bool | None = None
    measurement: Measurement | None = None
    requests_completed: int = 0
    error_message: str | None = None
    latency_p95_ms: float | None = None
    requests_per_second: float | None = None
    error_rate: float | None = None
    """The three figures of a finished run that a list shows; null before, and without samples."""
    endpoint_count: int = 1
    """Of the spec; with more than one, `url` is only that of the first."""

    @property
    def outcome(self) -> RunOutcome:
        """The one word for this run."""
        return run_outcome(self.status, self.stop_reason, self.passed)


def endpoint_count_of(spec: Mapping[str, Any]) -> int:
    """How many endpoints a stored spec has."""
    endpoints = spec.get("endpoints")
    return max(len(endpoints), 1) if isinstance(endpoints, list) else 1


def summary_of(run: NewRun, status: RunStatus) -> RunSummary:
    """The line of a run that has not begun. Raises ConflictError for a tag that cannot be one."""
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
    """The fields of a `RunSummary` that a result decides."""
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
    """A run with everything but its second-by-second history; `result` is there when it has finished."""

    summary: RunSummary
    notes: str
    spec: Mapping[str, Any]
    failure_reasons: tuple[str, ...]
    """Why a run did not pass, a sentence each: thresholds with their actual value, or what ended it."""
    metrics: Mapping[str, Any] | None
    """`Metrics` as JSON; of a finished run."""
    endpoint_metrics: tuple[Mapping[str, Any], ...] | None
    """`NamedEndpointMetrics` as JSON; of a finished run."""
    cancel: CancelRequest | None
    sealed: bytes | None = field(repr=False, default=None)

    @property
    def id(self) -> str:
        return self.summary.id

    @property
    def status(self) -> RunStatus:
        return self.summary.status


@dataclass(frozen=True, slots=True)
class Finish:
    """How a run ended. `status` is one of `FINAL`."""

    status: RunStatus
    completed_at: datetime
    result: RunResult | None = None
    """Null where nothing could be measured."""
    error_message: str | None = None
    stop_reason: StopReason | None = None

    def __post_init__(self) -> None:
        if self.status not in FINAL:
            raise ValueError(f"a run does not end as {self.status}")

    @property
    def failure_reasons(self) -> tuple[str, ...]:
        """The sentences of `Run.failure_reasons`."""
        found = failure_reasons(self.result) if self.result else ()
        return (*found, *((self.error_message,) if self.error_message else ()))


class Order(StrEnum):
    """Of lists by creation."""

    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class RunCursor:
    """The last run of a page: the next page begins after it, whatever was added or deleted meanwhile."""

    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs, and how many. All conditions hold together; `offset` is for the first page's `limit/offset` form."""

    name: str | None = None
    """Exactly this name."""
    tag: str | None = None
    status: RunStatus | None = None
    passed: bool | None = None
    outcome: RunOutcome | None = None
    measurement: Measurement | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Created at or after `since`, and before `until`."""
    text: str | None = None
    """Somewhere in name or URL (their first 512 characters), ignoring case."""
    order: Order = Order.NEWEST
    limit: int = 50
    offset: int = 0
    after: RunCursor | None = None
    with_total: bool = True


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of runs; `next` is null on the last page, `total` where it was not asked for."""

    runs: tuple[RunSummary, ...]
    total: int | None
    next: RunCursor | None


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One stored event of a run. `sequence` counts from 1, without gaps, by the run's single writer."""

    sequence: int
    kind: str
    at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SampleQuery:
    """Which of the kept samples; all conditions hold together."""

    endpoint: str | None = None
    outcome: Outcome | None = None
    status: int | None = None
    reason: str | None = None
    """`first`, `failure` or `slowest`."""
    minimum_ms: float | None = None
    """Response time of at least this."""
    start: int = 0
    end: int | None = None
    """Finished within [start, end), in seconds since the start of the run: as intervals count them."""


@dataclass(frozen=True, slots=True)
class TestConfig:
    """A test that is kept to be run again. Names are unique."""

    __test__ = False  # pytest collects classes by their name

    id: str
    name: str
    spec: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    description: str = ""
    enabled: bool = True
    tags: tuple[str, ...] = ()
    sealed: bytes | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class TestInHistory:
    """A test name that occurs in the history, with its newest run."""

    __test__ = False  # as above

    name: str
    runs: int
    last_run: RunSummary


class Role(StrEnum):
    """What the holder of an API key may do; each may all that the one before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A named key, known by its hash only. Of keys that are not revoked no two names are, or look, the same."""

    id: str
    name: str
    role: Role
    key_hash: str = field(repr=False)
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    expires_at: datetime | None = None
    """From then on it opens nothing; null: never."""
    released_at: datetime | None = None
    """When a local command let those without a key in again; until then this key keeps the installation closed."""
    tags: tuple[str, ...] = ()
    """It starts and changes only what carries one of these; empty: everything."""
    networks: tuple[str, ...] = ()
    """It opens only to clients of these networks; empty: of all."""
    runs_per_hour: int | None = None
    """The most runs that it may start within an hour."""


def hash_api_key(key: str) -> str:
    """SHA-256 in hex. Enough for keys of 128 random bits and more, where guessing is hopeless however fast the hash."""
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """What `prune` removes; null keeps for ever. Runs that have not ended are never touched."""

    runs_for: timedelta | None = None
    """Runs that ended longer ago are deleted, …"""
    runs_at_most: int | None = None
    """… and the oldest beyond this number."""
    seconds_for: timedelta | None = None
    """Intervals of 1 s of runs that ended longer ago are removed; those of 10 s, 60 s and the whole run stay."""
    samples_for: timedelta | None = None
    """Samples (requests and responses) of runs that ended longer ago are removed."""
    audit_for: timedelta | None = None
    """Entries of the audit log that are older are removed; those of the last day always stay."""
    firings_for: timedelta | None = None
    """Firings of schedules that were due longer ago and are over are removed, and what was sent about them; of each
    schedule the newest (`atm.storage.schedules.KEPT_FIRINGS`) stay."""


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was removed, or would be: ids of runs deleted, runs that lost their 1 s intervals, and their samples."""

    runs: tuple[str, ...]
    seconds: tuple[str, ...]
    samples: tuple[str, ...]
    firings: int = 0
    """How many firings of schedules."""
    audit: int = 0
    """How many entries of the audit log."""


@dataclass(frozen=True, slots=True)
class StorageStatus:
    """What there is to say about the storage itself."""

    kind: str
    """`sqlite`, `postgresql` or `json`."""
    location: str
    """A path, or host and database; never a password."""
    schema_version: str
    schema_latest: str
    """What this version of the program reads."""
    size_bytes: int
    runs: Mapping[RunStatus, int]
    """Every status, also with 0."""
