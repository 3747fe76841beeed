"""The result of a run, in the order and with the names of `atm run --json`.

Figures carry their unit in the name (`_ms`, `_seconds`, `_bytes`); null means no samples, and the string "Infinity" is
+∞ (a percentile that includes failures). Definitions: docs/concepts/what-every-number-means.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema, model_validator

from atm.errors import SpecError
from atm.models import figures
from atm.models.earlier_result import with_outcome
from atm.models.fleet_figures import FleetFigures
from atm.models.metric import Comparison, Metric, Statistic, Unit
from atm.models.outcome import Measurement as Measurement
from atm.models.outcome import Outcome, RunOutcome, RunStatus, StopReason
from atm.models.run_figures import (
    BlockingFigures,
    CheckFigures,
    DataFigures,
    ExceptionFigures,
    Figure,
    HookFigures,
    OwnFigures,
    ScenarioMetrics,
    TimelinePoint,
)
from atm.models.samples import ResultModel, SampledIteration
from atm.models.samples import SampledExchange as SampledExchange
from atm.models.threshold import parse_threshold


def is_empty(entries: Sequence[object]) -> bool:
    """Return whether a field is left out of the JSON, so that results without it stay as they were."""
    return not entries


def may_be_absent(schema: dict[str, Any]) -> None:
    """Remove the default from a field's JSON Schema, because readers get no value if the field is left out."""
    schema.pop("default", None)


def _is_none(value: object) -> bool:
    return value is None


class MeasurementReason(ResultModel):
    """One reason of the measurement verdict: a violated row of its table."""

    code: str
    """Stable name of the row: `schedule_lag`, `rate_missed`, `loop_stall`, `generator_errors`, …"""
    severity: Measurement
    what: str
    """The measured value and the limit, as text."""
    actual: float
    limit: float
    hint: str
    """How to fix it."""


class Verdict(ResultModel):
    """The verdicts of the thresholds and of the measurement."""

    passed: bool | None
    """True when no threshold failed; null for runs that ended in an error, were stopped or cancelled, or whose
    measurement is invalid."""
    outcome: RunOutcome
    """The single word for the run."""
    measurement: Measurement
    reasons: list[MeasurementReason]
    exit_code: int


class RunInfo(ResultModel):
    """Identity and timing of a run."""

    id: str
    name: str
    status: RunStatus
    stop_reason: StopReason | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    engine: str
    engine_version: str
    engine_reason: str
    """Why this engine was chosen: `native, the default`, `asyncio: the native engine is not installed`."""
    seed: int
    model: str
    """`closed` or `open`; `mixed` for several loads of both models."""
    error: str | None = None
    """Why a failed run failed."""
    stopped_by: str = ""
    """What ended a run before its plan did: `Ctrl-C`, `SIGTERM`; empty if nothing did, or unknown."""


class ThresholdResult(ResultModel):
    """The result of one threshold."""

    expression: str
    """Normalised expression: `checkout: ok p99 < 250 ms for 10 s`."""
    endpoint: str | None
    scenario: str | None = Field(default=None, exclude_if=_is_none, json_schema_extra=may_be_absent)
    """All steps of this scenario, or its iterations; absent for a spec without scenarios."""
    check: str | None = Field(default=None, exclude_if=_is_none, json_schema_extra=may_be_absent)
    """The name of the check; absent for other metrics."""
    own_metric: str | None = Field(default=None, exclude_if=_is_none, json_schema_extra=may_be_absent)
    """The name of a metric that the test declares; absent for other metrics."""
    own_unit: str | None = Field(default=None, exclude_if=_is_none, json_schema_extra=may_be_absent)
    """Its unit, `/s` included for a rate; absent for other metrics."""
    metric: Annotated[Metric, WithJsonSchema({"type": "string"})]
    """`latency`, `ok_latency`, `error_rate`, … (docs/reference/thresholds.md); later versions add more."""
    statistic: Statistic | None
    """The statistic of a time, or of a metric of the test, if it is not a percentile; else null."""
    percentile: float | None
    """0..100; null if it is not a percentile."""
    comparison: Comparison
    """The limit itself always passes."""
    window_seconds: int | None
    """Length of the windows; null for the whole run."""
    actual: Figure
    """In the unit of `unit`; null without data. For a threshold with a window, the value of its worst window."""
    limit: float
    unit: Unit
    """`ms`, `share` (0..1), `per_second` or `own`, which is then in `own_unit`."""
    passed: bool
    margin: float | None
    """Relative distance from the limit: 0.56 = 56 % to spare, -0.3 = 1.3 times the limit; null without data, for a
    limit of 0 and for +∞."""
    message: str
    """`no data`, the time of the worst window, or empty."""
    is_implied: bool = False
    """The default threshold of a spec without thresholds: no request fails."""

    @model_validator(mode="before")
    @classmethod
    def _of_a_text_alone(cls, document: Any) -> Any:
        """Derive the fields missing in results of version 0.1.0 from their threshold expression."""
        if not isinstance(document, dict) or "metric" in document or "expression" not in document:
            return document
        endpoint = document.get("endpoint")
        try:
            rule = parse_threshold(document["expression"], endpoints=() if endpoint is None else (endpoint,))
        except SpecError as error:
            raise ValueError(error.problems[0].what) from error
        judged = {
            "metric": rule.metric,
            "statistic": rule.statistic,
            "percentile": rule.percent,
            "comparison": rule.comparison,
            "window_seconds": rule.window_seconds,
        }
        return {**document, **judged}

    @property
    def measured(self) -> str:
        """The measured value with its unit; `-` without data."""
        return figures.measured(self.actual, self.unit, self.own_unit or "")

    @property
    def is_time_limit(self) -> bool:
        """Whether it limits a percentile of all requests over the whole run."""
        return (
            self.unit is Unit.MILLISECONDS
            and self.percentile is not None
            and self.comparison.is_upper
            and self.endpoint is None
            and self.scenario is None
            and self.window_seconds is None
        )

    @property
    def distance(self) -> str:
        """The distance from the limit: `56 % to spare`, `1.3 × the limit`; empty if undefined."""
        if self.actual is None or self.margin is None or math.isinf(self.actual):
            return ""
        if self.passed:
            return f"{figures.percent(self.margin)} to spare" if self.margin else "exactly at the limit"
        if self.actual < self.limit:
            return f"{figures.percent(-self.margin)} below the limit"
        return f"{figures.multiple(self.actual / self.limit)} the limit"


class EndpointMetrics(ResultModel):
    """The figures of the measured load (without warm-up), of one endpoint or, as `Metrics`, of all together."""

    total_requests: int
    """Requests started."""
    successful_requests: int
    failed_requests: int
    generator_errors: int
    unfinished: int
    due: int
    missed: int
    dropped: int
    skipped: int
    queued_at_end: int
    arrivals_waited: int
    latency_min_ms: Figure
    latency_max_ms: Figure
    latency_mean_ms: Figure
    latency_p50_ms: Figure
    latency_p90_ms: Figure
    latency_p95_ms: Figure
    latency_p99_ms: Figure
    latency_p99_9_ms: Figure
    service_min_ms: Figure
    service_max_ms: Figure
    service_mean_ms: Figure
    service_p50_ms: Figure
    service_p90_ms: Figure
    service_p95_ms: Figure
    service_p99_ms: Figure
    service_p99_9_ms: Figure
    first_byte_min_ms: Figure
    first_byte_max_ms: Figure
    first_byte_mean_ms: Figure
    first_byte_p50_ms: Figure
    first_byte_p90_ms: Figure
    first_byte_p95_ms: Figure
    first_byte_p99_ms: Figure
    first_byte_p99_9_ms: Figure
    ok_latency_min_ms: Figure
    ok_latency_max_ms: Figure
    ok_latency_mean_ms: Figure
    ok_latency_p50_ms: Figure
    ok_latency_p90_ms: Figure
    ok_latency_p95_ms: Figure
    ok_latency_p99_ms: Figure
    ok_latency_p99_9_ms: Figure
    failed_latency_min_ms: Figure = None
    """Of failed requests: full responses, and timeouts at the time waited."""
    failed_latency_max_ms: Figure = None
    failed_latency_mean_ms: Figure = None
    failed_latency_p50_ms: Figure = None
    failed_latency_p90_ms: Figure = None
    failed_latency_p95_ms: Figure = None
    failed_latency_p99_ms: Figure = None
    failed_latency_p99_9_ms: Figure = None
    adjusted_latency_min_ms: Figure
    adjusted_latency_max_ms: Figure
    adjusted_latency_mean_ms: Figure
    adjusted_latency_p50_ms: Figure
    adjusted_latency_p90_ms: Figure
    adjusted_latency_p95_ms: Figure
    adjusted_latency_p99_ms: Figure
    adjusted_latency_p99_9_ms: Figure
    wait_p50_ms: Figure
    wait_p99_ms: Figure
    wait_max_ms: Figure
    requests_per_second: float
    """Completed inside the window, per second."""
    throughput: float
    """Ok inside the window, per second."""
    offered_rate: Figure
    """Planned arrivals per second; null in the closed model. Of the whole run with open scenarios: iterations."""
    achieved_rate: float
    """Started, per second of the window. Of the whole run with open scenarios: iterations."""
    error_rate: float
    """Failed / completed, 0..1; 0 when nothing completed."""
    errors_by_type: dict[Outcome, int]
    status_code_counts: dict[int, int]
    total_bytes_received: int
    total_bytes_sent: int
    redirect_hops: int
    redialled: int
    clamped: int


class Metrics(EndpointMetrics):
    """The figures of the whole measured load."""

    duration_seconds: float
    """Length of the window."""
    drain_seconds: float
    barrier_seconds: float
    warm_up_seconds: float
    warm_up_requests: int
    """Requests started during warm-up, which are excluded from all figures here."""


class NamedEndpointMetrics(EndpointMetrics):
    """The figures of one endpoint."""

    name: str
    method: str
    url: str
    """As written in the spec, with templates, secrets masked."""

    @property
    def endpoint_name(self) -> str:
        """`name`, under its name in the first design."""
        return self.name

    @property
    def metrics(self) -> EndpointMetrics:
        """The figures, nested as in the first design."""
        return self


class FailureSummary(ResultModel):
    """Failures of one kind with one message at one endpoint, over the whole measured load."""

    outcome: Outcome
    endpoint: str
    message: str
    count: int
    first_seconds: float
    last_seconds: float
    """Since the start of the run."""
    sample: int | None
    """The request number of a sample of this failure."""
    example: str
    """The start of that sample's response body or error: one line, at most 200 characters."""


class GeneratorSummary(ResultModel):
    """Resource usage and lateness of the load generator."""

    schedule_lag_p50_ms: Figure
    schedule_lag_p99_ms: Figure
    schedule_lag_max_ms: Figure
    stalls: int
    stalled_seconds: float
    longest_stall_ms: float
    cpu_seconds: float
    cpu_share: float
    """CPU seconds per second, in cores: 1.3 = a core and a third."""
    cores: int
    busiest_thread_share: float
    """The median over the intervals, 0..1 of one core."""
    steal_share: float
    memory_peak_bytes: int
    connections_opened: int
    connections_lost: int
    connect_mean_ms: Figure
    tls_mean_ms: Figure
    dns_mean_ms: Figure
    max_in_flight: int


class RunResult(ResultModel):
    """The result of a run: printed by `atm run --json`, and stored."""

    run: RunInfo
    verdict: Verdict
    thresholds: list[ThresholdResult]
    metrics: Metrics
    endpoint_metrics: list[NamedEndpointMetrics]
    scenarios: list[ScenarioMetrics] = Field(default=[], exclude_if=is_empty, json_schema_extra=may_be_absent)
    """In the order of the spec; absent for a spec without scenarios."""
    checks: list[CheckFigures] = Field(default=[], exclude_if=is_empty, json_schema_extra=may_be_absent)
    """In the order of the spec; absent for a spec without named checks."""
    data: list[DataFigures] = Field(default=[], exclude_if=is_empty)
    """Test data in the order of the spec; absent for a spec without any."""
    exceptions: list[ExceptionFigures] = Field(default=[], exclude_if=is_empty, json_schema_extra=may_be_absent)
    """Exceptions of scenarios in code, the most frequent first; absent if there are none."""
    blocking: list[BlockingFigures] = Field(default=[], exclude_if=is_empty, json_schema_extra=may_be_absent)
    """Places in code that blocked the load generator, the longest first; absent if there are none."""
    own_metrics: list[OwnFigures] = Field(default=[], exclude_if=is_empty, json_schema_extra=may_be_absent)
    """The metrics that the test declares, in the order of their declaration; absent for a test that declares none."""
    setup: HookFigures | None = Field(default=None, exclude_if=_is_none, json_schema_extra=may_be_absent)
    """Absent for a spec without it."""
    teardown: HookFigures | None = Field(default=None, exclude_if=_is_none, json_schema_extra=may_be_absent)
    """Absent for a spec without it, and if nothing of the run was sent."""
    fleet: FleetFigures | None = Field(default=None, exclude_if=_is_none, json_schema_extra=may_be_absent)
    """The workers of a run on several of them; absent for a run in one process."""
    failures: list[FailureSummary]
    generator: GeneratorSummary
    environment: dict[str, Any]
    spec: dict[str, Any]
    """The spec as it ran, secrets masked."""
    timeline: list[TimelinePoint]
    samples: list[SampledExchange]
    sampled_iterations: list[SampledIteration] = Field(default=[], exclude_if=is_empty, json_schema_extra=may_be_absent)
    """By scenario and number; absent for a spec without scenarios."""
    histograms: dict[str, str]
    """`response`, `response_ok`, `service`, `first_byte` of the measured load: base64 of HdrHistogram's V2 encoding."""

    @model_validator(mode="before")
    @classmethod
    def _of_an_earlier_version(cls, document: Any) -> Any:
        return with_outcome(document) if isinstance(document, dict) else document

    @property
    def id(self) -> str:
        return self.run.id

    @property
    def status(self) -> RunStatus:
        return self.run.status

    @property
    def started_at(self) -> datetime | None:
        return self.run.started_at

    @property
    def completed_at(self) -> datetime | None:
        return self.run.completed_at

    @property
    def outcome(self) -> RunOutcome:
        """The single word for the run."""
        return self.verdict.outcome

    @property
    def passed(self) -> bool | None:
        return self.verdict.passed

    @property
    def failure_reasons(self) -> tuple[str, ...]:
        """Why the run did not pass, one sentence per reason."""
        from atm.models.failure_reasons import failure_reasons

        return (*failure_reasons(self), *((self.run.error,) if self.run.error else ()))

    @property
    def requests_completed(self) -> int:
        return self.metrics.successful_requests + self.metrics.failed_requests

    @property
    def requests_of_endpoints(self) -> dict[str, int]:
        """Requests sent to each endpoint."""
        return {entry.endpoint_name: entry.total_requests for entry in self.endpoint_metrics}

    @property
    def sampled_requests(self) -> list[SampledExchange]:
        return self.samples

    @property
    def endpoints_without_requests(self) -> list[str]:
        """The endpoints to which no measured request was sent; empty if none was sent at all."""
        if not self.metrics.total_requests:
            return []
        return [entry.name for entry in self.endpoint_metrics if not entry.total_requests]
