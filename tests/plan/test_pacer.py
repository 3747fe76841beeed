from __future__ import annotations

import time
from fractions import Fraction
from itertools import islice, pairwise, takewhile
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.plan.load_plan import Load, Segment
from atm.plan.pacer import SECOND, Pacer, Profile, user_changes
from tests.vectors import vectors

levels = st.one_of(st.just(0.0), st.floats(0.01, 50_000, allow_nan=False), st.integers(1, 5_000).map(float))
durations = st.integers(1_000_000, 600 * SECOND)


@st.composite
def profiles(draw: st.DrawFn, endless: bool | None = None) -> tuple[Segment, ...]:
    segments = draw(st.lists(st.builds(Segment, levels, levels, durations), min_size=1, max_size=5))
    if endless or (endless is None and draw(st.booleans())):
        level = draw(levels)
        segments.append(Segment(level, level, None))
    return tuple(segments)


def exact_integral(segments: tuple[Segment, ...], elapsed_ns: int) -> Fraction:
    """The integral in exact arithmetic, without a square root or a float: the oracle of this file."""
    total = Fraction(0)
    for segment in segments:
        within = elapsed_ns if segment.duration_ns is None else min(elapsed_ns, segment.duration_ns)
        start, end = Fraction(segment.start), Fraction(segment.end)
        level = start if segment.duration_ns is None else start + (end - start) * within / segment.duration_ns
        total += (start + level) / 2 * within / SECOND
        elapsed_ns -= within
    return total


def intended_start(schedule: Pacer, number: int) -> int | None:
    """When arrival `number` leaves; None when the load has ended before."""
    return next(schedule.starts(number), None)


def arrivals_before(schedule: Pacer, elapsed_ns: int) -> int:
    return sum(1 for _ in takewhile(lambda moment: moment < elapsed_ns, schedule.starts()))


def users_at(load: Load, elapsed_ns: int) -> int:
    return max(takewhile(lambda change: change[0] <= elapsed_ns, user_changes(load)), default=(0, 0))[1]


SHARED = vectors("pacing")


def segments_of(case: dict[str, Any]) -> tuple[Segment, ...]:
    return tuple(Segment(**segment) for segment in case["segments"])


@pytest.mark.parametrize("case", SHARED["profiles"], ids=lambda case: case["name"])
def test_profiles_are_those_of_the_shared_cases(case: dict[str, Any]) -> None:
    segments = segments_of(case)
    profile = Profile(segments)
    assert profile.duration_ns == case["end_ns"]
    for elapsed_ns, level in case["levels"]:
        assert profile.level_at(elapsed_ns) == pytest.approx(level, rel=1e-12, abs=1e-9)
    for elapsed_ns, integral in case["integrals"]:
        assert profile.integral_to(elapsed_ns) == pytest.approx(integral, rel=1e-12, abs=1e-9)
    for integral, moment in case["inverses"]:
        found = profile.inverse(integral)
        assert (found is None) == (moment is None)
        assert found is None or abs(found - moment) <= SHARED["tolerance_ns"]
    for elapsed_ns, users in case["users"]:
        assert users_at(Load("closed", segments), elapsed_ns) == users


@pytest.mark.parametrize("case", SHARED["arrivals"], ids=lambda case: case["name"])
def test_arrivals_are_those_of_the_shared_cases(case: dict[str, Any]) -> None:
    load = Load(**{**case["load"], "segments": segments_of(case["load"])})
    schedule = Pacer(load, case["seed"])
    assert schedule.warm_up_arrivals == case["warm_up_arrivals"]
    for number, moment in case["starts"]:
        found = intended_start(schedule, number)
        assert found is not None
        assert abs(found - moment) <= SHARED["tolerance_ns"]


@given(profiles(), st.floats(0, 1, exclude_max=True))
def test_the_inverse_undoes_the_integral_within_two_nanoseconds(segments: tuple[Segment, ...], share: float) -> None:
    profile = Profile(segments)
    integral = share * min(profile.integral, 1e7)
    moment = profile.inverse(integral)
    if moment is None:
        last = 10**18 if profile.duration_ns is None else profile.duration_ns - 2
        assert integral >= exact_integral(segments, last)
        return
    slack = Fraction(integral) * Fraction(1, 2**51)
    assert exact_integral(segments, max(0, moment - 2)) <= integral + slack
    assert exact_integral(segments, moment + 2) >= integral - slack


@given(profiles(), st.integers(0, 3_000 * SECOND))
def test_the_integral_agrees_with_exact_arithmetic(segments: tuple[Segment, ...], elapsed_ns: int) -> None:
    measured = Profile(segments).integral_to(elapsed_ns)
    assert measured == pytest.approx(float(exact_integral(segments, elapsed_ns)), rel=1e-12, abs=1e-12)


@given(profiles(endless=False), durations, levels, st.integers(0, 200))
def test_the_cursor_agrees_with_the_function_and_never_goes_back(
    segments: tuple[Segment, ...], warm_up_ns: int, level: float, first: int
) -> None:
    schedule = Pacer(Load("open", segments, warm_up_ns=warm_up_ns, warm_up_level=level))
    moments = list(islice(schedule.starts(first + 1), 300))
    assert moments == sorted(moments)
    assert moments == [intended_start(schedule, first + offset) for offset in range(1, len(moments) + 1)]
    if len(moments) < 300:
        assert intended_start(schedule, first + len(moments) + 1) is None


def test_a_constant_rate_is_evenly_spaced_from_zero() -> None:
    schedule = Pacer(Load("open", (Segment(500, 500, None),)))
    assert list(islice(schedule.starts(), 4)) == [0, 2_000_000, 4_000_000, 6_000_000]
    assert arrivals_before(schedule, 10 * SECOND) == 5_000
    assert intended_start(schedule, 5_000_001) == 10_000 * SECOND
    assert schedule.gap_ns(0) == 2_000_000
    assert schedule.end_ns is None


def test_a_ramp_from_zero_starts_at_zero_and_gives_the_area_under_it() -> None:
    schedule = Pacer(Load("open", (Segment(0, 100, 10 * SECOND),)))
    starts = list(schedule.starts())
    assert starts[0] == 0
    assert len(starts) == 500
    # t = sqrt(2·S·D/b): S = 20 of 0..100/s in 10 s is at 2 s.
    assert starts[20] == 2 * SECOND
    assert schedule.end_ns == 10 * SECOND


def test_a_ramp_to_zero_ends_with_its_last_whole_arrival() -> None:
    starts = list(Pacer(Load("open", (Segment(100, 0, 10 * SECOND),))).starts())
    assert len(starts) == 500
    assert starts[-1] < 10 * SECOND
    assert starts[480] == 8 * SECOND


def test_no_arrival_falls_into_a_pause() -> None:
    segments = (Segment(10, 10, SECOND), Segment(0, 0, 5 * SECOND), Segment(10, 10, SECOND))
    starts = list(Pacer(Load("open", segments)).starts())
    assert len(starts) == 20
    assert starts[9] == 900_000_000
    assert starts[10] == 6 * SECOND


def test_a_pause_at_the_beginning_delays_the_first_arrival() -> None:
    schedule = Pacer(Load("open", (Segment(0, 0, 3 * SECOND), Segment(5, 5, None))))
    assert intended_start(schedule, 1) == 3 * SECOND


def test_a_load_that_falls_to_zero_for_ever_has_no_more_arrivals() -> None:
    schedule = Pacer(Load("open", (Segment(10, 10, SECOND), Segment(0, 0, None))))
    assert len(list(schedule.starts())) == 10
    assert intended_start(schedule, 11) is None
    assert arrivals_before(schedule, 3_600 * SECOND) == 10


def test_an_instant_jump_is_a_segment_without_length() -> None:
    schedule = Pacer(Load("open", (Segment(10, 50, 0), Segment(50, 50, SECOND))))
    assert len(list(schedule.starts())) == 50
    assert schedule.gap_ns(0) == 20_000_000


def test_warm_up_comes_first_and_numbers_run_on() -> None:
    schedule = Pacer(Load("open", (Segment(100, 100, SECOND),), warm_up_ns=2 * SECOND, warm_up_level=5))
    assert schedule.warm_up_arrivals == 10
    assert intended_start(schedule, 10) == 1_800_000_000
    assert intended_start(schedule, 11) == 2 * SECOND
    assert arrivals_before(schedule, 2 * SECOND) == 10
    assert arrivals_before(schedule, 2 * SECOND + 1) == 11
    assert len(list(schedule.starts())) == 110
    assert schedule.end_ns == 3 * SECOND
    assert [schedule.gap_ns(second * SECOND) for second in (0, 2, 3)] == [200_000_000, 10_000_000, 0]


@pytest.mark.parametrize(("rate", "seconds"), [(0.1, 10), (3, 1), (7, 3), (1 / 3, 3), (29.97, 100), (333.3, 10)])
def test_rounding_adds_no_arrival_at_the_end(rate: float, seconds: int) -> None:
    starts = list(Pacer(Load("open", (Segment(rate, rate, seconds * SECOND),))).starts())
    assert len(starts) == round(rate * seconds)


@given(st.integers(0, 2**64 - 1), profiles())
def test_poisson_arrivals_are_the_same_for_the_same_seed(seed: int, segments: tuple[Segment, ...]) -> None:
    load = Load("open", segments, warm_up_ns=SECOND, warm_up_level=3, arrival="poisson")
    first = list(islice(Pacer(load, seed).starts(), 40))
    assert first == list(islice(Pacer(load, seed).starts(), 40))
    assert first == [intended_start(Pacer(load, seed), number) for number in range(1, len(first) + 1)]
    assert first == sorted(first)
    assert first[5:] == list(islice(Pacer(load, seed).starts(6), max(0, len(first) - 5)))


def test_poisson_gaps_have_the_mean_and_the_spread_of_an_exponential() -> None:
    schedule = Pacer(Load("open", (Segment(1_000, 1_000, None),), arrival="poisson"), seed=7)
    gaps = [later - earlier for earlier, later in pairwise(islice(schedule.starts(), 40_000))]
    assert mean(gaps) == pytest.approx(1_000_000, rel=0.02)
    assert mean(gap * gap for gap in gaps) == pytest.approx(2e12, rel=0.05)
    assert arrivals_before(schedule, SECOND) == sum(1 for moment in islice(schedule.starts(), 2_000) if moment < SECOND)


def test_poisson_warm_up_is_even() -> None:
    load = Load("open", (Segment(10, 10, None),), warm_up_ns=SECOND, warm_up_level=4, arrival="poisson")
    assert list(islice(Pacer(load, 1).starts(), 4)) == [0, 250_000_000, 500_000_000, 750_000_000]
    assert next(Pacer(load, 1).starts(5)) > SECOND


def test_a_long_profile_keeps_its_precision() -> None:
    segments = (*(Segment(1_000, 1_000, SECOND // 3) for _ in range(3_000)), Segment(1_000, 1_000, None))
    assert intended_start(Pacer(Load("open", segments)), 10_000_001) == pytest.approx(10_000 * SECOND, abs=1_001)


def test_the_cursor_costs_little_for_each_arrival() -> None:
    segments = tuple(Segment(float(i), float(i + 100), 10 * SECOND) for i in range(0, 5_000, 100))
    started = time.process_time()
    assert sum(1 for _ in islice(Pacer(Load("open", segments)).starts(), 200_000)) == 200_000
    assert time.process_time() - started < 2


def closed(*segments: Segment, warm_up_ns: int = 0, warm_up_level: float = 0) -> Load:
    return Load("closed", segments, warm_up_ns=warm_up_ns, warm_up_level=warm_up_level)


def test_constant_users_never_change() -> None:
    assert list(user_changes(closed(Segment(10, 10, None)))) == [(0, 10)]
    assert users_at(closed(Segment(10, 10, None)), 10**15) == 10


def test_users_ramp_by_rounding_and_at_least_one_runs() -> None:
    load = closed(Segment(0, 4, 8 * SECOND), Segment(4, 0, 8 * SECOND))
    assert list(user_changes(load)) == [
        (0, 1),
        (3 * SECOND, 2),
        (5 * SECOND, 3),
        (7 * SECOND, 4),
        (9 * SECOND + 1, 3),
        (11 * SECOND + 1, 2),
        (13 * SECOND + 1, 1),
        (16 * SECOND, 0),
    ]


def test_warm_up_users_come_before_the_profile() -> None:
    load = closed(Segment(5, 5, 2 * SECOND), warm_up_ns=SECOND, warm_up_level=2)
    assert list(user_changes(load)) == [(0, 2), (SECOND, 5), (3 * SECOND, 0)]


@given(profiles(), st.integers(0, 100 * SECOND))
def test_users_are_the_rounded_level(segments: tuple[Segment, ...], elapsed_ns: int) -> None:
    small = tuple(Segment(s.start / 100, s.end / 100, s.duration_ns) for s in segments)
    level = Profile(small).level_at(elapsed_ns)
    users = users_at(closed(*small), elapsed_ns)
    assert abs(users - level) <= 0.5 + 1e-6 or users == 1
