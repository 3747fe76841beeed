"""Rows hold what intervals held, and their figures are those of the histograms."""

from __future__ import annotations

import contextlib
import math
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.metrics.histogram import HIGHEST_NS, Histogram
from atm.metrics.interval import HISTOGRAMS, EndpointInterval, Interval
from atm.metrics.spread import PERCENTILES, spread_ns
from atm.models.outcome import Outcome
from atm.storage.series import codec, queries
from atm.storage.series.interval_decoder import intervals_of
from atm.storage.series.queries import Selection
from atm.storage.series.rollup import Rollup, needed_to_resume
from atm.storage.series.rows import (
    ALL,
    GENERATOR,
    RESOLUTIONS,
    IntervalRow,
    endpoint_of,
    endpoint_row,
    generated_of,
)
from atm.storage.series.windows import merged, parts
from tests.examples import examples
from tests.storage.builders import interval

values = st.integers(0, HIGHEST_NS)
counts = st.one_of(st.integers(1, 5), st.integers(1, 2**40))
histograms = st.lists(st.tuples(values, counts), max_size=30).map(
    lambda samples: _histogram([(value, count) for value, count in samples])
)
small = st.lists(st.integers(0, 10**8), max_size=20).map(lambda samples: _histogram([(each, 1) for each in samples]))


def _histogram(samples: list[tuple[int, int]]) -> Histogram:
    histogram = Histogram()
    for value, count in samples:
        histogram.record(value, count)
    return histogram


@given(st.dictionaries(st.sampled_from(codec.NAMES), histograms))
@examples(300)
def test_coded_histograms_read_back_as_they_were(given_histograms: dict[str, Histogram]) -> None:
    filled = {name: histogram for name, histogram in given_histograms.items() if histogram}
    coded = codec.encode(given_histograms)
    assert codec.decode(coded) == filled
    some = {"service", "waits"}
    assert codec.decode(coded, some) == {name: each for name, each in filled.items() if name in some}


@given(histograms, st.data())
@examples(300)
def test_bytes_that_are_cut_short_or_changed_are_never_read_as_something_else_without_notice(
    histogram: Histogram, data: st.DataObject
) -> None:
    coded = codec.encode({"service": histogram})
    if not coded:
        return
    cut = data.draw(st.integers(1, len(coded) - 1))
    with pytest.raises(ValueError):
        codec.decode(coded[:cut])
    # Anything may stand there; what must not come out is another kind of error.
    position, byte = data.draw(st.integers(0, len(coded) - 1)), data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        codec.decode(coded[:position] + bytes([byte]) + coded[position + 1 :])


@given(histograms, st.integers(0, 2000))
@examples(300)
def test_a_spread_has_the_percentiles_of_its_histogram(histogram: Histogram, beyond: int) -> None:
    minimum, mean, *percentiles, maximum = spread_ns(histogram, beyond)
    assert percentiles == [histogram.percentile(percent, beyond) for percent in PERCENTILES]
    if beyond:
        assert maximum == math.inf
    else:
        assert (minimum, mean, maximum) == (histogram.minimum, histogram.mean, histogram.maximum)


@given(
    st.dictionaries(st.sampled_from(list(Outcome)), st.integers(1, 10**12)),
    st.dictionaries(st.integers(100, 599), st.integers(1, 10**12)),
    st.dictionaries(st.sampled_from(HISTOGRAMS), small),
    st.booleans(),
    st.integers(0, 10**12),
)
@examples(200)
def test_an_endpoint_reads_back_from_its_row(
    outcomes: dict[Outcome, int],
    statuses: dict[int, int],
    some: dict[str, Histogram],
    warm_up: bool,
    started: int,
) -> None:
    part = EndpointInterval(3, warm_up, started, outcomes, statuses, dropped=started // 3)
    for name, histogram in some.items():
        setattr(part, name, histogram)
    assert endpoint_of(endpoint_row(1, 17, part, 3)) == part


def test_an_interval_reads_back_from_its_rows() -> None:
    whole = [interval(0), interval(1, warm_up=True), interval(4, endpoints=5)]
    rollup = Rollup()
    rows = [row for each in whole for row in rollup.add(each)]
    assert intervals_of(row for row in reversed(rows) if row.resolution == 1) == whole


@pytest.mark.parametrize("broken", ["", "{}", "[]", '{"outcomes": 3, "statuses": {}}', '{"outcomes": {"x": 1}}'])
def test_a_row_that_is_something_else_is_a_value_error(broken: str) -> None:
    row = IntervalRow(1, 0, 0, False, broken, "[]", b"")
    for read in (endpoint_of, generated_of):
        with pytest.raises(ValueError):
            read(row)


coverage = st.tuples(st.integers(0, 300), st.integers(0, 30), st.integers(0, 5))


@given(coverage, st.integers(-5, 400), st.integers(-5, 400))
@examples(500)
def test_the_parts_of_a_window_cover_each_second_once_and_no_other(
    ends: tuple[int, int, int], start: int, end: int
) -> None:
    last = ends[0]
    # Coarse rows may be missing at the end, as many as a crash can cost.
    tens = max(0, last // 10 * 10 - 10 * (ends[1] % 3))
    covered = {1: last, 10: tens, 60: max(0, tens // 60 * 60 - 60 * (ends[2] % 2))}
    found = parts(start, end, covered)
    seconds = [second for part in found for second in range(part.start, part.end)]
    assert seconds == list(range(max(0, start), min(end, last)))
    for part in found:
        assert part.start % part.resolution == 0
        assert part.end % part.resolution == 0
        assert part.end <= covered[part.resolution]


@given(st.integers(1, 200), st.integers(0, 400), st.integers(0, 400))
@examples(300)
def test_without_seconds_the_parts_cover_the_window_and_at_most_ten_more(last: int, start: int, end: int) -> None:
    covered = {10: -(-last // 10) * 10, 60: -(-last // 60) * 60}
    found = parts(start, end, covered)
    seconds = [second for part in found for second in range(part.start, part.end)]
    assert len(seconds) == len(set(seconds))
    wanted = set(range(start, min(end, last)))
    assert wanted <= set(seconds)
    assert all(part.resolution in (10, 60) for part in found)


def histories() -> st.SearchStrategy[list[int]]:
    """Seconds in rising order, now and then with some missing: a machine that was asleep."""
    steps = st.lists(st.sampled_from([1, 1, 1, 1, 1, 7, 65, 650]), min_size=1, max_size=90)
    return steps.map(lambda each: [sum(each[: number + 1]) - each[0] for number in range(len(each))])


@cache
def second_of(second: int) -> Interval:
    return interval(second, endpoints=1, requests=3)


def rows_of(rollup: Rollup, seconds: list[int]) -> list[IntervalRow]:
    return [row for second in seconds for row in rollup.add(second_of(second))]


def covered_by(rows: list[IntervalRow]) -> dict[int, int]:
    return {
        resolution: max((row.start + resolution for row in rows if row.resolution == resolution), default=0)
        for resolution in RESOLUTIONS
    }


@given(histories(), st.data())
@examples(100)
def test_a_resumed_rollup_writes_what_an_uninterrupted_one_writes(seconds: list[int], data: st.DataObject) -> None:
    uninterrupted = Rollup()
    expected = rows_of(uninterrupted, seconds) + uninterrupted.close()
    cut = data.draw(st.integers(0, len(seconds)), label="cut")
    stored = rows_of(Rollup(), seconds[:cut])
    # A crash between the seconds and the rest may have cost the coarse rows of the last write.
    if data.draw(st.booleans(), label="torn") and cut:
        stored = rows_of(Rollup(), seconds[: cut - 1]) + [
            row for row in Rollup().add(second_of(seconds[cut - 1])) if row.resolution == 1
        ]
    needed = dict(needed_to_resume(covered_by(stored)))
    again = Rollup.resumed([row for row in stored if row.start >= needed.get(row.resolution, 10**9)])
    found = stored + rows_of(again, seconds[cut:]) + again.close()
    assert sorted(found, key=_key) == sorted(expected, key=_key)


def _key(row: IntervalRow) -> tuple[int, int, int, bool]:
    return row.resolution, row.start, row.endpoint, row.warm_up


@given(histories(), st.sampled_from([600, 3600]))
@examples(100)
def test_rows_that_a_short_run_leaves_out_are_aggregated_when_they_are_read(
    seconds: list[int], resolution: int
) -> None:
    rollup, whole = Rollup(), Rollup()
    stored = rows_of(rollup, seconds) + rollup.finish()
    wanted = Selection(resolution, 0, None, (ALL, 0, GENERATOR))
    expected = [row for row in rows_of(whole, seconds) + whole.close() if wanted.includes(row)]
    covered = covered_by(stored)
    needed = dict(needed_to_resume(covered))
    tail = [row for row in stored if row.start >= needed.get(row.resolution, 10**9)]
    found = [row for row in stored if wanted.includes(row)] + queries.open_rows(wanted, covered, tail)
    assert sorted(found, key=_key) == sorted(expected, key=_key)
    if seconds[-1] < resolution:
        assert not any(row.resolution == resolution for row in stored)


def test_a_window_over_coarse_and_fine_rows_is_the_sum_of_its_seconds() -> None:
    seconds: list[Interval] = [second_of(second) for second in range(200)]
    rollup = Rollup()
    rows = [row for each in seconds for row in rollup.add(each)]
    covered = {1: 200, 10: 200, 60: 180}
    chosen = [
        row
        for part in parts(3, 197, covered)
        for row in rows
        if row.resolution == part.resolution and part.start <= row.start < part.end and row.endpoint == 0
    ]
    assert len(chosen) < 40
    expected = EndpointInterval(0)
    for each in seconds[3:197]:
        expected.merge(each.endpoints[0])
    assert merged(3, 197, chosen).endpoints == {(0, False): expected}
