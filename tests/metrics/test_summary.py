"""The result of a run, from intervals whose figures are known."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from atm.metrics.collector import Collector
from atm.metrics.evidence import Circumstances
from atm.metrics.histogram import Histogram
from atm.metrics.summary import RunTimes, exit_code, summarize
from atm.models.exit_code import PRECEDENCE, ExitCode, first_of
from atm.models.outcome import Outcome, RunStatus, StopReason
from atm.models.outline import EndpointDescription
from atm.models.run import Measurement, RunInfo, RunResult, ThresholdResult
from tests.metrics.seconds import MS, SECOND, endpoint, failure_group, sample, second

GET = EndpointDescription("GET /users", "GET", "http://127.0.0.1/users")
POST = EndpointDescription("POST /orders", "POST", "http://127.0.0.1/orders")


def run_info(
    status: RunStatus = RunStatus.COMPLETED,
    stop_reason: StopReason | None = StopReason.DURATION,
    model: str = "open",
) -> RunInfo:
    moment = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    return RunInfo(
        id="7f3a2c",
        name="quickstart",
        status=status,
        stop_reason=stop_reason,
        created_at=moment,
        started_at=moment,
        completed_at=moment,
        engine="asyncio",
        engine_version="0.1.0",
        engine_reason="asyncio: the native engine is not installed",
        seed=7,
        model=model,
    )


def threshold_result(passed: bool) -> ThresholdResult:
    return ThresholdResult.model_validate(
        {
            "expression": "p99 < 300 ms",
            "endpoint": None,
            "actual": 132.0 if passed else 412.0,
            "limit": 300.0,
            "unit": "ms",
            "passed": passed,
            "margin": 0.56 if passed else -0.37,
            "message": "",
        }
    )


def summary_of(
    collector: Collector,
    times: RunTimes,
    run: RunInfo | None = None,
    thresholds: list[ThresholdResult] | None = None,
    **more: Any,
) -> RunResult:
    return summarize(
        collector,
        times,
        run or run_info(),
        [GET, POST][: len(collector.endpoints)],
        thresholds or [],
        circumstances=Circumstances(engine="asyncio", cores=2),
        environment={"python": "3.11"},
        spec={"url": "http://127.0.0.1/users"},
        **more,
    )


def collected() -> Collector:
    """Two seconds of load at 100/s after one of warm-up, then a drain; two failures, one unfinished, two missed."""
    collector = Collector(["GET /users", "POST /orders"], warm_up_ns=SECOND)
    collector.add(second(0, endpoint(0, [50.0] * 20, warm_up=True), phase="warm_up", offered=20.0))
    collector.add(
        second(
            1,
            endpoint(0, [10.0] * 98, bytes_received=9800),
            endpoint(1, [20.0] * 2, failures={Outcome.UNEXPECTED_STATUS: 1}, started=4),
            offered=103.0,
            failures=[failure_group(endpoint=1, first_ns=1_200 * MS, last_ns=1_200 * MS)],
            samples=[
                sample(
                    121,
                    "failure",
                    endpoint=1,
                    outcome=Outcome.UNEXPECTED_STATUS,
                    message="503, expected 200, 201 or 204",
                    body='{"error":\n "pool"}',
                )
            ],
        )
    )
    collector.add(second(2, endpoint(0, [10.0] * 95, dropped=1, skipped=1), offered=97.0))
    tail = endpoint(1, [], failures={Outcome.TIMEOUT: 1, Outcome.UNFINISHED: 1}, started=1, drained_failed=1)
    collector.add(second(3, tail, phase="drain", duration_ns=500 * MS))
    return collector


TIMES = RunTimes(window_start_ns=SECOND, window_end_ns=3 * SECOND, last_finish_ns=3 * SECOND + 400 * MS)


def test_counts_add_up_and_warm_up_is_in_none_of_them() -> None:
    metrics = summary_of(collected(), TIMES).metrics
    assert metrics.warm_up_requests == 20
    assert metrics.warm_up_seconds == 1.0
    assert metrics.due == metrics.total_requests + metrics.missed == 98 + 4 + 95 + 1 + 2
    assert metrics.total_requests == (
        metrics.successful_requests + metrics.failed_requests + metrics.generator_errors + metrics.unfinished
    )
    assert metrics.failed_requests == sum(metrics.errors_by_type.values()) == 2
    assert metrics.status_code_counts == {200: 195, 503: 1}
    assert metrics.total_bytes_received == 9800
    assert metrics.latency_max_ms == pytest.approx(2000, rel=1e-3)


def test_rates_count_what_finished_inside_the_window_only() -> None:
    metrics = summary_of(collected(), TIMES).metrics
    assert metrics.duration_seconds == 2.0
    assert metrics.drain_seconds == pytest.approx(0.4)
    assert metrics.requests_per_second == (195 + 1) / 2
    assert metrics.throughput == 195 / 2
    assert metrics.achieved_rate == 198 / 2
    assert metrics.offered_rate == 200 / 2
    assert metrics.error_rate == 2 / 197


def test_barrier_time_is_not_in_the_window() -> None:
    times = RunTimes(SECOND, 4 * SECOND, 4 * SECOND, barrier_ns=SECOND)
    metrics = summary_of(collected(), times).metrics
    assert metrics.duration_seconds == 2.0
    assert metrics.barrier_seconds == 1.0


def test_adjusted_latency_puts_every_failed_unfinished_and_missed_one_at_infinity() -> None:
    metrics = summary_of(collected(), TIMES).metrics
    assert metrics.adjusted_latency_p90_ms == pytest.approx(10, rel=1e-3)
    # 195 ok, 5 at infinity: the 99th percentile is the 198th of 200.
    assert metrics.adjusted_latency_p95_ms == pytest.approx(10, rel=1e-3)
    assert metrics.adjusted_latency_p99_ms == math.inf
    assert metrics.adjusted_latency_max_ms == math.inf
    assert metrics.adjusted_latency_mean_ms == math.inf
    assert metrics.ok_latency_p99_ms == pytest.approx(20, rel=1e-3)


def test_each_endpoint_has_figures_of_its_own() -> None:
    users, orders = summary_of(collected(), TIMES).endpoint_metrics
    assert (users.name, users.total_requests, users.failed_requests) == ("GET /users", 193, 0)
    assert (orders.name, orders.total_requests, orders.failed_requests, orders.unfinished) == ("POST /orders", 5, 2, 1)
    assert users.offered_rate == users.due / 2


def test_a_run_without_a_single_sample_has_null_and_not_zero() -> None:
    result = summary_of(Collector(["GET /users"]), RunTimes(0, 0, 0))
    metrics = json.loads(result.model_dump_json())["metrics"]
    assert metrics["latency_p99_ms"] is None
    assert metrics["adjusted_latency_p99_ms"] is None
    assert metrics["wait_max_ms"] is None
    assert metrics["requests_per_second"] == 0.0
    assert result.verdict.exit_code == ExitCode.PASSED


def test_json_spells_infinity_as_a_string_and_reads_back_equal() -> None:
    result = summary_of(collected(), TIMES, thresholds=[threshold_result(True)])
    text = result.model_dump_json()
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert document["metrics"]["adjusted_latency_p99_ms"] == "Infinity"
    assert RunResult.model_validate_json(text) == result
    assert list(document) == [
        "run",
        "verdict",
        "thresholds",
        "metrics",
        "endpoint_metrics",
        "failures",
        "generator",
        "environment",
        "spec",
        "timeline",
        "samples",
        "histograms",
    ]


def test_the_schema_knows_that_a_figure_may_be_infinity_or_null() -> None:
    field = RunResult.model_json_schema()["$defs"]["Metrics"]["properties"]["adjusted_latency_p99_ms"]
    kinds = json.dumps(field)
    assert '"Infinity"' in kinds
    assert '"null"' in kinds


def test_histograms_in_the_result_are_those_of_the_measured_load() -> None:
    result = summary_of(collected(), TIMES)
    response = Histogram.decode(base64.b64decode(result.histograms["response"]))
    assert response.total == 197
    assert response.percentile(99.9) == pytest.approx(2 * SECOND, rel=1e-3)


def test_a_failure_names_its_sample_and_one_line_of_its_body() -> None:
    (failure,) = summary_of(collected(), TIMES).failures
    assert (failure.endpoint, failure.count, failure.sample) == ("POST /orders", 1, 121)
    assert failure.example == '{"error": "pool"}'
    assert failure.first_seconds == 1.2


def test_times_of_a_sample_run_from_where_their_names_say() -> None:
    (exchange,) = summary_of(collected(), TIMES).samples
    assert (exchange.response_ms, exchange.service_ms, exchange.first_byte_ms) == (10.0, 9.0, 2.0)
    assert exchange.at_seconds == 121.0


def test_thresholds_decide_whether_a_completed_run_passed() -> None:
    held = summary_of(collected(), TIMES, thresholds=[threshold_result(True)], no_fail=True)
    failed = summary_of(collected(), TIMES, thresholds=[threshold_result(True), threshold_result(False)])
    unjudged = summary_of(collected(), TIMES)
    assert (held.verdict.passed, failed.verdict.passed, unjudged.verdict.passed) == (True, False, True)


@pytest.mark.parametrize("status", [RunStatus.CANCELLED, RunStatus.FAILED])
def test_a_run_that_did_not_complete_is_not_judged(status: RunStatus) -> None:
    run = run_info(status, StopReason.CANCELLED if status is RunStatus.CANCELLED else StopReason.FAILED)
    result = summary_of(collected(), TIMES, run, [threshold_result(False)])
    assert result.verdict.passed is None
    assert result.verdict.exit_code == (130 if status is RunStatus.CANCELLED else 1)


COMPLETED = run_info()
STOPPED = run_info(stop_reason=StopReason.STOPPED)
FAILED = run_info(RunStatus.FAILED, StopReason.FAILED)
VALID, SUSPECT, INVALID = Measurement.VALID, Measurement.SUSPECT, Measurement.INVALID


@pytest.mark.parametrize(
    ("run", "passed", "measurement", "unreachable", "options", "code"),
    [
        (COMPLETED, True, VALID, False, {}, 0),
        (COMPLETED, False, VALID, False, {}, 99),
        (COMPLETED, False, VALID, False, {"no_fail": True}, 0),
        (COMPLETED, True, SUSPECT, False, {}, 0),
        (COMPLETED, True, SUSPECT, False, {"strict": True}, 4),
        (COMPLETED, False, SUSPECT, False, {}, 99),
        (COMPLETED, False, SUSPECT, False, {"strict": True}, 4),
        (COMPLETED, False, INVALID, False, {}, 4),
        (COMPLETED, False, INVALID, True, {}, 3),
        (COMPLETED, False, INVALID, True, {"no_fail": True}, 0),
        (STOPPED, False, INVALID, True, {}, 130),
        (STOPPED, True, VALID, False, {"no_fail": True}, 130),
        (FAILED, None, INVALID, True, {}, 1),
        (FAILED, None, VALID, False, {"no_fail": True}, 1),
        (run_info(RunStatus.FAILED, StopReason.STOPPED), None, VALID, False, {}, 130),
        (run_info(stop_reason=StopReason.THRESHOLD), False, VALID, False, {}, 99),
    ],
)
def test_the_exit_code_says_the_most_important_thing(
    run: RunInfo, passed: bool | None, measurement: Measurement, unreachable: bool, options: dict[str, bool], code: int
) -> None:
    assert exit_code(run, passed=passed, measurement=measurement, unreachable=unreachable, **options) == code


def test_the_order_of_exit_codes_is_the_documented_one() -> None:
    assert [int(code) for code in PRECEDENCE] == [2, 130, 1, 3, 4, 99, 5, 6, 0]
    assert set(PRECEDENCE) == set(ExitCode)
    assert first_of([ExitCode.PASSED, ExitCode.REGRESSION, ExitCode.THRESHOLDS_FAILED]) is ExitCode.THRESHOLDS_FAILED
    assert first_of([]) is ExitCode.PASSED


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Outcome.CONNECT_ERROR, 3),
        (Outcome.TIMEOUT, 3),
        (Outcome.CONNECTION_CLOSED, 3),
        (Outcome.PROTOCOL_ERROR, 0),
        (Outcome.UNEXPECTED_STATUS, 0),
    ],
)
def test_a_target_is_unreachable_when_no_request_got_an_answer(failure: Outcome, code: int) -> None:
    collector = Collector(["GET /users"])
    collector.add(second(0, endpoint(failures={failure: 10})))
    assert summary_of(collector, RunTimes(0, SECOND, SECOND)).verdict.exit_code == code


def test_a_target_that_answered_in_warm_up_is_not_unreachable() -> None:
    collector = Collector(["GET /users"], warm_up_ns=SECOND)
    collector.add(second(0, endpoint(0, [10.0], warm_up=True), phase="warm_up"))
    collector.add(second(1, endpoint(failures={Outcome.CONNECT_ERROR: 10})))
    result = summary_of(collector, RunTimes(SECOND, 2 * SECOND, 2 * SECOND), run_info(model="closed"))
    assert (result.verdict.exit_code, result.verdict.passed) == (99, False)
    assert result.metrics.offered_rate is None


def test_the_generators_summary_says_what_it_used_and_how_late_it_was() -> None:
    collector = Collector(["GET /users"])
    interval = second(
        0,
        endpoint(0, [10.0] * 10),
        cpu_seconds=0.34,
        busiest_thread_share=0.3,
        stalls=2,
        stalled_ns=30 * MS,
        longest_stall_ns=20 * MS,
        memory_bytes=50_000_000,
        in_flight=7,
        connections_lost=1,
    )
    interval.generator.schedule_lag.record(MS // 5, 10)
    interval.generator.connect.record(2 * MS, 64)
    interval.generator.dns.record(4 * MS)
    collector.add(interval)
    generator = summary_of(collector, RunTimes(0, SECOND, SECOND)).generator
    assert generator.schedule_lag_p99_ms == pytest.approx(0.2, rel=1e-3)
    assert (generator.stalls, generator.stalled_seconds, generator.longest_stall_ms) == (2, 0.03, 20.0)
    assert (generator.cpu_share, generator.cores, generator.busiest_thread_share) == (0.34, 2, 0.3)
    assert (generator.memory_peak_bytes, generator.max_in_flight) == (50_000_000, 7)
    assert (generator.connections_opened, generator.connections_lost) == (64, 1)
    assert generator.connect_mean_ms == pytest.approx(2, rel=1e-3)
    assert generator.dns_mean_ms == pytest.approx(4, rel=1e-3)
    assert generator.tls_mean_ms is None


def test_our_own_errors_are_not_among_the_targets_failures() -> None:
    collector = Collector(["GET /users"])
    groups = [failure_group(Outcome.GENERATOR_ERROR, "no free local port", 3), failure_group(count=2)]
    failures = {Outcome.GENERATOR_ERROR: 3, Outcome.UNEXPECTED_STATUS: 2}
    collector.add(second(0, endpoint(0, [10.0] * 95, failures=failures), failures=groups))
    result = summary_of(collector, RunTimes(0, SECOND, SECOND))
    assert [failure.count for failure in result.failures] == [2]
    assert result.metrics.generator_errors == 3
    assert result.metrics.errors_by_type == {Outcome.UNEXPECTED_STATUS: 2}
    assert result.verdict.measurement is Measurement.INVALID
    assert result.verdict.exit_code == ExitCode.MEASUREMENT_INVALID
    (reason,) = result.verdict.reasons
    assert reason.what == "3.0 % of requests were never sent: 3 × no free local port"
