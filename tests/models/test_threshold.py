from __future__ import annotations

from typing import Any

import pytest

from atm.errors import SpecError
from atm.models.metric import Comparison, Metric, Statistic
from atm.models.outline import CheckName, ScenarioSteps
from atm.models.threshold import Threshold, parse_threshold
from atm.models.threshold_names import HINT


def rule(
    expression: str,
    metric: str,
    comparison: str,
    limit: float,
    percent: float | None = None,
    statistic: str = "",
    **more: Any,
) -> Threshold:
    taken = Statistic(statistic) if statistic else None
    return Threshold(expression, Metric(metric), Comparison(comparison), limit, percent, taken, **more)


CASES = {
    "p99 < 300ms": rule("p99 < 300 ms", "latency", "<", 3e8, 99.0),
    "p(95)<500": rule("p95 < 500 ms", "latency", "<", 5e8, 95.0),
    "p99.9 <= 1.5s": rule("p99.9 <= 1.5 s", "latency", "<=", 1.5e9, 99.9),
    "median < 20us": rule("p50 < 20 µs", "latency", "<", 20_000.0, 50.0),
    "max < 1m": rule("max < 1 min", "latency", "<", 6e10, None, "max"),
    "avg<.5s": rule("mean < 0.5 s", "latency", "<", 5e8, None, "mean"),
    "ok p99 < 250ms": rule("ok p99 < 250 ms", "ok_latency", "<", 2.5e8, 99.0),
    "adjusted p99 < 1s": rule("adjusted p99 < 1 s", "adjusted_latency", "<", 1e9, 99.0),
    "service mean < 5ms": rule("service mean < 5 ms", "service", "<", 5e6, None, "mean"),
    "first_byte p90 < 80ms": rule("first_byte p90 < 80 ms", "first_byte", "<", 8e7, 90.0),
    "error_rate < 1%": rule("error_rate < 1 %", "error_rate", "<", 0.01),
    "error_rate <= 0.001": rule("error_rate <= 0.1 %", "error_rate", "<=", 0.001),
    "rps > 100": rule("rps > 100", "rps", ">", 100.0),
    "throughput >= 99.5/s": rule("throughput >= 99.5", "throughput", ">=", 99.5),
    "checkout: p99 < 800ms": rule("checkout: p99 < 800 ms", "latency", "<", 8e8, 99.0, endpoint=1),
    "GET /a:b: p99<1s": rule("GET /a:b: p99 < 1 s", "latency", "<", 1e9, 99.0, endpoint=0),
    "p90 < 1s for 10s": rule("p90 < 1 s for 10 s", "latency", "<", 1e9, 90.0, window_seconds=10),
    "  OK  P99  <  250 MS  FOR  1m ": rule(
        "ok p99 < 250 ms for 60 s", "ok_latency", "<", 2.5e8, 99.0, window_seconds=60
    ),
}
NAMES = ("GET /a:b", "checkout")


@pytest.mark.parametrize(("text", "threshold"), CASES.items(), ids=CASES.keys())
def test_a_rule_is_read_and_shown(text: str, threshold: Threshold) -> None:
    assert parse_threshold(text, endpoints=NAMES) == threshold


@pytest.mark.parametrize("text", CASES)
def test_what_is_shown_reads_to_the_same_rule(text: str) -> None:
    once = parse_threshold(text, endpoints=NAMES)
    assert parse_threshold(once.expression, endpoints=NAMES) == once


def test_a_rule_of_an_endpoint_needs_no_name() -> None:
    rule = parse_threshold("p99 < 1s", endpoints=NAMES, endpoint=1, abort=True, abort_after_seconds=3, min_samples=5)
    assert rule.expression == "checkout: p99 < 1 s"
    assert (rule.endpoint, rule.abort, rule.abort_after_seconds, rule.min_samples) == (1, True, 3, 5)
    assert parse_threshold("checkout: p99 < 1s", endpoints=NAMES, endpoint=1).endpoint == 1


SCENARIOS = (ScenarioSteps("browse", (0, 1)), ScenarioSteps("order", (2, 3)))
STEPS = ("browse/list", "browse/open", "order/list", "order/order")
CHECKS = (
    CheckName("accepted", 3),
    CheckName("has total", 3),
    CheckName("time < 500ms", 0),
    CheckName("$.a:b  exists", 0),
)
SCENARIO_CASES = {
    "check accepted > 99.5%": rule("check accepted > 99.5 %", "check", ">", 0.995, check="accepted"),
    'check "has total" >= 1': rule("check has total >= 100 %", "check", ">=", 1.0, check="has total"),
    "check time < 500ms > 99%": rule("check time < 500ms > 99 %", "check", ">", 0.99, check="time < 500ms"),
    "check $.a:b exists > 99%": rule("check $.a:b  exists > 99 %", "check", ">", 0.99, check="$.a:b  exists"),
    "order: check accepted > 99% for 10s": rule(
        "order: check accepted > 99 % for 10 s", "check", ">", 0.99, check="accepted", scenario=1, window_seconds=10
    ),
    "order/order: check accepted > 99%": rule(
        "order/order: check accepted > 99 %", "check", ">", 0.99, check="accepted", endpoint=3
    ),
    "order/order: p99 < 800ms": rule("order/order: p99 < 800 ms", "latency", "<", 8e8, 99.0, endpoint=3),
    "order: p99 < 800ms": rule("order: p99 < 800 ms", "latency", "<", 8e8, 99.0, scenario=1),
    "browse: iteration p95 < 6s": rule("browse: iteration p95 < 6 s", "iteration_time", "<", 6e9, 95.0, scenario=0),
    "iteration p95 < 6s": rule("iteration p95 < 6 s", "iteration_time", "<", 6e9, 95.0),
    "browse: active max < 2s": rule("browse: active max < 2 s", "active_time", "<", 2e9, None, "max", scenario=0),
    "iteration_error_rate < 1%": rule("iteration_error_rate < 1 %", "iteration_error_rate", "<", 0.01),
    "order: iterations > 10/s": rule("order: iterations > 10", "iterations", ">", 10.0, scenario=1),
}


@pytest.mark.parametrize(("text", "threshold"), SCENARIO_CASES.items(), ids=SCENARIO_CASES.keys())
def test_a_rule_of_a_scenario_is_read_and_shown(text: str, threshold: Threshold) -> None:
    for written in (text, threshold.expression):
        assert parse_threshold(written, endpoints=STEPS, scenarios=SCENARIOS, checks=CHECKS) == threshold


def test_a_rule_of_a_scenario_needs_no_name() -> None:
    rule = parse_threshold("iteration p95 < 6s", endpoints=STEPS, scenarios=SCENARIOS, checks=CHECKS, scenario=0)
    assert (rule.expression, rule.scenario) == ("browse: iteration p95 < 6 s", 0)


SCENARIO_ERRORS = {
    "check acepted > 9%": (
        'the threshold "check acepted > 9%" names a check "acepted", which does not exist',
        'Did you mean "accepted"?',
    ),
    "browse: check accepted > 9%": (
        'the threshold "browse: check accepted > 9%" names a check "accepted", which does not exist in "browse"',
        'Checks: "time < 500ms", "$.a:b  exists"',
    ),
    "check > 9%": ('the threshold "check > 9%" names no check', 'Write its name: "check accepted > 99.5%"'),
    "ordr: check accepted > 9%": (
        'the threshold "ordr: check accepted > 9%" names a scenario or step "ordr", which does not exist',
        'Did you mean "order"?',
    ),
    "order/list: iteration p95 < 6s": (
        'the threshold "order/list: iteration p95 < 6s" judges iterations of "order/list", which is a single step',
        'Name the scenario: "order: iteration p95 < 6s"',
    ),
}


@pytest.mark.parametrize(("text", "message"), SCENARIO_ERRORS.items(), ids=SCENARIO_ERRORS.keys())
def test_what_is_wrong_with_a_rule_of_a_scenario_is_said(text: str, message: tuple[str, str]) -> None:
    with pytest.raises(SpecError) as error:
        parse_threshold(text, endpoints=STEPS, scenarios=SCENARIOS, checks=CHECKS)
    problem = error.value.problems[0]
    assert (problem.what, problem.hint) == message


def test_a_spec_of_endpoints_has_no_iterations() -> None:
    with pytest.raises(SpecError) as error:
        parse_threshold("iteration p95 < 6s", endpoints=NAMES, scenarios=(), checks=())
    assert error.value.problems[0].what == (
        'the threshold "iteration p95 < 6s" judges iterations, and the spec has no scenarios'
    )


ERRORS = {
    "p99": 'the threshold "p99" has no comparison: one of <, <=, >, >=',
    "p99 << 300": 'the threshold "p99 << 300" compares with "<<"; supported are <, <=, >, >=',
    "p99 == 300": 'the threshold "p99 == 300" compares with "=="; supported are <, <=, >, >=',
    "p99 <": 'the threshold "p99 <" needs a number of 0 or more after "<", but it ends there',
    "p99 < fast": 'the threshold "p99 < fast" needs a number of 0 or more after "<", not "fast"',
    "p99 < -5": 'the threshold "p99 < -5" needs a number of 0 or more after "<", not "-5"',
    "p99 < 300 ms please": 'the threshold "p99 < 300 ms please" continues with "ms please" after its limit',
    "p99 < 3 pc": 'the threshold "p99 < 3 pc" has the unit "pc"; times are in us, ms (the default), s or m',
    "p999 < 3": 'the threshold "p999 < 3" has a percentile of 999; it must be above 0 and at most 100',
    "p(9.9.9) < 3": 'the threshold "p(9.9.9) < 3" has a percentile "9.9.9", which is not a number',
    "eror_rate < 1%": 'the threshold "eror_rate < 1%" judges "eror_rate", which is not a metric',
    "error_rate < 5": 'the threshold "error_rate < 5" has an error rate above 1 (100 %)',
    "error_rate < 5ms": 'the threshold "error_rate < 5ms" has the unit "ms"; an error rate is a share (0.01) or 1%',
    "rps > 5%": 'the threshold "rps > 5%" has the unit "%"; rps is a number per second',
    "p99 < 3 for ever": 'the threshold "p99 < 3 for ever" has a window that cannot be read: "ever" is not a duration',
    "p99 < 3 for 1.5s": 'the threshold "p99 < 3 for 1.5s" has a window of 1.5 s; windows are whole seconds',
    "chekout: p99 < 3": 'the threshold "chekout: p99 < 3" names an endpoint "chekout", which does not exist',
}


@pytest.mark.parametrize(("text", "message"), ERRORS.items(), ids=ERRORS.keys())
def test_what_is_wrong_with_a_rule_is_said(text: str, message: str) -> None:
    with pytest.raises(SpecError) as error:
        parse_threshold(text, endpoints=NAMES)
    problem = error.value.problems[0]
    assert problem.what == message
    assert problem.hint


def test_the_hint_names_what_was_probably_meant() -> None:
    with pytest.raises(SpecError) as error:
        parse_threshold("eror_rate < 1%")
    assert error.value.problems[0].hint == f"Did you mean `error_rate`? {HINT}"
    with pytest.raises(SpecError) as error:
        parse_threshold("checkout: p99 < 1s", endpoints=NAMES, endpoint=0)
    assert error.value.problems[0].what == (
        'the threshold "checkout: p99 < 1s" of endpoint "GET /a:b" names another endpoint, "checkout"'
    )
