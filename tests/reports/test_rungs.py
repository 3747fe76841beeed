"""The latency histogram's rungs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.metrics.histogram import HIGHEST_NS, Histogram
from atm.reports.rungs import rungs
from tests.examples import examples

MS = 1_000_000


def filled(*times_ms: tuple[float, int]) -> Histogram:
    histogram = Histogram()
    for time_ms, count in times_ms:
        histogram.record(round(time_ms * MS), count)
    return histogram


def test_the_histogram_of_the_design_is_drawn_as_it_is_there() -> None:
    histogram = filled(
        *((0.9, 4), (4, 1200), (9, 9870), (15, 12_430), (30, 5031), (80, 1010), (150, 289), (400, 112), (4000, 54))
    )
    rows = rungs(histogram, most=8)
    assert [(row.limit_ns // MS, row.count) for row in rows] == [
        (5, 1204),
        (10, 9870),
        (20, 12_430),
        (50, 5031),
        (100, 1010),
        (200, 289),
        (500, 112),
        (5000, 54),
    ]
    assert [row.percentiles for row in rows] == [(), (), (50,), (95,), (), (99,), (), ()]
    assert rows[1].cumulative_share == pytest.approx(0.369, abs=1e-3)


def test_a_time_at_a_limit_belongs_to_it() -> None:
    (row,) = rungs(filled((5, 10)))
    assert (row.limit_ns, row.count, row.percentiles) == (5 * MS, 10, (50, 95, 99))
    assert [row.limit_ns // MS for row in rungs(filled((5, 1), (5.1, 1)))] == [5, 10]


def test_empty_rungs_in_between_are_rows_too() -> None:
    rows = rungs(filled((1, 1), (40, 1)))
    assert [(row.limit_ns // MS, row.count) for row in rows] == [(1, 1), (2, 0), (5, 0), (10, 0), (20, 0), (50, 1)]


def test_no_samples_no_rungs() -> None:
    assert rungs(Histogram()) == []


def test_the_longest_time_there_is_has_a_rung() -> None:
    histogram = Histogram()
    histogram.record(HIGHEST_NS)
    histogram.record(0)
    rows = rungs(histogram)
    assert len(rows) == 10
    assert rows[-1].limit_ns == HIGHEST_NS


@given(st.lists(st.integers(0, HIGHEST_NS), min_size=1, max_size=60), st.integers(1, 12))
@examples(100)
def test_every_sample_is_on_exactly_one_rung(values: list[int], most: int) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    rows = rungs(histogram, (0, 50, 99, 100), most)
    assert 1 <= len(rows) <= most
    assert sum(row.count for row in rows) == len(values)
    assert rows[-1].cumulative_share == 1
    shares = [row.cumulative_share for row in rows]
    assert shares == sorted(shares)
    limits = [row.limit_ns for row in rows]
    assert limits == sorted(set(limits))
    assert rows[0].count > 0
    assert rows[-1].count > 0
    assert [mark for row in rows for mark in row.percentiles] == [0, 50, 99, 100]
    assert 100 in rows[-1].percentiles
