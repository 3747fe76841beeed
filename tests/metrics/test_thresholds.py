"""Thresholds over the whole run, over windows, and as reasons to end a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.metrics.collector import Collector
from atm.metrics.histogram import Histogram
from atm.metrics.interval import Interval
from atm.metrics.threshold_amounts import Measured, amounts_of, measure
from atm.metrics.thresholds import ThresholdJudge, holds
from atm.metrics.windows import RollingWindow
from atm.models.metric import Comparison, Metric, Statistic
from atm.models.outcome import Outcome
from atm.models.run import ThresholdResult
from atm.models.threshold import Threshold
from tests.examples import examples
from tests.metrics.seconds import MS, SECOND, endpoint, second

NAMES = ("GET /users", "POST /orders")


def threshold(metric: str = "latency", limit: float = 100 * MS, comparison: str = "<", **more: Any) -> Threshold:
    if "statistic" in more:
        more["statistic"] = Statistic(more["statistic"])
    if metric in ("latency", "ok_latency", "adjusted_latency", "service", "first_byte") and "statistic" not in more:
        more.setdefault("percent", 99.0)
    return Threshold("as written", Metric(metric), Comparison(comparison), limit, **more)


class Run:
    """A run whose seconds are judged as they come, as the executor does it."""

    def __init__(self, rules: Sequence[Threshold], *, names: Sequence[str] = NAMES, warm_up_ns: int = 0) -> None:
        self.collector = Collector(names, warm_up_ns=warm_up_ns)
        self.judge = ThresholdJudge(rules, names, warm_up_ns)
        self.aborted_at: int | None = None

    def add(self, interval: Interval) -> None:
        self.collector.add(interval)
        self.judge.add(interval)
        if self.judge.to_abort(self.collector) and self.aborted_at is None:
            self.aborted_at = interval.second

    def results(self, window_ns: int | None = None) -> list[ThresholdResult]:
        return self.judge.results(self.collector, window_ns)


def result_of(rule: Threshold, *intervals: Interval, warm_up_ns: int = 0) -> ThresholdResult:
    run = Run([rule], warm_up_ns=warm_up_ns)
    for interval in intervals:
        run.add(interval)
    (result,) = run.results()
    return result


@pytest.mark.parametrize(
    ("rule", "actual", "unit", "passed"),
    [
        (threshold("latency", percent=50.0), 10.0, "ms", True),
        (threshold("latency", percent=100.0), 2000.0, "ms", False),
        (threshold("latency", statistic="max", limit=3 * SECOND), 2000.0, "ms", True),
        (threshold("latency", statistic="min", limit=5 * MS, comparison=">"), 10.0, "ms", True),
        (threshold("ok_latency"), 10.0, "ms", True),
        (threshold("ok_latency", statistic="mean"), 10.0, "ms", True),
        (threshold("adjusted_latency", percent=90.0), 10.0, "ms", True),
        (threshold("adjusted_latency", percent=95.0), float("inf"), "ms", False),
        (threshold("adjusted_latency", statistic="mean"), float("inf"), "ms", False),
        (threshold("service", limit=3 * SECOND), 2000.0, "ms", True),
        (threshold("first_byte", limit=5 * MS), 5.0, "ms", True),
        (threshold("error_rate", limit=0.01), 5 / 95, "share", False),
        (threshold("rps", limit=90, comparison=">"), 94.0, "per_second", True),
        (threshold("throughput", limit=90, comparison=">="), 90.0, "per_second", True),
        (threshold("throughput", limit=91, comparison=">"), 90.0, "per_second", False),
    ],
)
def test_each_metric_is_judged_over_the_whole_run(rule: Threshold, actual: float, unit: str, passed: bool) -> None:
    part = endpoint(0, [10.0] * 90, failures={Outcome.TIMEOUT: 5}, drained_failed=1)
    result = result_of(rule, second(0, part))
    assert result.actual == pytest.approx(actual, rel=1e-3)
    assert (result.unit, result.passed) == (unit, passed)
    assert result.limit == pytest.approx(rule.limit / (MS if unit == "ms" else 1))


def test_rates_are_per_second_of_the_window_that_the_engine_reports() -> None:
    run = Run([threshold("rps", limit=10, comparison=">")])
    run.add(second(0, endpoint(0, [10.0] * 100)))
    assert [result.actual for result in run.results(4 * SECOND)] == [25.0]


@pytest.mark.parametrize(
    "metric", ["latency", "ok_latency", "adjusted_latency", "service", "first_byte", "error_rate", "rps", "throughput"]
)
@pytest.mark.parametrize("comparison", ["<", ">"])
def test_without_samples_a_threshold_has_failed(metric: str, comparison: str) -> None:
    result = result_of(threshold(metric, comparison=comparison), second(0))
    assert (result.passed, result.actual, result.margin, result.message) == (False, None, None, "no data")


def test_warm_up_is_not_judged() -> None:
    rule = threshold("latency")
    warm_up = second(0, endpoint(0, [500.0] * 50, warm_up=True), phase="warm_up")
    assert result_of(rule, warm_up, warm_up_ns=SECOND).message == "no data"
    assert result_of(rule, warm_up, second(1, endpoint(0, [5.0] * 50)), warm_up_ns=SECOND).passed


@pytest.mark.parametrize("comparison", ["<", "<=", ">", ">="])
def test_the_bound_itself_holds(comparison: str) -> None:
    exactly = threshold("latency", limit=300 * MS, comparison=comparison)
    result = result_of(exactly, second(0, endpoint(0, [300.0] * 10)))
    assert (result.actual, result.passed, result.margin) == (300.0, True, 0.0)
    share = threshold("error_rate", limit=0.7 / 100, comparison=comparison)
    part = endpoint(0, [10.0] * 993, failures={Outcome.TIMEOUT: 7})
    assert result_of(share, second(0, part)).passed


def test_just_beyond_the_bound_fails() -> None:
    assert not result_of(threshold("latency", limit=300 * MS), second(0, endpoint(0, [300.4] * 10))).passed
    assert not result_of(threshold("latency", limit=300 * MS, comparison=">"), second(0, endpoint(0, [299.6]))).passed


@pytest.mark.parametrize(
    ("limit", "comparison", "time_ms", "margin"),
    [(300, "<", 132.0, 0.56), (300, "<", 390.0, -0.3), (300, ">", 390.0, 0.3), (300, ">", 150.0, -0.5)],
)
def test_the_margin_is_a_share_of_the_limit(limit: int, comparison: str, time_ms: float, margin: float) -> None:
    result = result_of(threshold("latency", limit * MS, comparison), second(0, endpoint(0, [time_ms])))
    assert result.margin == pytest.approx(margin, abs=2e-3)


def test_there_is_no_margin_to_a_limit_of_zero_nor_to_infinity() -> None:
    none_allowed = result_of(threshold("error_rate", limit=0.0), second(0, endpoint(0, [1.0])))
    assert (none_allowed.passed, none_allowed.margin) == (True, None)
    endless = result_of(threshold("adjusted_latency"), second(0, endpoint(failures={Outcome.TIMEOUT: 1})))
    assert (endless.passed, endless.actual, endless.margin) == (False, float("inf"), None)


def test_a_threshold_of_one_endpoint_sees_that_endpoint_only() -> None:
    both = second(0, endpoint(0, [10.0] * 50), endpoint(1, [500.0] * 50))
    users, orders = threshold("latency", endpoint=0), threshold("latency", endpoint=1)
    assert result_of(users, both).passed
    result = result_of(orders, both)
    assert (result.passed, result.endpoint, result.message) == (False, "POST /orders", "")


def test_a_failed_share_says_where_the_failures_are() -> None:
    rule = threshold("error_rate", limit=0.001)
    fine = endpoint(0, [10.0] * 100)
    all_on_one = second(0, fine, endpoint(1, failures={Outcome.TIMEOUT: 12, Outcome.UNEXPECTED_STATUS: 26}))
    assert result_of(rule, all_on_one).message == "all 38 on POST /orders"
    most_on_one = second(0, endpoint(0, failures={Outcome.TIMEOUT: 12}), endpoint(1, failures={Outcome.TIMEOUT: 26}))
    assert result_of(rule, most_on_one).message == "26 of 38 on POST /orders"


def test_a_failed_time_says_which_endpoint_has_most_of_the_slow_ones() -> None:
    rule = threshold("latency", percent=50.0)
    mostly = second(0, endpoint(0, [500.0] * 88), endpoint(1, [500.0] * 912))
    assert result_of(rule, mostly).message == "POST /orders has 91.2 % of the times above it"
    only = second(0, endpoint(0, [10.0] * 10), endpoint(1, [500.0] * 90))
    assert result_of(rule, only).message == "POST /orders has all of the times above it"
    adjusted = second(0, endpoint(0, [10.0] * 10), endpoint(1, failures={Outcome.TIMEOUT: 90}))
    assert result_of(threshold("adjusted_latency"), adjusted).message == "POST /orders has all of the times above it"


def test_what_holds_says_nothing() -> None:
    assert result_of(threshold("latency"), second(0, endpoint(0, [10.0]), endpoint(1, [20.0]))).message == ""


def steady(seconds: Iterable[int], time_ms: float = 10.0, count: int = 20) -> list[Interval]:
    return [second(number, endpoint(0, [time_ms] * count)) for number in seconds]


def test_any_violating_full_window_fails() -> None:
    rule = threshold("latency", percent=90.0, window_seconds=3)
    # Two slow seconds: in every window that holds both, two thirds of the samples are slow.
    result = result_of(rule, *steady(range(5)), *steady(range(5, 7), 400.0), *steady(range(7, 20)))
    assert not result.passed
    assert result.actual == pytest.approx(400, rel=1e-3)
    assert result.message == "worst from 00:03 to 00:06, failed in 4 of 18 windows"


def test_a_window_judges_its_own_percentile_and_not_that_of_the_run() -> None:
    quick = [second(number, endpoint(0, [10.0] * 1000)) for number in range(30)]
    slow = [second(number, endpoint(0, [400.0] * 20)) for number in range(30, 33)]
    whole, window = threshold("latency", percent=99.0), threshold("latency", percent=99.0, window_seconds=3)
    assert result_of(whole, *quick, *slow).passed
    assert not result_of(window, *quick, *slow).passed


def test_windows_with_too_few_samples_are_skipped() -> None:
    rule = threshold("latency", window_seconds=3, min_samples=20)
    sparse = steady(range(10), 400.0, count=6)
    result = result_of(rule, *sparse)
    said = "no data: no window of 3 s reached min_samples (20 requests), the fullest had 18"
    assert (result.passed, result.actual, result.message) == (False, None, said)
    enough = result_of(threshold("latency", window_seconds=3, min_samples=18), *sparse)
    assert enough.actual == pytest.approx(400, rel=1e-3)
    mixed = result_of(rule, *sparse, *steady(range(10, 20)))
    # From second 9 on: 6 + 20 samples in the window that ends with second 11, and only quick ones later.
    assert not mixed.passed


def test_a_run_shorter_than_the_window_has_no_data() -> None:
    short = result_of(threshold("latency", window_seconds=10), *steady(range(9)))
    assert short.message == "no data: the measured load was shorter than one window of 10 s"
    assert result_of(threshold("latency", window_seconds=10), *steady(range(10))).passed


def test_a_rate_is_judged_in_windows_that_are_empty_too() -> None:
    rule = threshold("rps", limit=5, comparison=">", window_seconds=3)
    silent = [second(number) for number in range(5, 8)]
    result = result_of(rule, *steady(range(5)), *silent)
    assert (result.passed, result.actual) == (False, 0.0)


def test_only_complete_measured_seconds_are_in_windows() -> None:
    rule = threshold("latency", window_seconds=2, percent=50.0)
    intervals = [
        second(0, endpoint(0, [900.0] * 50, warm_up=True), phase="warm_up"),
        second(1, endpoint(0, [900.0] * 50, warm_up=True), phase="warm_up"),
        second(2, endpoint(0, [900.0] * 30)),  # warm-up ended in its middle
        *steady(range(3, 6)),
        second(6, endpoint(0, [900.0] * 50), phase="drain"),
        second(7, endpoint(0, [900.0] * 50), duration_ns=SECOND // 2),
    ]
    result = result_of(rule, *intervals, warm_up_ns=2 * SECOND + SECOND // 2)
    assert result.passed
    assert result.actual == pytest.approx(10, rel=1e-3)


def test_late_warm_up_requests_are_in_no_window() -> None:
    late = [second(number, endpoint(0, [900.0] * 90, warm_up=True), endpoint(0, [10.0] * 30)) for number in range(1, 4)]
    assert result_of(threshold("latency", window_seconds=2), *late, warm_up_ns=SECOND).passed


def test_an_aborting_threshold_waits_for_its_time_and_for_samples() -> None:
    rule = threshold("latency", abort=True, abort_after_seconds=5.0, min_samples=20)
    run = Run([rule])
    for interval in steady(range(20), 400.0, count=3):
        run.add(interval)
    # 5 s have passed with second 4, and 20 samples are there with second 6.
    assert run.aborted_at == 6
    patient = Run([threshold("latency", abort=True, abort_after_seconds=10.0, min_samples=1)], warm_up_ns=2 * SECOND)
    for interval in steady(range(20), 400.0):
        patient.add(interval)
    assert patient.aborted_at == 11


def test_an_aborting_window_acts_with_its_first_violation() -> None:
    rule = threshold("error_rate", limit=0.5, window_seconds=3, abort=True, abort_after_seconds=5.0)
    run = Run([rule])
    for interval in steady(range(10)):
        run.add(interval)
    assert run.aborted_at is None
    for number in range(10, 14):
        run.add(second(number, endpoint(0, failures={Outcome.TIMEOUT: 20})))
    assert run.aborted_at == 11


def test_a_dead_target_is_found_by_a_rate_without_any_sample() -> None:
    run = Run([threshold("rps", limit=10, comparison=">", abort=True)])
    for number in range(12):
        run.add(second(number))
    assert run.aborted_at == 9


def test_a_threshold_that_does_not_abort_ends_nothing() -> None:
    run = Run([threshold("latency")])
    for interval in steady(range(20), 400.0):
        run.add(interval)
    assert run.aborted_at is None


def test_a_threshold_that_ended_the_run_stays_failed_whatever_drains() -> None:
    rule = threshold("error_rate", limit=0.1, abort=True)
    run = Run([rule])
    for number in range(10):
        run.add(second(number, endpoint(0, [10.0] * 8, failures={Outcome.TIMEOUT: 1})))
    assert run.aborted_at == 9
    run.add(second(10, endpoint(0, [10.0] * 500), phase="drain"))
    (result,) = run.results(10 * SECOND)
    assert not result.passed
    assert result.actual == pytest.approx(1 / 9)
    assert result.message == "ended the run at 00:10"


@given(st.lists(st.lists(st.integers(0, 10**10), max_size=6), max_size=25), st.integers(1, 6))
@examples(100)
def test_a_rolling_window_is_the_sum_of_its_seconds(seconds: list[list[int]], length: int) -> None:
    window = RollingWindow(length)
    for number, values in enumerate(seconds):
        histogram = Histogram()
        for value in values:
            histogram.record(value)
        window.add(number, histogram, (len(values), number), 1.0)
        expected = Histogram()
        last = range(max(0, number + 1 - length), number + 1)
        for value in (value for index in last for value in seconds[index]):
            expected.record(value)
        assert window.times == expected
        assert window.counts == (expected.total, sum(last))
        assert window.is_full == (len(last) == length)
        assert (window.first_second, window.seconds) == (last.start, len(last))


def test_a_window_begins_anew_after_a_gap() -> None:
    window = RollingWindow(3)
    for number in (0, 1, 5):
        window.add(number, Histogram({1: 1}), (1,), 1.0)
    assert (window.first_second, window.counts, window.times.total, window.is_full) == (5, (1,), 1, False)


def test_a_measured_zero_is_not_the_same_as_no_data() -> None:
    found = measure(threshold("error_rate"), amounts_of(Metric.ERROR_RATE, endpoint(0, [1.0]), 1.0))
    assert found == Measured(0.0, 1)
    assert holds(threshold("error_rate", limit=0.0), 0.0)


def with_quick_failures(number: int) -> Interval:
    part = endpoint(0, [200.0] * 50, failures={Outcome.UNEXPECTED_STATUS: 50})
    part.response_failed.record(2 * MS, 50)
    return second(number, part)


@pytest.mark.parametrize("window", [None, 2])
def test_a_threshold_that_holds_only_by_quick_failures_says_so(window: int | None) -> None:
    quick = [with_quick_failures(number) for number in range(4)]
    result = result_of(threshold(percent=50.0, limit=100 * MS, window_seconds=window), *quick)
    assert result.passed
    assert result.message == "passes only because requests failed quickly: over ok responses alone it is 200 ms"
    honest = result_of(threshold(percent=50.0, limit=300 * MS, window_seconds=window), *quick)
    assert (honest.passed, honest.message) == (True, "")
    alone = result_of(threshold("ok_latency", percent=50.0, limit=100 * MS, window_seconds=window), *quick)
    assert not alone.passed
