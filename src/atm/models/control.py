"""What goes over the Control API, beside specs, results and events: requests and answers, typed once for both sides.

Field names of the first design stay as they were (`/api/v1`); what is new adds to them.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from atm.models.outcome import Outcome, RunStatus, StopReason
from atm.models.run import EndpointMetrics, Figure, Measurement, Metrics, NamedEndpointMetrics, SampledExchange

SOURCE_HEADER = "X-ATM-Source"
"""How a front door that is a client of the API (the MCP server) says which one it is."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Notes = Annotated[str, StringConstraints(max_length=20_000)]
Tags = Annotated[list[Tag], Field(max_length=50)]


class _Answer(BaseModel):
    # A server of tomorrow may say more than a client of today knows.
    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="strings")


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


Spec = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-model": "TestSpec"})]
"""A test spec as plain data: the compiler checks it, and names every problem of it at once."""


# Errors (RFC 9457)


class ErrorEntry(_Answer):
    """One thing that is wrong."""

    message: str
    code: str
    """A stable snake_case name."""
    path: str = ""
    """Where: `spec.endpoints[1].url`, `query.limit`; empty where it has no place."""
    hint: str = ""


class ErrorDocument(_Answer):
    """`application/problem+json`: what was wrong, in one sentence and in full."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    """The first problem; how many more there are."""
    code: str
    errors: list[ErrorEntry]
    request_id: str = ""


# Runs


class NewRunRequest(_Request):
    """POST /runs."""

    spec: Spec
    tags: Tags = []
    notes: Notes = ""


class RerunRequest(_Request):
    """POST /runs/{id}/rerun; what is left out is as it was."""

    spec: Spec | None = None
    """An edited spec; a credential that is sent as `***` stays as it was, unless the spec now leads elsewhere."""
    tags: Tags | None = None
    notes: Notes = ""


class AnnotateRequest(_Request):
    """PATCH /runs/{id}; what is left out stays as it is."""

    tags: Tags | None = None
    notes: Notes | None = None


class RunAccepted(_Answer):
    """The answer to POST /runs."""

    id: str
    status: RunStatus
    message: str


class RunSummaryView(_Answer):
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
    measurement: Measurement | None
    requests_completed: int
    error_message: str | None
    engine: str
    source: str
    """`api`, `cli`, `schedule` or `import`."""
    tags: list[str]
    latency_p95_ms: Figure
    requests_per_second: Figure
    error_rate: Figure


class RunView(RunSummaryView):
    """A run with everything but its seconds."""

    notes: str
    spec: dict[str, Any]
    """Credentials are shown as `***`."""
    failure_reasons: list[str]
    metrics: Metrics | None
    endpoint_metrics: list[NamedEndpointMetrics] | None
    cancel_requested: Literal["graceful", "now"] | None
    has_credentials: bool
    """Whether a rerun needs no credentials to be sent again."""


class RunList(_Answer):
    """A page of runs, newest first."""

    runs: list[RunSummaryView]
    total: int | None
    """How many match; null when the page was asked for by `cursor`."""
    limit: int
    offset: int
    next: str | None
    """Send as `cursor` for the next page: stable, whatever is added or deleted meanwhile. Null on the last page."""


# Seconds


class SpreadView(_Answer):
    """How a time was distributed, in ms: null without samples, "Infinity" where it reaches into the failures."""

    min_ms: Figure
    mean_ms: Figure
    p50_ms: Figure
    p90_ms: Figure
    p95_ms: Figure
    p99_ms: Figure
    p99_9_ms: Figure
    max_ms: Figure


class PointView(_Answer):
    """One stretch of one endpoint (null: of all together); warm-up and measured load apart."""

    start: int
    endpoint: str | None
    warm_up: bool
    started: int
    completed: int
    ok: int
    failed: int
    missed: int
    outcomes: dict[Outcome, int]
    statuses: dict[int, int]
    bytes_received: int
    bytes_sent: int
    latency: SpreadView
    ok_latency: SpreadView
    adjusted_latency: SpreadView
    service: SpreadView
    first_byte: SpreadView


class GeneratorView(_Answer):
    """What the load generator did in one stretch."""

    start: int
    phase: str
    duration_seconds: float
    offered_rate: float
    users: int
    in_flight: int
    waiting: int
    stalls: int
    longest_stall_ms: float
    cpu_share: float
    busiest_thread_share: float
    memory_bytes: int
    open_connections: int
    schedule_lag: SpreadView


class WindowView(_Answer):
    """A whole window merged from histograms: percentiles of it, not averages of percentiles."""

    start: int
    end: int
    endpoints: list[PointView]
    """One for each endpoint that was asked for, and for warm-up where the window reaches into it."""


class IntervalsView(_Answer):
    """GET /runs/{id}/intervals."""

    run_id: str
    resolution: int
    """Seconds per point; 0: the whole run."""
    start: int
    end: int | None
    endpoints: list[str]
    """Names of all endpoints of the run."""
    points: list[PointView]
    generator: list[GeneratorView]
    window: WindowView | None
    """With `merge=true`."""
    last_event: int = 0
    """The number of the last event that is stored: `after` of the stream that goes on from here."""


class QuantilePoint(_Answer):
    """A percentile of every kind of time, in ms."""

    percentile: float
    response_ms: Figure
    service_ms: Figure
    first_byte_ms: Figure
    adjusted_ms: Figure


class RungView(_Answer):
    """A row of a histogram: samples above the row before it, up to and with `limit_ms`."""

    limit_ms: float
    count: int
    cumulative_share: float


class HeatColumn(_Answer):
    """How response times were distributed from `start` on."""

    start: int
    counts: list[int]


class HeatView(_Answer):
    """Counts by time and by response time, merged from histograms."""

    step: int
    """Seconds per column."""
    limits_ms: list[float]
    """Upper limits of the rows, on a logarithmic scale; the first row begins at `floor_ms`."""
    floor_ms: float
    columns: list[HeatColumn]


class DistributionView(_Answer):
    """GET /runs/{id}/distribution: any window of the measured load, from its merged histograms."""

    run_id: str
    start: int
    end: int
    endpoint: str | None
    samples: int
    curve: list[QuantilePoint]
    """Up to the last percentile with ten samples beyond it."""
    rungs: list[RungView]
    heat: HeatView


class TryRequest(_Request):
    """POST /specs/try."""

    spec: Spec


class TryAnswer(_Answer):
    """One request to each endpoint, whole."""

    exchanges: list[SampledExchange]


class TestHistory(_Answer):
    """A test name that occurs in the history."""

    __test__ = False

    name: str
    runs: int
    recent: list[RunSummaryView]
    """Its newest runs, newest first."""


class HistoryView(_Answer):
    """GET /history: the tests that were run, the one with the newest run first."""

    __test__ = False

    tests: list[TestHistory]
    total: int
    """How many test names match."""


# Specs


class ValidateRequest(_Request):
    """POST /specs/validate."""

    spec: Spec


class PlanView(_Answer):
    """What a spec would do."""

    name: str
    model: str
    endpoints: list[str]
    engine: str
    total_requests: int | None
    planned_seconds: float | None
    hosts: list[str]
    """Every host that it would dial: of its URLs, a proxy, `connect_to`, a token server. Redirects may lead further."""
    redirects: int
    peak: float
    """Users (closed) or arrivals per second (open), warm-up included."""
    most_seconds: float | None
    """An upper bound of how long it sends, warm-up included; null when no time bounds it."""
    most_requests: int | None
    """An upper bound of the requests, warm-up included; null when only the target's speed bounds them."""


class ValidateAnswer(_Answer):
    """Whether a spec can be run here; a spec that cannot is no error of the request."""

    valid: bool
    errors: list[ErrorEntry]
    notes: list[ErrorEntry]
    """What is allowed, but probably not meant."""
    plan: PlanView | None


class CurlRequest(_Request):
    """POST /import/curl."""

    command: Annotated[str, StringConstraints(min_length=1, max_length=200_000)]
    """A command line as browsers and documentation give it: `curl https://api.example.com -H …`."""
    name: Name | None = None


class CurlAnswer(_Answer):
    """The spec that a command line stands for."""

    spec: dict[str, Any]
    notes: list[str]
    """A word on each option that was left out."""


# Tests that are kept


class TestRequest(_Request):
    """POST /tests, PUT /tests/{test}. The name of a test is its spec's."""

    __test__ = False

    spec: Spec
    description: Notes = ""
    enabled: bool = True
    tags: Tags = []


class EnabledRequest(_Request):
    """POST /tests/{test}/enabled."""

    enabled: bool


class TestView(_Answer):
    """A test that is kept to be run again."""

    __test__ = False

    id: str
    name: str
    description: str
    enabled: bool
    tags: list[str]
    spec: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    runs: int
    """How many runs of this name there are."""
    last_run: RunSummaryView | None
    recent: list[RunSummaryView] = []
    """Its newest runs, newest first, where they were asked for."""


class TestList(_Answer):
    """GET /tests, by name."""

    __test__ = False

    tests: list[TestView]


class SyncAnswer(_Answer):
    """POST /tests/sync."""

    created: list[str]
    """Names of the tests that the history had and the list had not."""
    total: int


class StartedRuns(_Answer):
    """POST /tests/run-all."""

    runs: list[RunAccepted]
    skipped: list[ErrorEntry]
    """Tests that could not be started, and why."""


# Comparing


class Difference(_Answer):
    """One figure in both runs."""

    name: str
    a: Figure
    b: Figure
    change: float | None
    """(b - a) / a; null where that means nothing."""
    better: bool | None
    """Whether b is the better one; null where there is no better, or no difference."""


class CurvePoint(_Answer):
    """A percentile of both runs."""

    percentile: float
    a_ms: Figure
    b_ms: Figure


class ComparedEndpoint(_Answer):
    """An endpoint that both runs have, or one of them."""

    name: str
    a: EndpointMetrics | None
    b: EndpointMetrics | None
    differences: list[Difference]


class CompareAnswer(_Answer):
    """GET /compare."""

    a: RunSummaryView
    b: RunSummaryView
    differences: list[Difference]
    endpoints: list[ComparedEndpoint]
    curve: list[CurvePoint]
    """Response time by percentile, from the merged histograms of each run."""
    notes: list[str]
    """What keeps the two from being comparable: another spec, another machine, a measurement that is not valid."""


# The server itself


class HealthView(_Answer):
    """GET /health."""

    status: Literal["ok"] = "ok"
    version: str


class ReadyView(_Answer):
    """GET /health/ready."""

    status: Literal["ready", "unavailable"]
    storage: str
    """`ok`, or what is wrong with it."""


class StorageStatusView(_Answer):
    """GET /storage/status."""

    kind: str
    location: str
    schema_version: str
    size_bytes: int
    runs: dict[RunStatus, int]


class DayView(_Answer):
    """Runs that were created on one day, in UTC."""

    day: date
    runs: int
    passed: int
    failed: int
    """Runs that missed a threshold; the others were not judged."""


class NamedCount(_Answer):
    """How many runs there are of a test."""

    name: str
    runs: int


class RetentionView(_Answer):
    """What is kept for how long, in seconds since the end of a run; null: for ever."""

    runs_seconds: float | None
    runs_at_most: int | None
    intervals_seconds: float | None
    """Intervals of 1 s; coarser ones stay with the run."""
    samples_seconds: float | None
    firings_seconds: float | None
    """Firings of schedules, since they were due; the newest of each schedule stay."""


class StorageOverview(_Answer):
    """GET /storage/overview."""

    status: StorageStatusView
    schema_latest: str
    """What this version reads; `status.schema_version` is the same, or the server would not have started."""
    oldest: datetime | None
    newest: datetime | None
    """When the oldest and the newest run were created."""
    days: list[DayView]
    """The last ones up to today, also those without a run."""
    top_tests: list[NamedCount]
    """Those with the most runs."""
    retention: RetentionView


class EngineView(_Answer):
    """An engine, and whether it is installed here."""

    name: str
    installed: bool
    version: str | None


class LimitsView(_Answer):
    """What runs through this server may ask for; null: no limit."""

    max_concurrent_runs: int
    max_rate: float | None
    max_users: int | None
    max_duration_seconds: float | None
    max_body_bytes: int
    allowed_targets: list[str]
    """Hosts; empty: all but link-local and metadata addresses."""
    env_allow: list[str]
    """Environment variables that specs may read, beside TARGET_*."""


class ServerView(_Answer):
    """GET /server."""

    version: str
    python: str
    cores: int
    engines: list[EngineView]
    """In the order in which `engine: auto` tries them."""
    limits: LimitsView
    has_keys: bool
    """Whether a key is asked for; without one only this machine is answered."""


RoleName = Literal["viewer", "operator", "admin"]
"""Each may all that the one before it may: look; start, change and delete; make and revoke keys."""


class SessionRequest(_Request):
    """POST /session."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=512)]


class SessionView(_Answer):
    """Who is asking."""

    role: RoleName
    name: str
    """Of the key; `local` without one."""
    expires_at: datetime | None


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("should have printable characters only")
    return text


class KeyRequest(_Request):
    """POST /keys."""

    name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128), AfterValidator(_printable)
    ]
    """Who or what will use it: ci, grafana, anna."""
    role: RoleName = "operator"


class KeyView(_Answer):
    """An API key, without the key."""

    id: str
    name: str
    role: RoleName
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class KeyList(_Answer):
    """GET /keys."""

    keys: list[KeyView]


class KeyCreated(KeyView):
    """The answer to POST /keys."""

    key: str
    """It is shown this once."""


class ListChange(_Answer):
    """An event of GET /events: a run is new, has changed, or is gone."""

    kind: Literal["run", "deleted"]
    id: str
    run: RunSummaryView | None = None
