"""Thresholds on metrics that a test declares, as they are written."""

from __future__ import annotations

import pytest

from atm.errors import SpecError
from atm.models.outline import ScenarioSteps
from atm.models.own_metric import OwnKind, OwnMetric
from atm.models.threshold import Threshold, parse_threshold

METRICS = (
    OwnMetric("orders", OwnKind.COUNTER),
    OwnMetric("paid", OwnKind.COUNTER, "€"),
    OwnMetric("queue", OwnKind.GAUGE),
    OwnMetric("queue time", OwnKind.TREND, "ms"),
    OwnMetric("last", OwnKind.GAUGE),
)


def parsed(text: str, **options: object) -> Threshold:
    return parse_threshold(text, own_metrics=METRICS, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expression", "limit"),
    [
        ("metric orders >= 100", "metric orders total >= 100", 100),
        ("metric orders sum>=100", "metric orders total >= 100", 100),
        ("metric orders rate > 5/s", "metric orders rate > 5 /s", 5),
        ("metric paid rate > 5 €/s for 10s", "metric paid rate > 5 €/s for 10 s", 5),
        ("metric paid > 5.50 €", "metric paid total > 5.5 €", 5.5),
        ("metric queue time p95 < 300", "metric queue time p95 < 300 ms", 300),
        ("metric queue time median < 0.3 s", "metric queue time p50 < 0.3 s", 300),
        ('metric "queue time" avg < 300ms', "metric queue time mean < 300 ms", 300),
        ("metric queue time count >= 20", "metric queue time count >= 20", 20),
        ("metric queue > -3", "metric queue last > -3", -3),
        ("METRIC last last > 1", "metric last last > 1", 1),
    ],
)
def test_a_rule_reads_as_it_is_written(text: str, expression: str, limit: float) -> None:
    rule = parsed(text)
    assert (rule.expression, rule.limit) == (expression, limit)
    assert parsed(expression) == rule


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("metric order > 1", 'names a metric "order", which the test does not declare', 'Did you mean "orders"?'),
        ("metric orders p95 > 1", 'judges "p95", which a counter does not have', '"orders" has: total, rate'),
        ("metric queue time > 1", "judges no statistic of a trend", "a percentile, mean, min, max, count"),
        ("metric queue time p0 > 1", "has a percentile of 0", ""),
        ("metric orders > 1 ms", 'has the unit "ms"; "orders" has no unit', "Leave it out"),
        ("metric paid > 1 $", 'has the unit "$"; "paid" is in €', "Leave it out"),
        ("metric orders = 1", 'compares with "="', ""),
        ("metric orders > 1 for 1.5s", "windows are whole seconds", ""),
        ("metric > 1", "names no metric", 'Write its name: "metric orders total >= 100"'),
        ("s: metric orders > 1", 'judges a metric of the test in "s"', "Move it to the thresholds of the spec"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(text: str, what: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        parsed(text, scenarios=[ScenarioSteps("s", (0,))], endpoints=["s/a"])
    (problem,) = caught.value.problems
    assert what in problem.what
    assert hint in problem.hint


def test_a_test_without_metrics_says_how_to_declare_one() -> None:
    with pytest.raises(SpecError) as caught:
        parse_threshold("metric orders > 1", own_metrics=())
    assert 'atm.Counter("orders")' in caught.value.problems[0].hint
