"""Adding up the seconds of a run."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.metrics.collector import Collector
from atm.metrics.interval import EndpointInterval
from atm.metrics.samples import OTHER_MESSAGES, FailureLog, SampleShelf
from atm.metrics.timeline import RESOLUTIONS, Timeline, milliseconds
from atm.models.outcome import Outcome
from tests.examples import examples
from tests.metrics.seconds import MS, SECOND, endpoint, failure_group, lognormal_ms, sample, second
from tests.metrics.test_interval import endpoint_intervals

NAMES = ("GET /users", "POST /orders")


@given(st.lists(st.lists(st.integers(0, 1).flatmap(lambda i: endpoint_intervals(index=i)), max_size=3), max_size=5))
@examples(100)
def test_totals_are_the_sum_of_the_seconds(seconds: list[list[EndpointInterval]]) -> None:
    collector = Collector(NAMES)
    for number, parts in enumerate(seconds):
        collector.add(second(number, *parts))
    measured = [part for parts in seconds for part in parts if not part.warm_up]
    warm_up = [part for parts in seconds for part in parts if part.warm_up]
    assert collector.total.started == sum(part.started for part in measured)
    assert collector.total.due == sum(part.due for part in measured)
    assert collector.total.completed == sum(part.completed for part in measured)
    assert collector.warm_up.completed == sum(part.completed for part in warm_up)
    together = EndpointInterval(endpoint=-1)
    for part in collector.measured:
        together.merge(part)
    assert together == collector.total
    assert sum(point.completed for point in collector.timeline.points()) == collector.completed


def test_seconds_out_of_order_and_unknown_endpoints_are_refused() -> None:
    collector = Collector(NAMES)
    collector.add(second(3))
    for number in (3, 2):
        with pytest.raises(ValueError, match="in order"):
            collector.add(second(number))
    with pytest.raises(ValueError, match="endpoint 2 of 2"):
        collector.add(second(4, endpoint(2, [1.0])))


def test_the_intervals_of_an_engine_are_left_as_they_are() -> None:
    collector = Collector(NAMES)
    first = second(0, endpoint(0, [10.0]))
    collector.add(first)
    collector.add(second(1, endpoint(0, [20.0])))
    assert first == second(0, endpoint(0, [10.0]))


def test_the_window_so_far_leaves_out_warm_up_and_drain() -> None:
    collector = Collector(NAMES, warm_up_ns=1_500 * MS)
    for number, phase in enumerate(["warm_up", "load", "load", "drain"]):
        collector.add(second(number, phase=phase))
    assert collector.window_ns == 1_500 * MS
    assert collector.end_ns == 4 * SECOND


def a_run(samples: int, seconds: int) -> Collector:
    source = random.Random(5)
    # 2,000 values, so that 20,000 samples have already seen every bucket.
    pool = [round(min(source.lognormvariate(0, 0.8), 50.0) * 12e6) for _ in range(2000)]
    collector = Collector(NAMES)
    per_part = samples // seconds // 2
    rounds, rest = divmod(per_part, len(pool))
    for number in range(seconds):
        parts = [endpoint(index, [], started=per_part) for index in range(2)]
        for part in parts:
            counts = Counter(pool[(number * rest + place) % len(pool)] for place in range(rest))
            for value in pool if rounds else counts:
                part.response_ok.record(value, rounds + counts[value])
            part.service.merge(part.response_ok)
            part.first_byte.merge(part.response_ok)
            part.outcomes[Outcome.OK] = per_part
        failures = [failure_group(message=f"503, {number % 7}")]
        collector.add(second(number, *parts, failures=failures, samples=[sample(number + 1, "slowest")]))
    return collector


def memory_of(samples: int, seconds: int) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        collector = a_run(samples, seconds)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
        assert collector.total.ok == samples
    finally:
        tracemalloc.stop()
    return kept


def test_two_million_samples_leave_memory_where_it_was_at_twenty_thousand() -> None:
    small, large = memory_of(20_000, 20), memory_of(2_000_000, 20)
    # What differs are counts too large for Python's shared small integers: 32 bytes for each of the 35,000 buckets in
    # use, once. Storing eight bytes for each sample would be 16 MB.
    assert large - small < 1_500_000
    assert large < 4_000_000


def test_a_long_run_keeps_a_bounded_number_of_points() -> None:
    timeline = Timeline(most_points=50)
    for number in range(5000):
        timeline.add(second(number, endpoint(0, [float(number % 7 + 1)])))
        assert len(timeline.points()) <= 51
    assert timeline.resolution in RESOLUTIONS
    assert timeline.resolution == 600
    assert sum(point.completed for point in timeline.points()) == 5000


def test_a_coarse_point_is_as_exact_as_a_fine_one() -> None:
    times = [lognormal_ms(40, seed=number) for number in range(65)]
    timeline = Timeline(most_points=30)
    for number, of_second in enumerate(times):
        timeline.add(second(number, endpoint(0, of_second)))
    points = timeline.points()
    assert [point.second for point in points] == [0, 10, 20, 30, 40, 50, 60]
    whole = endpoint(0, [time_ms for of_second in times[10:20] for time_ms in of_second]).response()
    assert points[1].latency_p99_ms == milliseconds(whole.percentile(99))
    assert points[1].latency_max_ms == milliseconds(whole.maximum)
    assert (points[1].completed, points[-1].completed) == (400, 200)
    assert (points[1].duration_seconds, points[-1].duration_seconds) == (10.0, 5.0)


def test_no_point_mixes_warm_up_and_load() -> None:
    timeline = Timeline(most_points=5)
    for number in range(25):
        phase = "warm_up" if number < 13 else "load"
        timeline.add(second(number, endpoint(0, [1.0], warm_up=number < 13), phase=phase))
    assert [(point.second, point.warm_up, point.completed) for point in timeline.points()] == [
        (0, True, 10),
        (10, True, 3),
        (13, False, 7),
        (20, False, 5),
    ]


def test_a_second_without_an_answer_has_a_rate_of_zero_and_no_percentile() -> None:
    timeline = Timeline()
    timeline.add(second(0, offered=50.0))
    (point,) = timeline.points()
    assert (point.completed, point.latency_p99_ms, point.latency_max_ms) == (0, None, None)
    assert (point.offered_rate, point.schedule_lag_p99_ms) == (50.0, None)


def test_a_point_shows_failures_by_kind_and_the_generator() -> None:
    timeline = Timeline()
    part = endpoint(0, [10.0] * 5, failures={Outcome.TIMEOUT: 2, Outcome.UNFINISHED: 1, Outcome.GENERATOR_ERROR: 1})
    timeline.add(second(0, part, duration_ns=SECOND // 2, offered=10.0, in_flight=3, cpu_seconds=0.1))
    (point,) = timeline.points()
    assert (point.started, point.completed, point.failed, point.errors) == (9, 7, 2, {Outcome.TIMEOUT: 2})
    assert (point.offered_rate, point.cpu_share, point.in_flight) == (20.0, 0.2, 3)


def test_failures_are_grouped_over_the_seconds() -> None:
    log = FailureLog()
    log.add(failure_group(count=2, first_ns=5, last_ns=9))
    log.add(failure_group(count=3, first_ns=11, last_ns=12))
    log.add(failure_group(endpoint=1, count=9, first_ns=1, last_ns=2))
    first, second_ = log.groups()
    assert (first.endpoint, first.count) == (1, 9)
    assert (second_.count, second_.first_ns, second_.last_ns) == (5, 5, 12)


def test_a_target_that_invents_messages_does_not_fill_the_memory() -> None:
    log = FailureLog(most_groups=10)
    for number in range(1000):
        log.add(failure_group(Outcome.TLS_ERROR, f"reason {number}", first_ns=number, last_ns=number))
    groups = log.groups()
    assert len(groups) == 11
    assert (groups[0].message, groups[0].count) == (OTHER_MESSAGES, 990)
    assert sum(group.count for group in groups) == 1000


def test_requests_of_two_scenarios_that_begin_together_are_two_samples() -> None:
    """Scenarios count their iterations from 1 each, and the first ones are due at the same time."""
    shelf = SampleShelf(first_per_endpoint=1, failures_per_kind=1, slowest=4)
    shelf.add_all([sample(1, endpoint=0, response_ms=5.0), sample(1, endpoint=1, response_ms=6.0)])
    assert [(kept.request_number, kept.endpoint) for kept in shelf.samples()] == [(1, 0), (1, 1)]
    shelf = SampleShelf(first_per_endpoint=0, failures_per_kind=1, slowest=4)
    shelf.add_all([sample(1, "slowest", endpoint=0), sample(1, "slowest", endpoint=1)])
    assert len(shelf.samples()) == 2


def test_samples_are_kept_within_their_bounds() -> None:
    shelf = SampleShelf(first_per_endpoint=2, failures_per_kind=1, slowest=3)
    shelf.add_all(sample(number, endpoint=number % 2, response_ms=1.0) for number in range(1, 9))
    kinds = (Outcome.TIMEOUT, Outcome.TIMEOUT, Outcome.UNEXPECTED_STATUS)
    shelf.add_all(sample(20 + place, "failure", outcome=kind, response_ms=2.0) for place, kind in enumerate(kinds))
    shelf.add_all(sample(number, "slowest", response_ms=float(number)) for number in (40, 90, 50, 70, 60))
    kept = {(kept.request_number, kept.reason) for kept in shelf.samples()}
    firsts = {(number, "first") for number in (1, 2, 3, 4)}
    assert kept == firsts | {(20, "failure"), (22, "failure")} | {(number, "slowest") for number in (90, 70, 60)}
    assert [kept.request_number for kept in shelf.samples()] == sorted(number for number, _ in kept)


def test_a_request_is_kept_once_however_many_reasons_there_are() -> None:
    shelf = SampleShelf(1, 1, 2)
    shelf.add_all([sample(1, "first"), sample(1, "slowest"), sample(1, "failure", outcome=Outcome.TIMEOUT)])
    assert [(kept.request_number, kept.reason) for kept in shelf.samples()] == [(1, "first")]


def test_warm_up_takes_no_place_from_the_measured_load() -> None:
    shelf = SampleShelf(1, 1, 1)
    shelf.add_all([sample(1, warm_up=True, response_ms=900.0), sample(2), sample(3, "slowest", response_ms=20.0)])
    assert [(kept.request_number, kept.warm_up) for kept in shelf.samples()] == [(1, True), (2, False), (3, False)]


def test_nothing_is_kept_where_nothing_is_to_be_kept() -> None:
    shelf = SampleShelf(0, 0, 0)
    shelf.add_all([sample(1), sample(2, "slowest"), sample(3, "failure", outcome=Outcome.TIMEOUT)])
    assert shelf.samples() == []


def test_the_generators_figures_are_those_of_the_measured_load() -> None:
    collector = Collector(NAMES, warm_up_ns=SECOND)
    busy: dict[str, Any] = {
        "cpu_seconds": 0.9,
        "busiest_thread_share": 0.9,
        "memory_bytes": 9000,
        "users": 4,
        "in_flight": 4,
    }
    warm_up = second(0, phase="warm_up", stalls=3, stalled_ns=SECOND, **busy)
    warm_up.generator.connect.record(2 * MS, 64)
    collector.add(warm_up)
    for number, share in ((1, 0.2), (2, 0.3), (3, 0.4)):
        collector.add(second(number, cpu_seconds=share, busiest_thread_share=share, memory_bytes=5000, in_flight=7))
    generator = collector.generator
    assert (generator.stalls, generator.cpu_seconds, generator.cpu_share) == pytest.approx((0, 0.9, 0.3))
    assert (generator.intervals, generator.busiest_thread_share) == (3, 0.3)
    assert (generator.memory_peak_bytes, generator.max_in_flight, generator.users) == (9000, 7, 4)
    assert generator.connect.total == 64


def test_a_second_of_twenty_endpoints_takes_milliseconds() -> None:
    collector = Collector([f"GET /{index}" for index in range(20)])
    parts = [endpoint(index, lognormal_ms(200, seed=index)) for index in range(20)]
    spent = []
    for number in range(6):
        begin = time.process_time()
        collector.add(second(number, *parts))
        collector.snapshot()
        spent.append(time.process_time() - begin)
    # 13 ms on an idle core.
    assert min(spent) < 0.1
