"""Values of own metrics: any split of a stream of values, merged in any order, is the whole stream."""

from __future__ import annotations

import json
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.fleet.merge import merge
from atm.metrics.collector import Collector
from atm.metrics.histogram import index_of
from atm.metrics.interval import Interval
from atm.metrics.own_interval import OwnInterval
from atm.metrics.own_thresholds import OwnWindow, measure_own
from atm.metrics.own_totals import own_figures
from atm.metrics.value_histogram import ValueHistogram, round_value
from atm.models.own_metric import HIGHEST, SCALE, OwnKind, OwnMetric
from atm.models.threshold import parse_threshold

VALUES = st.integers(0, HIGHEST * SCALE)
GAUGE_VALUES = st.integers(-HIGHEST * SCALE, HIGHEST * SCALE)


def recorded(kind: OwnKind, values: list[tuple[int, int]], *, warm_up: bool = False) -> OwnInterval:
    """Return the values, each with its time, as one part."""
    total = OwnInterval(0, warm_up)
    for at, value in values:
        part = OwnInterval(0, warm_up, count=1)
        if kind is not OwnKind.GAUGE:
            part.total = value
        if kind is not OwnKind.COUNTER:
            part.least = part.most = value
        if kind is OwnKind.TREND:
            part.values.record(value)
        if kind is OwnKind.GAUGE:
            part.last, part.last_ns = value, at
        total.merge(part)
    return total


@given(st.data(), st.sampled_from(OwnKind), st.integers(1, 5))
def test_parts_merged_in_any_order_are_the_whole(data: st.DataObject, kind: OwnKind, parts: int) -> None:
    numbers = GAUGE_VALUES if kind is OwnKind.GAUGE else VALUES
    values = data.draw(st.lists(st.tuples(st.integers(0, 10**10), numbers), max_size=40))
    whole = recorded(kind, values)
    split: list[list[tuple[int, int]]] = [[] for _ in range(parts)]
    for value in values:
        split[data.draw(st.integers(0, parts - 1))].append(value)
    order = data.draw(st.permutations(split))
    merged = OwnInterval(0, warm_up=False)
    for part in order:
        # Over the wire of a worker, and back.
        merged.merge(OwnInterval.from_json(json.loads(json.dumps(recorded(kind, part).to_json()))))
    assert merged == whole
    if values:
        assert merged.total == (0 if kind is OwnKind.GAUGE else sum(value for _, value in values))
    if kind is OwnKind.GAUGE and values:
        assert (merged.last_ns, merged.last) == max(values)


@given(st.lists(VALUES, min_size=1, max_size=60), st.floats(0, 100))
def test_a_percentile_is_within_a_thousandth_of_its_sample(values: list[int], percent: float) -> None:
    part = recorded(OwnKind.TREND, [(0, value) for value in values])
    rank = max(1, -(-Fraction(repr(percent)) * len(values) // 100))
    sample = sorted(values)[int(rank) - 1]
    value = part.percentile(percent)
    assert value is not None
    assert abs(value - sample) * 1000 <= sample or abs(value - sample) <= 1


@given(VALUES)
def test_the_value_of_a_bucket_is_in_it(value: int) -> None:
    assert index_of(round_value(index_of(value))) == index_of(value)


@pytest.mark.parametrize("value", [0, 1, 3, 20, 999, 1_000_000, 0.000001, 0.5, 12.5, 1e12])
def test_a_round_value_is_reported_as_recorded(value: float) -> None:
    billionths = round(value * SCALE)
    assert round_value(index_of(billionths)) == billionths


def test_a_histogram_of_values_can_be_read_back() -> None:
    histogram = ValueHistogram()
    for exponent in range(-6, 13):
        histogram.record(round(10**exponent * SCALE))
    assert ValueHistogram.decode(histogram.encode()) == histogram


def test_amounts_of_money_add_up_exactly() -> None:
    cents = [round(value * SCALE) for value in [0.1, 9.99, 1e9 + 0.01] * 1000]
    random.Random(1).shuffle(cents)
    (figures,) = own_figures(
        [OwnMetric("paid", OwnKind.COUNTER, "€")], [recorded(OwnKind.COUNTER, [(0, c) for c in cents])], 10
    )
    assert figures.total == 1_000_000_010_100
    assert figures.described == "total 1,000,000,010,100 € · rate 100,000,001,010 €/s"


def second(number: int, *parts: OwnInterval) -> Interval:
    return Interval(number, "load", own=list(parts))


def test_the_same_second_of_several_workers_is_merged() -> None:
    parts = [recorded(OwnKind.GAUGE, [(worker * 10, value)]) for worker, value in ((2, 7), (1, 9))]
    (merged,) = merge([second(0, part) for part in parts]).own
    assert (merged.last, merged.least, merged.most, merged.count) == (7, 7, 9, 2)


def test_an_interval_is_read_back_with_its_values() -> None:
    whole = second(3, recorded(OwnKind.TREND, [(1, 5 * SCALE), (2, 7)]), recorded(OwnKind.GAUGE, [(0, -5)]))
    assert Interval.from_bytes(whole.to_bytes()) == whole
    assert b"own" not in second(0).to_bytes()


def test_the_collector_keeps_warm_up_out_of_the_figures() -> None:
    collector = Collector([], own_metrics=[OwnMetric("orders", OwnKind.COUNTER)])
    collector.add(second(0, recorded(OwnKind.COUNTER, [(0, 5 * SCALE)], warm_up=True)))
    collector.add(second(1, recorded(OwnKind.COUNTER, [(0, 3 * SCALE)])))
    (figures,) = collector.own.figures(2.0)
    assert (figures.total, figures.rate) == (3.0, 1.5)
    with pytest.raises(ValueError, match="own metric 1 of 1"):
        collector.add(second(2, OwnInterval(1, warm_up=False)))


@given(st.lists(st.lists(VALUES, max_size=5), max_size=12), st.integers(1, 4))
def test_a_window_has_the_values_of_its_seconds(seconds: list[list[int]], length: int) -> None:
    window = OwnWindow(0, length)
    for number, values in enumerate(seconds):
        window.add(number, recorded(OwnKind.TREND, [(0, value) for value in values]), 1.0)
        inside = [value for each in seconds[max(0, number + 1 - length) : number + 1] for value in each]
        assert window.total() == recorded(OwnKind.TREND, [(0, value) for value in inside])
        assert window.is_full == (number + 1 >= length)


@pytest.mark.parametrize(
    ("rule", "kind", "values", "actual"),
    [
        ("metric m total >= 1", OwnKind.COUNTER, [], 0.0),
        ("metric m rate >= 1", OwnKind.COUNTER, [3 * SCALE], 1.5),
        ("metric m count >= 1", OwnKind.TREND, [], 0.0),
        ("metric m p95 < 4.001", OwnKind.TREND, [4 * SCALE], 4.001),
        ("metric m mean < 4", OwnKind.TREND, [1 * SCALE, 4 * SCALE], 2.5),
        ("metric m max < 4", OwnKind.TREND, [], None),
        ("metric m last > -4", OwnKind.GAUGE, [-SCALE], -1.0),
        ("metric m last > -4", OwnKind.GAUGE, [], None),
    ],
)
def test_what_a_threshold_judges(rule: str, kind: OwnKind, values: list[int], actual: float | None) -> None:
    threshold = parse_threshold(rule, own_metrics=[OwnMetric("m", kind)])
    part = recorded(kind, [(0, value) for value in values])
    assert measure_own(threshold, part, 2.0).actual == actual
