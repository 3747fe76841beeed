"""The wire format of one second."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.metrics.histogram import HIGHEST_NS, Histogram
from atm.metrics.interval import COUNTS, HISTOGRAMS, EndpointInterval, FailureGroup, GeneratorInterval, Interval
from atm.metrics.sample import IterationSample, Sample, StepSample
from atm.models.outcome import Outcome
from tests.examples import examples
from tests.metrics.seconds import endpoint, iteration_sample, sample, second

COUNT = st.integers(0, 10**9)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SHARES = st.floats(0, 1)


@st.composite
def histograms(draw: st.DrawFn) -> Histogram:
    histogram = Histogram()
    for value in draw(st.lists(st.integers(0, HIGHEST_NS), max_size=10)):
        histogram.record(value)
    return histogram


@st.composite
def endpoint_intervals(draw: st.DrawFn, index: int | None = None) -> EndpointInterval:
    part = EndpointInterval(draw(st.integers(0, 3)) if index is None else index, draw(st.booleans()))
    for name in COUNTS:
        setattr(part, name, draw(COUNT))
    for name in HISTOGRAMS:
        setattr(part, name, draw(histograms()))
    part.outcomes = draw(st.dictionaries(st.sampled_from(Outcome), st.integers(1, 10**6), max_size=5))
    part.statuses = draw(st.dictionaries(st.integers(100, 599), st.integers(1, 10**6), max_size=3))
    return part


@st.composite
def generator_intervals(draw: st.DrawFn) -> GeneratorInterval:
    generator = GeneratorInterval()
    for name in ("schedule_lag", "connect", "tls", "dns"):
        setattr(generator, name, draw(histograms()))
    for name in ("stalls", "stalled_ns", "longest_stall_ns", "memory_bytes", "users", "in_flight", "waiting", "dials"):
        setattr(generator, name, draw(COUNT))
    for name in ("cpu_seconds", "busiest_thread_share", "steal_share"):
        setattr(generator, name, draw(SHARES))
    generator.saturated = draw(st.booleans())
    return generator


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    outcome = draw(st.sampled_from(Outcome))
    return sample(draw(st.integers(1, 10**6)), outcome=outcome, message=draw(TEXT), body=draw(TEXT))


@st.composite
def iteration_samples(draw: st.DrawFn) -> IterationSample:
    checks = st.lists(st.tuples(COUNT, st.booleans()), max_size=2).map(tuple)
    values = st.lists(st.tuples(TEXT, st.none() | TEXT), max_size=2).map(tuple)
    steps = draw(st.lists(st.builds(StepSample, samples(), checks, values), max_size=2))
    return iteration_sample(draw(st.integers(1, 10**6)), "slowest", *steps, failed=draw(st.booleans()))


FAILURE_GROUPS = st.builds(
    FailureGroup, st.integers(0, 3), st.booleans(), st.sampled_from(Outcome), TEXT, COUNT, COUNT, COUNT
)
INTERVALS = st.builds(
    Interval,
    second=st.integers(0, 10**6),
    phase=st.sampled_from(["warm_up", "load", "ramp_up", "hold", "ramp_down", "drain"]),
    duration_ns=st.integers(1, 10**9),
    offered=st.floats(0, 1e6),
    endpoints=st.lists(endpoint_intervals(), max_size=3),
    generator=generator_intervals(),
    failures=st.lists(FAILURE_GROUPS, max_size=3),
    samples=st.lists(samples(), max_size=2),
    sampled_iterations=st.lists(iteration_samples(), max_size=2),
)


@given(INTERVALS)
@examples(100)
def test_an_interval_survives_its_bytes(interval: Interval) -> None:
    data = interval.to_bytes()
    assert b"\n" not in data
    assert Interval.from_bytes(data) == interval


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"second":1}',
        b'{"second":1e999,"phase":"load","duration_ns":1,"offered":0,"endpoints":[],"generator":{}}',
        b'{"second":0,"phase":"load","duration_ns":1,"offered":0,"endpoints":[{}],"generator":{}}',
        b'{"second":0,"phase":"load","duration_ns":1,"offered":0,"endpoints":[],"generator":{"dns":"!"}}',
        b'{"second":0,"phase":"load","duration_ns":1,"offered":0,"endpoints":[],"generator":{},"failures":[{}]}',
        b'{"second":0,"phase":"load","duration_ns":1,"offered":0,"endpoints":[],"generator":{},"samples":[{}]}',
        b"[" * 100_000,
    ],
)
def test_anything_else_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        Interval.from_bytes(data)


def test_the_counts_of_a_second_follow_from_its_outcomes() -> None:
    part = endpoint(
        0,
        [10.0] * 5,
        failures={Outcome.UNEXPECTED_STATUS: 2, Outcome.TIMEOUT: 1, Outcome.GENERATOR_ERROR: 1, Outcome.UNFINISHED: 1},
        dropped=1,
        skipped=2,
        queued_at_end=3,
    )
    assert (part.ok, part.failed, part.completed, part.full_responses) == (5, 3, 8, 7)
    assert (part.started, part.missed, part.due) == (10, 6, 16)
    assert part.response().total == 8


@given(st.lists(endpoint_intervals(index=0), min_size=1, max_size=6), st.data())
@examples(100)
def test_seconds_merged_in_any_grouping_are_the_same(parts: list[EndpointInterval], data: st.DataObject) -> None:
    def merged(group: list[EndpointInterval]) -> EndpointInterval:
        total = EndpointInterval(endpoint=0)
        for part in group:
            total.merge(part)
        return total

    one_by_one = merged(parts)
    cut = data.draw(st.integers(0, len(parts)))
    shuffled = data.draw(st.permutations(parts))
    assert merged([merged(parts[:cut]), merged(parts[cut:])]) == one_by_one
    assert merged(shuffled).response().percentiles((50, 95, 99, 99.9)) == one_by_one.response().percentiles(
        (50, 95, 99, 99.9)
    )
    assert merged(shuffled).completed == sum(part.completed for part in parts)


def test_the_parts_stay_as_they_were_when_they_are_merged() -> None:
    part = endpoint(0, [10.0])
    total = EndpointInterval(endpoint=0)
    total.merge(part)
    total.merge(endpoint(0, [20.0]))
    assert part == endpoint(0, [10.0])
    assert second(0, part).endpoints[0].response_ok.total == 1
