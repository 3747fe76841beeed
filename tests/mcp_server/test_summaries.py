"""What a model reads of a result, on results of every kind: verdicts first, units, and short."""

from __future__ import annotations

from typing import Any

import pytest

from atm.mcp_server import summaries
from atm.mcp_server.findings import findings
from atm.models.outcome import Outcome, RunStatus, StopReason
from atm.models.run import Measurement, RunResult
from atm.models.run_figures import HookFigures
from tests.cli import results
from tests.mcp_server.agent import tokens
from tests.metrics.shop import DATA, shop_result, shop_result_with_data

LATE = results.reason(Measurement.INVALID, "schedule lag p99 40 ms, limit 10 ms", "`--rate 100`", "schedule_lag")


def text(result: RunResult) -> str:
    return "\n".join(summaries.result(result))


def nothing_answered() -> RunResult:
    figures = results.metrics(
        total_requests=10,
        successful_requests=0,
        failed_requests=10,
        error_rate=1.0,
        status_code_counts={},
        **results.kind("latency", *results.NONE),
        **results.kind("service", *results.NONE),
        **results.kind("adjusted_latency", *[results.INFINITE] * 8),
    )
    refused = results.failures()[0].model_copy(
        update={"outcome": Outcome.CONNECT_ERROR, "message": "connection refused", "count": 10}
    )
    return results.result(metrics=figures, failures=[refused], thresholds=[results.implied(1.0)])


KINDS: dict[str, RunResult] = {
    "failed": results.result(),
    "no thresholds": results.result(thresholds=[results.implied(0.0)], verdict=results.verdict(True)),
    "invalid": results.result(verdict=results.verdict(None, measurement=Measurement.INVALID, reasons=[LATE] * 5)),
    "cancelled": results.result(run=results.info(status=RunStatus.CANCELLED, stop_reason=StopReason.CANCELLED)),
    "engine died": results.result(
        run=results.info(status=RunStatus.FAILED, stop_reason=StopReason.FAILED, error="the engine died")
    ),
    "nothing answered": nothing_answered(),
    "scenarios": shop_result(),
    "test data": shop_result().model_copy(update={"data": list(DATA[1:])}),
    "many": results.result(thresholds=results.thresholds() * 20, failures=results.failures() * 30),
}


def test_a_summary_tells_what_setup_and_teardown_did() -> None:
    setup = HookFigures(status="failed", steps=1, seconds=0.5, failed_step="setup/log in", message="503")
    lines = summaries.result(results.result(setup=setup, teardown=HookFigures(status="passed", steps=2, seconds=1.5)))
    assert 'setup: failed at "setup/log in": "503", 1 request in 500 ms' in lines
    assert "teardown: passed, 2 requests in 1.5 s" in lines


def test_a_summary_tells_which_rows_of_test_data_were_used() -> None:
    lines = summaries.result(shop_result_with_data())
    assert 'rows of test data used: "words" 10/10 (20 again, all after 2 s), "accounts" 30/1,200' in lines


def test_a_summary_tells_what_became_of_iterations_and_checks() -> None:
    lines = summaries.result(shop_result())
    assert (
        'scenario "browse": 30 iterations = 20 completed + 8 failed + 2 unfinished; 3 missed; 8/s, time p50 1.00 s, '
        "p95 3.00 s (without think time 100 ms)"
    ) in lines
    assert '- not every iteration reached: "open" 71.4 %' in lines
    assert "checks: 3 of 5 passed every time" in lines
    assert '- FAILED "in stock known" at "browse/open": 1 of 20 failed' in lines
    assert '- 1 never evaluated: "never judged"' in lines


@pytest.mark.parametrize("result", KINDS.values(), ids=list(KINDS))
def test_every_result_fits_in_four_hundred_tokens(result: RunResult) -> None:
    assert tokens(text(result)) < 400


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("failed", "FAILED: 1 of 3 thresholds. Run "),
        (
            "no thresholds",
            "PASSED: its threshold held (implied: the spec has no thresholds, so no request may fail). Run ",
        ),
        ("invalid", "INVALID: the measurement is not reliable, so it says nothing about the target. Run "),
        ("cancelled", "CANCELLED before its planned end, so the figures cover only a part. Run "),
        ("engine died", "ERROR: the engine died. Run "),
        (
            "nothing answered",
            "FAILED: 1 of 1 thresholds (implied: the spec has no thresholds, so no request may fail)"
            "; NOTHING SUCCEEDED. Run ",
        ),
    ],
)
def test_the_verdict_comes_first(kind: str, first: str) -> None:
    assert text(KINDS[kind]).startswith(first)


def test_a_result_reads_as_the_report_does() -> None:
    said = text(KINDS["failed"]).splitlines()
    assert said[1].startswith("- FAILED error_rate < 0.1 %: 0.13 % (1.3 × the limit)")
    assert "measurement valid: the load generator was not the limit" in said
    assert "requests: 30,000 started = 29,962 ok + 38 failed (0.13 %), in 60.0 s" in said
    assert "rate: 499.9/s completed, 499.3/s ok of 500/s offered" in said
    assert any(line.startswith("response time p50 12.4 ms, p90 31.0 ms, p95 48.9 ms, p99 132 ms, max") for line in said)
    assert any(line.startswith("- 26 × unexpected_status at ") for line in said)


def test_an_invalid_measurement_is_said_before_any_time() -> None:
    said = text(KINDS["invalid"])
    assert said.index("INVALID: do not quote these times") < said.index("response time")
    assert "schedule lag p99 40 ms" in said


def kinds_of(result: RunResult, **wanted: Any) -> list[str]:
    return [
        each.what for each in findings(result) if all(getattr(each, name) == value for name, value in wanted.items())
    ]


def test_an_explanation_begins_with_the_verdict_and_names_the_threshold() -> None:
    [first, *_] = findings(KINDS["failed"])
    assert (first.kind, first.severity) == ("verdict", "bad")
    assert "error_rate < 0.1 %: 0.13 %" in first.why


def test_a_run_without_thresholds_of_its_own_is_offered_some() -> None:
    [first, *_] = findings(KINDS["no thresholds"])
    assert first.next == 'add thresholds, for example ["p99 < 146ms", "error_rate < 1%"]'


def test_an_invalid_measurement_is_explained_with_its_remedy() -> None:
    found = [each for each in findings(KINDS["invalid"]) if each.kind == "measurement"]
    assert {each.severity for each in found} == {"bad"}
    assert found[0].next == "`--rate 100`"


def test_no_answer_at_all_is_one_finding_with_its_cause() -> None:
    found = [each for each in findings(KINDS["nothing answered"]) if each.kind == "failures"]
    assert [each.why for each in found] == ["nothing listens there, or a firewall blocks it"]


def test_statuses_are_told_apart() -> None:
    for status, why in ((401, "credentials"), (404, "URL"), (429, "rate"), (302, "redirects"), (503, "target fails")):
        failure = results.failures()[0].model_copy(
            update={"outcome": Outcome.UNEXPECTED_STATUS, "message": f"{status}, expected 200"}
        )
        found = [each for each in findings(results.result(failures=[failure])) if each.kind == "failures"]
        assert why in found[0].why


def test_a_queue_before_the_target_is_told_from_a_slow_target() -> None:
    waited = results.metrics(latency_p99_ms=900.0, service_p99_ms=98.0)
    assert any("service time p99 only" in what for what in kinds_of(results.result(metrics=waited), kind="latency"))
    assert not any("service time p99 only" in what for what in kinds_of(results.result(), kind="latency"))


def test_few_requests_make_no_p99() -> None:
    few = results.metrics(successful_requests=90, failed_requests=0, total_requests=90)
    assert any("p99 is based on 90 requests" in what for what in kinds_of(results.result(metrics=few), kind="latency"))


def test_the_slow_endpoint_is_named() -> None:
    slow = results.endpoint("POST /orders", latency_p99_ms=700.0)
    entries = [results.endpoint("GET /a", latency_p99_ms=50.0), results.endpoint("GET /b", latency_p99_ms=60.0), slow]
    said = kinds_of(results.result(endpoint_metrics=entries), kind="endpoint")
    assert any('"POST /orders" is slow: p99 700 ms' in what for what in said)
