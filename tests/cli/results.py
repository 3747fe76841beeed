"""Results as runs leave them, built by hand for the tests of what people see."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from atm.metrics.histogram import Histogram
from atm.models.endpoint_metrics import Metrics, NamedEndpointMetrics
from atm.models.metric import Comparison, Metric, Unit
from atm.models.outcome import Outcome, RunStatus, StopReason, run_outcome
from atm.models.run import (
    FailureSummary,
    GeneratorSummary,
    Measurement,
    MeasurementReason,
    RunInfo,
    RunResult,
    SampledExchange,
    ThresholdResult,
    Verdict,
)
from atm.models.run_figures import TimelinePoint
from atm.models.threshold import IMPLIED_MESSAGE

STARTED = datetime(2026, 1, 31, 9, 14, 0, tzinfo=UTC)
COLUMNS = ("min", "max", "mean", "p50", "p90", "p95", "p99", "p99_9")


def kind(prefix: str, *values: float | None) -> dict[str, float | None]:
    return {f"{prefix}_{column}_ms": value for column, value in zip(COLUMNS, values, strict=True)}


NONE = (None,) * 8
INFINITE = float("inf")


def figures(**changes: Any) -> dict[str, Any]:
    """The measured figures of the example run."""
    return {
        "total_requests": 30_000,
        "successful_requests": 29_962,
        "failed_requests": 38,
        "generator_errors": 0,
        "unfinished": 0,
        "due": 30_000,
        "missed": 0,
        "dropped": 0,
        "skipped": 0,
        "queued_at_end": 0,
        "arrivals_waited": 0,
        **kind("latency", 1.2, 2040.0, 19.8, 12.4, 31.0, 48.9, 132.4, 690.1),
        **kind("service", 1.2, 2000.3, 18.4, 12.3, 30.6, 47.2, 98.1, 512.0),
        **kind("first_byte", 1.1, 1030.0, 17.0, 11.8, 29.9, 46.0, 96.4, 505.0),
        **kind("ok_latency", 1.2, 1030.0, 18.9, 12.4, 30.9, 48.7, 130.0, 600.0),
        **kind("adjusted_latency", 1.2, INFINITE, INFINITE, 12.4, 31.1, 49.3, 138.0, INFINITE),
        "wait_p50_ms": None,
        "wait_p99_ms": None,
        "wait_max_ms": None,
        "requests_per_second": 499.9,
        "throughput": 499.3,
        "offered_rate": 500.0,
        "achieved_rate": 499.9,
        "error_rate": 38 / 30_000,
        "errors_by_type": {Outcome.UNEXPECTED_STATUS: 26, Outcome.TIMEOUT: 12},
        "status_code_counts": {200: 29_962, 503: 26},
        "total_bytes_received": 48_180_000,
        "total_bytes_sent": 3_120_000,
        "redirect_hops": 0,
        "redialled": 0,
        "clamped": 0,
        **changes,
    }


def metrics(**changes: Any) -> Metrics:
    course = {
        "duration_seconds": 60.0,
        "drain_seconds": 0.4,
        "barrier_seconds": 0.0,
        "warm_up_seconds": 5.0,
        "warm_up_requests": 2_500,
    }
    return Metrics(**figures(**{**course, **changes}))


def endpoint(name: str, **changes: Any) -> NamedEndpointMetrics:
    method, path = name.split(" ", 1)
    return NamedEndpointMetrics(
        **figures(**{"name": name, "method": method, "url": f"http://127.0.0.1:8080{path}", **changes})
    )


def response_times() -> Histogram:
    """30,000 samples over ten rungs."""
    histogram = Histogram()
    counts = (1_204, 9_870, 12_430, 5_031, 1_010, 289, 112, 30, 18, 6)
    for milliseconds, count in zip((4, 8, 15, 40, 80, 150, 400, 900, 1_800, 2_040), counts, strict=True):
        histogram.record(milliseconds * 1_000_000, count)
    return histogram


def timeline() -> list[TimelinePoint]:
    return [
        TimelinePoint(
            second=second,
            phase="warm_up" if second < 5 else "load",
            warm_up=second < 5,
            duration_seconds=1.0,
            offered_rate=500.0,
            started=500,
            completed=498 if second % 17 else 420,
            failed=9 if 22 <= second <= 26 else 0,
            latency_p50_ms=None if second == 40 else 12.0 + second % 5,
            latency_p95_ms=None if second == 40 else 48.0 + second % 9,
            latency_p99_ms=None if second == 40 else (96.0 if second != 23 else 2040.0),
            latency_max_ms=None if second == 40 else (150.0 if second != 23 else 2040.0),
            in_flight=7,
            schedule_lag_p99_ms=0.21,
            cpu_share=0.68,
            errors={Outcome.UNEXPECTED_STATUS: 6, Outcome.TIMEOUT: 3} if 22 <= second <= 26 else {},
        )
        for second in range(65)
    ]


def sample() -> SampledExchange:
    return SampledExchange(
        request_number=12,
        endpoint="POST /orders",
        warm_up=False,
        reason="failure",
        outcome=Outcome.UNEXPECTED_STATUS,
        message="503, expected 201",
        at_seconds=17.2,
        response_ms=21.0,
        service_ms=20.9,
        first_byte_ms=20.1,
        status=503,
        url="http://127.0.0.1:8080/orders",
        request_head="POST /orders HTTP/1.1",
        request_headers=[("Host", "127.0.0.1:8080"), ("Authorization", "***")],
        request_body='{"item": 7}',
        request_body_bytes=11,
        response_head="HTTP/1.1 503 Service Unavailable",
        response_headers=[("Content-Type", "application/json")],
        response_body='{"error":"pool exhausted"}',
        response_body_bytes=26,
    )


def thresholds() -> list[ThresholdResult]:
    return [
        threshold("p99 < 300 ms", 132.4, 300.0, "ms", True, 0.56),
        threshold("error_rate < 0.1 %", 0.00127, 0.001, "share", False, -0.27, "all 38 on POST /orders"),
        threshold("rps > 450", 499.9, 450.0, "per_second", True, 0.11),
    ]


def threshold(
    expression: str,
    actual: float | None,
    limit: float,
    unit: str,
    passed: bool,
    margin: float | None,
    message: str = "",
    endpoint: str | None = None,
) -> ThresholdResult:
    metric, percentile = {
        "ms": (Metric.LATENCY, 99.0),
        "share": (Metric.ERROR_RATE, None),
        "per_second": (Metric.RPS, None),
    }[unit]
    return ThresholdResult(
        expression=expression,
        endpoint=endpoint,
        metric=metric,
        statistic=None,
        percentile=percentile,
        comparison=Comparison.MORE if metric is Metric.RPS else Comparison.LESS,
        window_seconds=None,
        actual=actual,
        limit=limit,
        unit=Unit(unit),
        passed=passed,
        margin=margin,
        message=message,
    )


def implied(actual: float | None) -> ThresholdResult:
    """The rule of a spec without thresholds."""
    held = actual == 0
    made = threshold("error_rate <= 0 %", actual, 0.0, "share", held, None, IMPLIED_MESSAGE)
    return made.model_copy(update={"is_implied": True})


def failures() -> list[FailureSummary]:
    return [
        FailureSummary(
            outcome=Outcome.UNEXPECTED_STATUS,
            endpoint="POST /orders",
            message="503, expected 201",
            count=26,
            first_seconds=17.2,
            last_seconds=20.9,
            sample=12,
            example='{"error":"pool exhausted"}',
        ),
        FailureSummary(
            outcome=Outcome.TIMEOUT,
            endpoint="POST /orders",
            message="no full answer in 2 s",
            count=12,
            first_seconds=18.1,
            last_seconds=20.4,
            sample=None,
            example="",
        ),
    ]


def generator(**changes: Any) -> GeneratorSummary:
    values: dict[str, Any] = {
        "schedule_lag_p50_ms": 0.04,
        "schedule_lag_p99_ms": 0.21,
        "schedule_lag_max_ms": 1.4,
        "stalls": 0,
        "stalled_seconds": 0.0,
        "longest_stall_ms": 0.0,
        "cpu_seconds": 40.8,
        "cpu_share": 0.68,
        "cores": 2,
        "busiest_thread_share": 0.34,
        "steal_share": 0.0,
        "memory_peak_bytes": 48_000_000,
        "connections_opened": 64,
        "connections_lost": 0,
        "connect_mean_ms": 0.2,
        "tls_mean_ms": 3.1,
        "dns_mean_ms": 0.4,
        "max_in_flight": 31,
    }
    return GeneratorSummary(**{**values, **changes})


def info(**changes: Any) -> RunInfo:
    values: dict[str, Any] = {
        "id": "7f3a2c",
        "name": "quickstart",
        "status": RunStatus.COMPLETED,
        "stop_reason": StopReason.DURATION,
        "created_at": STARTED,
        "started_at": STARTED,
        "completed_at": STARTED + timedelta(seconds=65),
        "engine": "native",
        "engine_version": "0.1.0",
        "engine_reason": "native, the default",
        "seed": 7,
        "model": "open",
    }
    return RunInfo(**{**values, **changes})


def reason(severity: Measurement, what: str, hint: str, code: str = "rate_missed") -> MeasurementReason:
    return MeasurementReason(code=code, severity=severity, what=what, actual=0.86, limit=0.98, hint=hint)


def verdict(
    passed: bool | None = False,
    measurement: Measurement = Measurement.VALID,
    reasons: list[MeasurementReason] | None = None,
    exit_code: int = 99,
) -> Verdict:
    outcome = run_outcome(RunStatus.COMPLETED, StopReason.DURATION, passed)
    return Verdict(passed=passed, outcome=outcome, measurement=measurement, reasons=reasons or [], exit_code=exit_code)


def result(**changes: Any) -> RunResult:
    """The example run: open, three endpoints, one threshold missed."""
    orders = {"failed_requests": 38, "successful_requests": 5_962, "total_requests": 6_000}
    values: dict[str, Any] = {
        "run": info(),
        "verdict": verdict(),
        "thresholds": thresholds(),
        "metrics": metrics(),
        "endpoint_metrics": [
            endpoint("GET /users", total_requests=15_000, successful_requests=15_000, failed_requests=0),
            endpoint("GET /orders/{id}", total_requests=9_000, successful_requests=9_000, failed_requests=0),
            endpoint("POST /orders", **orders, latency_p50_ms=21.7, latency_p95_ms=101.0, latency_p99_ms=410.0),
        ],
        "failures": failures(),
        "generator": generator(),
        "environment": {"python": "3.11", "system": "Linux"},
        "spec": {"name": "quickstart", "requests_per_second": 500, "concurrency": 64, "duration": 60.0, "seed": 7},
        "timeline": timeline(),
        "samples": [sample()],
        "histograms": {"response": base64.b64encode(response_times().encode()).decode()},
    }
    values |= changes
    run, judged = values["run"], values["verdict"]
    outcome = run_outcome(run.status, run.stop_reason, judged.passed)
    return RunResult(**{**values, "verdict": judged.model_copy(update={"outcome": outcome})})
