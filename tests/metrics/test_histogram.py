"""The histogram against the HdrHistogram library, and against sorted lists."""

from __future__ import annotations

import base64
import contextlib
import math
import random
import struct
import time
import tracemalloc
import zlib
from fractions import Fraction

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from atm.metrics.histogram import HIGHEST_NS, Histogram, highest_of, index_of, lowest_of
from tests.examples import examples

VALUES = st.lists(
    st.one_of(st.integers(0, HIGHEST_NS), st.integers(0, 5000), st.integers(10_000, 100_000_000)), max_size=200
)
PERCENTS = st.one_of(st.sampled_from([0, 1, 50, 66.6, 90, 95, 99, 99.9, 99.99, 100]), st.floats(0, 100))


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def library_of(values: list[int]) -> HdrHistogram:
    library = HdrHistogram(1, HIGHEST_NS, 3)
    for value in values:
        library.record_value(value)
    return library


@given(st.integers(0, HIGHEST_NS))
@examples(200)
def test_a_value_lies_in_its_bucket_which_is_a_thousandth_wide(value: int) -> None:
    index = index_of(value)
    lowest, highest = lowest_of(index), highest_of(index)
    assert lowest <= value <= highest
    assert highest - lowest <= value / 1000
    assert index_of(lowest) == index_of(highest) == index
    assert index_of(highest + 1) == index + 1


@given(VALUES)
@examples(100)
def test_what_we_encode_the_library_reads(values: list[int]) -> None:
    ours = filled(values)
    theirs = HdrHistogram.decode(base64.b64encode(ours.encode()))
    assert theirs.get_total_count() == ours.total
    for index, count in ours.counts.items():
        assert theirs.get_count_at_value(lowest_of(index)) == count


@given(VALUES)
@examples(100)
def test_what_the_library_encodes_we_read(values: list[int]) -> None:
    ours = Histogram.decode(base64.b64decode(library_of(values).encode()))
    assert ours == filled(values)
    assert ours.total == len(values)


@given(VALUES)
@examples(100)
def test_counts_are_written_with_the_same_bytes_as_the_library(values: list[int]) -> None:
    theirs = zlib.decompress(base64.b64decode(library_of(values).encode())[8:])
    assert zlib.decompress(filled(values).encode()[8:])[40:].rstrip(b"\0") == theirs[40:].rstrip(b"\0")


@given(VALUES.filter(bool), st.sampled_from([1, 25, 50, 75, 90, 99, 100]))
@examples(100)
def test_percentiles_agree_with_the_library(values: list[int], percent: int) -> None:
    # The library rounds the rank where we take the next whole one; with a hundred of each the rank is whole.
    hundredfold = values * 100
    assert filled(hundredfold).percentile(percent) == library_of(hundredfold).get_value_at_percentile(percent)


@given(VALUES.filter(bool), PERCENTS, st.integers(0, 50))
@examples(200)
def test_a_percentile_is_within_a_thousandth_of_the_sample_it_stands_for(
    values: list[int], percent: float, beyond: int
) -> None:
    answer = filled(values).percentile(percent, beyond)
    exact = Fraction(repr(float(percent))) * (len(values) + beyond) / 100
    rank = max(1, math.ceil(exact))
    assert answer is not None
    if rank > len(values):
        assert answer == math.inf
    else:
        sample = sorted(values)[rank - 1]
        assert sample <= answer <= sample * 1.001


@given(VALUES, st.lists(PERCENTS, max_size=8), st.integers(0, 50))
@examples(100)
def test_many_percentiles_at_once_are_the_same_and_monotone(
    values: list[int], percents: list[float], beyond: int
) -> None:
    histogram = filled(values)
    together = histogram.percentiles(percents, beyond)
    assert together == [histogram.percentile(percent, beyond) for percent in percents]
    in_order = [value for value in histogram.percentiles(sorted(percents), beyond) if value is not None]
    assert in_order == sorted(in_order)


@pytest.mark.parametrize(
    ("percent", "total", "rank"),
    [(99.9, 1000, 999), (99.9, 10_000, 9990), (99.99, 10_000, 9999), (29, 100, 29), (57, 100, 57), (99, 100, 99)],
)
def test_the_rank_of_a_percentile_does_not_trip_over_binary_fractions(percent: float, total: int, rank: int) -> None:
    histogram = Histogram(dict.fromkeys(range(1, min(total, 2000) + 1), 1))
    if total > 2000:
        histogram = Histogram({1: rank, 2: total - rank})
        assert histogram.percentile(percent) == 1
        assert Histogram({1: rank - 1, 2: total - rank + 1}).percentile(percent) == 2
    else:
        assert histogram.percentile(percent) == rank


def test_ranks_are_exact_for_billions_of_samples() -> None:
    assert Histogram({1: 999_000_000, 2: 1_000_000}).percentile(99.9) == 1
    assert Histogram({1: 998_999_999, 2: 1_000_001}).percentile(99.9) == 2


@pytest.mark.parametrize("percent", [-0.1, 100.1, math.nan, math.inf])
def test_a_percentile_outside_0_to_100_is_an_error(percent: float) -> None:
    with pytest.raises(ValueError):
        Histogram({1: 1}).percentile(percent)


def test_no_samples_is_none_and_only_failures_are_infinity() -> None:
    empty = Histogram()
    assert (empty.percentile(50), empty.minimum, empty.maximum, empty.mean) == (None, None, None, None)
    assert empty.percentile(50, beyond=3) == math.inf
    assert not empty


@given(st.lists(VALUES, max_size=6))
@examples(100)
def test_merging_is_the_same_as_recording_everything(parts: list[list[int]]) -> None:
    merged = Histogram.merged(*(filled(values) for values in parts))
    assert merged == filled([value for values in parts for value in values])
    assert merged.total == sum(map(len, parts))


@given(VALUES, VALUES)
@examples(100)
def test_what_was_merged_can_be_taken_away_again(kept: list[int], leaving: list[int]) -> None:
    histogram = Histogram.merged(filled(kept), filled(leaving))
    histogram.subtract(filled(leaving))
    assert histogram == filled(kept)
    assert histogram.total == len(kept)
    with pytest.raises(ValueError):
        histogram.subtract(filled([*kept, 1]))


def test_a_merged_histogram_shares_nothing_with_its_parts() -> None:
    part = filled([1, 2, 3])
    Histogram.merged(part).record(5)
    part.copy().record(7)
    assert part == filled([1, 2, 3])


def test_values_outside_the_range_are_clamped() -> None:
    histogram = filled([-5, HIGHEST_NS + 1, HIGHEST_NS * 1000])
    assert histogram.minimum == 0
    assert histogram == filled([0, HIGHEST_NS, HIGHEST_NS])


def test_the_mean_is_that_of_the_samples() -> None:
    values = [random.Random(3).randrange(1_000, 100_000_000) for _ in range(500)]
    mean = filled(values).mean
    assert mean == pytest.approx(sum(values) / len(values), rel=5e-4)


def test_count_at_or_below_counts_whole_buckets() -> None:
    histogram = filled([10, 20, 30, 5_000_000])
    assert [histogram.count_at_or_below(limit) for limit in (9, 10, 29, 30, 5_010_000)] == [0, 1, 2, 3, 4]


def test_counts_of_any_size_survive_the_encoding() -> None:
    for count in (1, 63, 64, 2**31, 2**55, 2**56, 2**62):
        histogram = Histogram({5: count, 3000: 1})
        assert Histogram.decode(histogram.encode()) == histogram


@given(st.binary(max_size=200))
@examples(200)
def test_hostile_bytes_are_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        Histogram.decode(data)


def packed(payload: bytes, header: bytes | None = None) -> bytes:
    header = header or struct.pack(">iiiiqqd", 0x1C849313, len(payload), 0, 3, 1, HIGHEST_NS, 1.0)
    compressed = zlib.compress(header + payload)
    return struct.pack(">ii", 0x1C849314, len(compressed)) + compressed


@given(st.binary(max_size=100))
@examples(200)
def test_a_hostile_payload_is_read_or_refused(payload: bytes) -> None:
    try:
        histogram = Histogram.decode(packed(payload))
    except ValueError:
        return
    assert all(count > 0 and 0 <= index <= index_of(HIGHEST_NS) for index, count in histogram.counts.items())
    assert Histogram.decode(histogram.encode()) == histogram


@given(st.integers(0, 60), st.integers(0, 255))
@examples(100)
def test_a_damaged_byte_is_read_or_refused(place: int, byte: int) -> None:
    data = bytearray(filled([1_000, 2_000_000]).encode())
    data[place % len(data)] = byte
    with contextlib.suppress(ValueError):
        assert Histogram.decode(bytes(data)).total >= 0


def test_every_truncation_is_refused() -> None:
    data = filled([1, 5_000, 2_000_000, 3_000_000]).encode()
    for length in range(len(data)):
        with pytest.raises(ValueError):
            Histogram.decode(data[:length])


@pytest.mark.parametrize(
    "payload",
    [b"\x80", b"\xff" * 8, b"\xff" * 9 + b"\x02", b"\xff\xff\xff\xff\xff\xff\xff\xff\xfd\x02", b"\x02\x81"],
)
def test_counts_that_are_cut_short_or_too_far_out_are_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):
        Histogram.decode(packed(payload))


def test_another_precision_or_unit_is_refused() -> None:
    for digits, lowest, offset in ((2, 1, 0), (3, 1000, 0), (3, 1, 5)):
        header = struct.pack(">iiiiqqd", 0x1C849313, 1, offset, digits, lowest, HIGHEST_NS, 1.0)
        with pytest.raises(ValueError, match="three digits"):
            Histogram.decode(packed(b"\x02", header))


def test_a_decompression_bomb_is_refused_without_unpacking_it() -> None:
    bomb = packed(b"\0" * 40_000_000)
    assert len(bomb) < 60_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError):
            Histogram.decode(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def test_a_seconds_work_takes_milliseconds() -> None:
    source = random.Random(1)
    histogram = filled([round(source.lognormvariate(0, 0.8) * 12e6) for _ in range(20_000)])
    encoded = histogram.encode()
    percents = (50, 90, 95, 99, 99.9)
    total = histogram.copy()
    best = min(_one_second(total, encoded, percents) for _ in range(5))
    # 2 ms on an idle core: a merge, a decode and five percentiles of 2,500 buckets. Ten times that is a defect.
    assert best < 0.02


def _one_second(total: Histogram, encoded: bytes, percents: tuple[float, ...]) -> float:
    begin = time.process_time()
    total.merge(Histogram.decode(encoded))
    total.percentiles(percents)
    return time.process_time() - begin
