"""Thresholds over iterations, checks and the steps of a scenario, second by second as in a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from atm.metrics.interval import Interval
from atm.metrics.thresholds import ThresholdJudge
from atm.models.run import ThresholdResult
from atm.models.threshold import parse_threshold
from tests.metrics.seconds import SECOND, check, endpoint, iterations, second
from tests.metrics.shop import CHECKS, ENDPOINTS, SCENARIOS, shop_collector, shop_seconds


def judged(text: str, seconds: Sequence[Interval], *, abort: bool = False) -> tuple[ThresholdResult, int | None]:
    """Return the result of a rule, and the second in which it ended the run."""
    rule = parse_threshold(
        text, endpoints=ENDPOINTS, scenarios=SCENARIOS, checks=CHECKS, abort=abort, abort_after_seconds=0
    )
    collector = shop_collector()
    judge = ThresholdJudge([rule], ENDPOINTS, SECOND, scenarios=SCENARIOS, checks=CHECKS)
    aborted: int | None = None
    for interval in seconds:
        collector.add(interval)
        judge.add(interval)
        if judge.to_abort(collector) and aborted is None:
            aborted = interval.second
    return judge.results(collector)[0], aborted


@pytest.mark.parametrize(
    ("text", "actual", "passed", "message"),
    [
        ("browse: iteration p95 < 6s", 3000.0, True, ""),
        ("browse: iteration p50 < 500ms", 1000.0, False, ""),
        ("browse: active max < 120ms", 100.0, True, ""),
        ("order: iteration max < 50ms", 40.0, True, ""),
        ("iteration p99 < 1s", 3000.0, False, "browse has all of the times above it"),
        ("iteration_error_rate < 10%", 8 / 38, False, "all 8 on browse"),
        ("order: iteration_error_rate < 1%", 0.0, True, ""),
        ("browse: iterations > 10", 8.0, False, ""),
        ("iterations > 10", 13.0, True, ""),
        ("check accepted > 99.5%", 1.0, True, ""),
        ("check in stock known > 99.5%", 0.95, False, "1 of 20 failed"),
        ("order/order: check accepted > 99%", 1.0, True, ""),
        ("check never judged > 0%", None, False, "no data"),
        ("order: p99 < 20ms", 30.0, False, "order/order has all of the times above it"),
        ("browse: error_rate < 1%", 7 / 50, False, "6 of 7 on browse/list"),
        ("order/order: p99 < 800ms", 30.0, True, ""),
    ],
)
def test_a_rule_judges_its_scenario(text: str, actual: float | None, passed: bool, message: str) -> None:
    result, _ = judged(text, shop_seconds())
    assert result.actual == (actual if actual is None else pytest.approx(actual, rel=1e-3))
    assert (result.passed, result.message) == (passed, message)


def test_all_checks_of_one_name_are_judged_together() -> None:
    seconds = shop_seconds()
    seconds[1].checks = [check(2, 30, 10), check(3, 60)]
    result, _ = judged("check accepted > 99%", seconds)
    assert (result.actual, result.passed) == (0.9, False)
    assert result.message == "10 of 100 failed, all 10 on order/order"
    assert (result.check, result.scenario, result.endpoint) == ("accepted", None, None)


def test_a_result_names_its_scenario() -> None:
    result, _ = judged("order: p99 < 800ms", shop_seconds())
    assert (result.scenario, result.endpoint, result.is_time_limit) == ("order", None, False)


def test_warm_up_is_not_judged() -> None:
    seconds = shop_seconds()
    seconds[0].checks = [check(1, 0, 100, warm_up=True)]
    seconds[0].iterations = [iterations(0, [60_000.0] * 50, warm_up=True, failed=50)]
    assert judged("check in stock known > 90%", seconds)[0].passed
    assert judged("browse: iteration max < 6s", seconds)[0].passed


def test_a_window_that_violates_fails_the_rule() -> None:
    seconds = [
        second(
            number,
            endpoint(3, [10.0]),
            iterations=[iterations(1, [100.0 if number != 5 else 900.0] * 30)],
            checks=[check(2, 30, 10 if number == 5 else 0)],
        )
        for number in range(1, 9)
    ]
    checked, _ = judged("check accepted > 90% for 2s", seconds)
    assert (checked.actual, checked.passed) == (60 / 70, False)
    assert checked.message == "worst from 00:04 to 00:06, failed in 2 of 7 windows"
    timed, _ = judged("order: iteration p95 < 500ms for 2s", seconds)
    assert timed.actual == pytest.approx(900.0, rel=1e-3)
    assert not timed.passed


def test_windows_with_few_evaluations_are_skipped() -> None:
    seconds = [second(number, endpoint(3, [10.0]), checks=[check(2, 1)]) for number in range(1, 5)]
    result, _ = judged("check accepted > 90% for 2s", seconds)
    assert result.message == "no data: no window of 2 s reached min_samples (20 evaluations), the fullest had 2"


@pytest.mark.parametrize(
    ("text", "at"),
    [("check accepted > 90%", 3), ("order: iteration p95 < 500ms", 2), ("check never judged > 1%", None)],
)
def test_a_rule_ends_the_run_once_it_has_enough_samples(text: str, at: int | None) -> None:
    one = second(1, endpoint(3, [10.0]), iterations=[iterations(1, [900.0] * 10)], checks=[check(2, 5, 2)])
    seconds = [replace(one, second=number) for number in range(1, 6)]
    assert judged(text, seconds, abort=True)[1] == at
