"""Merging: the seconds of several workers add up to what one engine would have reported."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.fleet.merge import merge
from atm.metrics.histogram import Histogram
from atm.metrics.interval import (
    COUNTS,
    HISTOGRAMS,
    CheckInterval,
    DataInterval,
    EndpointInterval,
    FailureGroup,
    GeneratorInterval,
    Interval,
    IterationInterval,
)
from atm.metrics.own_interval import OwnInterval
from atm.metrics.sample import Exchanged, IterationSample, Sample
from atm.metrics.used_rows import UsedRows, encoded_rows
from atm.models.outcome import Outcome
from tests.examples import examples

NUMBERS = st.integers(0, 1000)
HISTOGRAM = st.dictionaries(st.integers(0, 5000), st.integers(1, 9), max_size=4).map(Histogram)


@st.composite
def endpoint_parts(draw: st.DrawFn) -> list[EndpointInterval]:
    places = draw(st.sets(st.tuples(st.integers(0, 3), st.booleans()), max_size=4))
    parts = []
    for endpoint, warm_up in sorted(places):
        part = EndpointInterval(endpoint, warm_up, outcomes={Outcome.OK: draw(st.integers(1, 9))}, statuses={200: 1})
        part.started = draw(NUMBERS)
        part.skipped = draw(NUMBERS)
        part.service = draw(HISTOGRAM)
        part.response_ok = draw(HISTOGRAM)
        parts.append(part)
    return parts


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    return Interval(
        second=3,
        phase=draw(st.sampled_from(["load", "drain"])),
        duration_ns=draw(st.integers(1, 10**9)),
        offered=draw(NUMBERS),
        endpoints=draw(endpoint_parts()),
        generator=GeneratorInterval(
            schedule_lag=draw(HISTOGRAM),
            stalls=draw(NUMBERS),
            stalled_ns=draw(NUMBERS),
            cpu_seconds=draw(NUMBERS),
            busiest_thread_share=draw(st.floats(0, 1)),
            in_flight=draw(NUMBERS),
            saturated=draw(st.booleans()),
        ),
        failures=[FailureGroup(0, False, Outcome.TIMEOUT, "late", draw(st.integers(1, 9)), 5, draw(NUMBERS) + 5)],
        iterations=[IterationInterval(1, False, started=draw(NUMBERS), time=draw(HISTOGRAM))],
        checks=[CheckInterval(0, False, draw(NUMBERS), draw(NUMBERS))],
        data=[DataInterval(0, draw(NUMBERS), draw(NUMBERS))],
    )


@given(seconds=st.lists(intervals(), min_size=1, max_size=5))
@examples(100)
def test_the_merged_second_is_the_sum_of_all(seconds: list[Interval]) -> None:
    before = [interval.to_bytes() for interval in seconds]
    merged = merge(seconds)
    assert [interval.to_bytes() for interval in seconds] == before, "merging changed what was merged"
    for place in {(part.endpoint, part.warm_up) for interval in seconds for part in interval.endpoints}:
        parts = [part for each in seconds for part in each.endpoints if (part.endpoint, part.warm_up) == place]
        (total,) = (part for part in merged.endpoints if (part.endpoint, part.warm_up) == place)
        for name in COUNTS:
            assert getattr(total, name) == sum(getattr(part, name) for part in parts)
        for name in HISTOGRAMS:
            assert getattr(total, name) == Histogram.merged(*(getattr(part, name) for part in parts))
        assert total.ok == sum(part.ok for part in parts)
    generators = [interval.generator for interval in seconds]
    assert merged.offered == sum(interval.offered for interval in seconds)
    assert merged.generator.cpu_seconds == sum(part.cpu_seconds for part in generators)
    assert merged.generator.in_flight == sum(part.in_flight for part in generators)
    assert merged.generator.schedule_lag.total == sum(part.schedule_lag.total for part in generators)
    assert merged.generator.busiest_thread_share == max(part.busiest_thread_share for part in generators)
    assert merged.generator.stalled_ns == max(part.stalled_ns for part in generators)
    assert merged.failures[0].count == sum(interval.failures[0].count for interval in seconds)
    assert merged.iterations[0].started == sum(interval.iterations[0].started for interval in seconds)
    assert merged.checks[0].failed == sum(interval.checks[0].failed for interval in seconds)
    assert merged.data[0].used == sum(interval.data[0].used for interval in seconds)
    assert (merged.phase == "drain") == all(interval.phase == "drain" for interval in seconds)


def test_a_row_that_two_workers_used_is_used_once_and_repeated_once() -> None:
    used_rows = UsedRows([9])
    parts = [DataInterval(0, 2, 0, encoded_rows(rows)) for rows in ([3, 8], [4, 8], [3, 5])]
    seconds = [Interval(0, "load", data=[part]) for part in parts]
    assert merge(seconds[:2], used_rows).data == [DataInterval(0, 3, 1)]
    assert merge(seconds[2:], used_rows).data == [DataInterval(0, 1, 1)]


def test_different_seconds_are_not_merged() -> None:
    with pytest.raises(ValueError, match="not the same"):
        merge([Interval(1, "load"), Interval(2, "load")])


def test_every_part_of_a_second_is_carried_over() -> None:
    sample = Sample(
        request_number=7,
        endpoint=0,
        warm_up=False,
        reason="first",
        outcome=Outcome.OK,
        message="",
        intended_ns=1,
        actual_ns=2,
        finish_ns=3,
        first_byte_ns=None,
        status=200,
        url="http://127.0.0.1/",
        request=Exchanged("GET / HTTP/1.1", (), "", 0),
        response=None,
    )
    iteration = IterationSample(0, 7, 7, "first", is_completed=True, intended_ns=1, finish_ns=3, think_ns=0, steps=())
    full = Interval(
        second=3,
        phase="load",
        duration_ns=5,
        offered=1.0,
        endpoints=[EndpointInterval(0, started=1)],
        generator=GeneratorInterval(users=1),
        failures=[FailureGroup(0, False, Outcome.TIMEOUT, "timeout", 1, 2, 3)],
        samples=[sample],
        iterations=[IterationInterval(0, warm_up=False, started=1)],
        checks=[CheckInterval(0, warm_up=False, passed=1)],
        data=[DataInterval(0, used=1)],
        sampled_iterations=[iteration],
        own=[OwnInterval(0, warm_up=False, count=1, total=5)],
    )
    untouched = Interval(second=0, phase="")
    empty = [part.name for part in fields(Interval) if getattr(full, part.name) == getattr(untouched, part.name)]
    assert empty == ["code", "workers"]
    assert merge([full]).to_bytes() == full.to_bytes()
