from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from atm.engine.base import Engine
from atm.metrics.interval import Interval
from atm.models.outcome import StopReason
from atm.plan.load_plan import Load, Sampling, Segment
from atm.plan.selection import weighted
from atm.testing import TargetServer
from tests.contract.engine_runs import run
from tests.contract.plans import MILLISECOND, NUMBERED, SECOND, closed, http, opened, plan, step
from tests.steadiness import allowed

EVERY_REQUEST = Sampling(first_per_endpoint=200, failures_per_kind=0, slowest=0, body_bytes=0)
"""So that the engine tells when it began and ended each of them; it keeps 200 of a second at most."""


def numbers(target: TargetServer) -> list[int]:
    return [row.client_number or 0 for row in target.record()]


@pytest.mark.parametrize("users", [1, 7, 50])
def test_a_closed_run_sends_exactly_its_total(engine: Engine, target: TargetServer, users: int) -> None:
    ran = run(engine, plan(http(target), step("/", headers=(NUMBERED,)), load=closed(users), total=333))
    assert ran.report.stop_reason is StopReason.TOTAL
    assert ran.total().started == ran.total().ok == 333
    assert ran.total().statuses == {200: 333} == target.settled_stats().statuses
    assert sorted(numbers(target)) == list(range(1, 334))
    assert ran.total().drained_ok == 0
    assert ran.report.window_end_ns == ran.report.last_finish_ns


@pytest.mark.parametrize("users", [1, 7])
def test_the_last_number_of_a_lane_counts_warm_up(engine: Engine, target: TargetServer, users: int) -> None:
    load = closed(users, warm_up_ns=30 * MILLISECOND, warm_up_level=users)
    whole = plan(http(target), step("/delay/5", headers=(NUMBERED,)), load=load, total=None)
    ran = run(engine, replace(whole, lanes=(replace(whole.lanes[0], last_number=100),)))
    assert ran.report.stop_reason is StopReason.TOTAL
    assert sorted(numbers(target)) == list(range(1, 101))
    assert ran.total().started + ran.total(warm_up=True).started == 100
    assert ran.total(warm_up=True).started > 0


@pytest.mark.parametrize(("total", "sent"), [(50, 50), (500, 80)])
def test_the_lower_of_total_and_last_number_ends_a_lane(
    engine: Engine, target: TargetServer, total: int, sent: int
) -> None:
    load = closed(4, max_rate=2000.0)
    whole = plan(http(target), step("/", headers=(NUMBERED,)), load=load, total=total)
    ran = run(engine, replace(whole, lanes=(replace(whole.lanes[0], last_number=80),)))
    assert ran.report.stop_reason is StopReason.TOTAL
    assert sorted(numbers(target)) == list(range(1, sent + 1))


def test_one_connection_per_user_is_kept_alive(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(http(target), load=closed(5), total=200))
    assert len({row.connection for row in target.record()}) == 5
    assert ran.generated("dials") == 5
    assert ran.generated("connections_lost") == 0


def test_a_closed_run_with_a_duration_ends_with_it_and_drains(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(http(target), step("/delay/20"), load=closed(4), duration=0.3))
    assert ran.report.stop_reason is StopReason.DURATION
    assert ran.report.window_end_ns == 0.3 * SECOND
    # What drains was begun inside the window, so it ends within one service time of it.
    assert 0.3 * SECOND < ran.report.last_finish_ns <= 0.3 * SECOND + (ran.total().service.maximum or 0)
    assert ran.total().drained_ok == 4
    assert ran.total().started == target.settled_stats().completed


def test_what_comes_first_ends_the_run(engine: Engine, target: TargetServer) -> None:
    by_total = run(engine, plan(http(target), step("/delay/5"), load=closed(1), total=3, duration=2))
    assert by_total.report.stop_reason is StopReason.TOTAL
    by_time = run(engine, plan(http(target), step("/delay/20"), load=closed(1), total=1000, duration=0.1))
    assert by_time.report.stop_reason is StopReason.DURATION
    assert by_time.total().started < 10


def test_users_follow_the_stages_and_leave_after_their_iteration(engine: Engine, target: TargetServer) -> None:
    stages = (Segment(1, 6, SECOND // 5), Segment(6, 6, SECOND // 10), Segment(6, 1, SECOND // 5))
    load = Load("closed", stages)
    ran = run(engine, plan(http(target), step("/delay/15"), load=load, total=None, sampling=EVERY_REQUEST))
    assert ran.report.stop_reason is StopReason.STAGES
    assert ran.report.window_end_ns == SECOND // 2
    assert ran.total().started == ran.total().ok == target.settled_stats().completed == len(ran.samples)
    assert len({row.connection for row in target.record()}) == 6
    times = [(sample.actual_ns, sample.finish_ns) for sample in ran.samples]
    # How many users were busy whenever one of them began; each user is busy all the time.
    busy = {start: sum(left <= start < right for left, right in times) for start, _ in times}
    assert max(busy.values()) == 6
    late = allowed(0.03 * SECOND)
    longest = max(right - left for left, right in times)
    # Users 2 to 6 come 1/5 of the ramp apart, and leave likewise.
    for users, comes, leaves in zip(range(2, 7), (20, 60, 100, 140, 180), (480, 440, 400, 360, 320), strict=True):
        together = [start for start, count in busy.items() if count >= users]
        assert comes * MILLISECOND <= min(together) <= comes * MILLISECOND + late, users
        assert leaves * MILLISECOND - late <= max(together) <= leaves * MILLISECOND + longest, users
    assert ran.intervals[0].phase in ("ramp_down", "drain")


def test_a_rate_limit_throttles_the_users_together(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(http(target), load=closed(8, max_rate=200), duration=0.5, sampling=EVERY_REQUEST))
    total = ran.total()
    # Tokens that a late user had no time for any more are not used.
    late = ((ran.lag.maximum or 0) + (total.service.maximum or 0)) / SECOND
    assert 99 - 200 * late <= total.started <= 101
    assert ran.lag.total == total.started
    assert (total.response_ok.percentile(50) or 0) < allowed(5 * MILLISECOND)
    tokens = sorted(sample.intended_ns for sample in ran.samples)
    gaps = sorted(later - earlier for earlier, later in pairwise(tokens))
    assert gaps[0] >= 5 * MILLISECOND
    assert gaps[len(gaps) // 2] == pytest.approx(5 * MILLISECOND, rel=0.2)


def test_a_rate_limit_and_a_total_agree(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(http(target), step(headers=(NUMBERED,)), load=closed(5, max_rate=500), total=50))
    assert ran.report.stop_reason is StopReason.TOTAL
    assert ran.total().started == 50
    assert sorted(numbers(target)) == list(range(1, 51))
    assert 0.095 * SECOND < ran.report.window_end_ns < 0.1 * SECOND + allowed(0.2 * SECOND)


def test_warm_up_runs_before_and_in_addition(engine: Engine, target: TargetServer) -> None:
    load = closed(4, warm_up_ns=SECOND // 5, warm_up_level=2)
    ran = run(engine, plan(http(target), step("/delay/5", headers=(NUMBERED,)), load=load, total=40))
    warm, measured = ran.total(warm_up=True), ran.total()
    assert measured.started == 40
    assert warm.started > 10
    assert ran.report.window_start_ns == SECOND // 5
    assert sorted(numbers(target)) == list(range(1, warm.started + 41))
    assert target.settled_stats().completed == warm.started + 40


def test_round_robin_goes_by_number(engine: Engine, target: TargetServer) -> None:
    steps = [step(f"/fixed?as=e{number}", headers=(NUMBERED,)) for number in range(3)]
    ran = run(engine, plan(http(target), *steps, load=closed(6), total=100))
    assert all(row.route == f"e{((row.client_number or 0) - 1) % 3}" for row in target.record())
    assert [ran.total(endpoint).ok for endpoint in range(3)] == [34, 33, 33]


def test_weighted_choice_is_a_function_of_seed_and_number(engine: Engine, target: TargetServer) -> None:
    steps = [step(f"/fixed?as=e{number}", headers=(NUMBERED,)) for number in range(3)]
    run(engine, plan(http(target), *steps, selection="weighted", weights=(5, 3, 1), load=closed(6), total=200, seed=9))
    choose = weighted(9, (5, 3, 1))
    assert all(row.route == f"e{choose(row.client_number or 0)}" for row in target.record())
    assert len(Counter(row.route for row in target.record())) == 3


@pytest.mark.parametrize("load", [closed(5), opened(1000, max_in_flight=5), closed(5, max_rate=1000)])
def test_sequential_with_a_total_is_a_barrier(engine: Engine, target: TargetServer, load: Load) -> None:
    steps = [step(f"/delay/3?as=e{number}", headers=(NUMBERED,)) for number in range(3)]
    ran = run(engine, plan(http(target), *steps, selection="sequential", load=load, total=50))
    rows = target.record()
    total = ran.total()
    assert total.due == total.started + total.queued_at_end == 50
    # With a rate sending ends with the schedule, and what a busy machine has kept waiting until then is not sent.
    assert total.queued_at_end == 0 or load.model == "open"
    assert [row.route for row in rows] == ["e0"] * 17 + ["e1"] * 17 + ["e2"] * (16 - total.queued_at_end)
    for before, after in (("e0", "e1"), ("e1", "e2")):
        answered = max(row.answered_ns or 0 for row in rows if row.route == before)
        assert answered <= min(row.arrived_ns for row in rows if row.route == after)
    assert ran.report.barrier_ns > 0
    assert sorted(numbers(target)) == list(range(1, total.started + 1))


@pytest.mark.parametrize("load", [closed(3), opened(300)])
def test_sequential_with_a_duration_shares_the_time(engine: Engine, target: TargetServer, load: Load) -> None:
    steps = [step(f"/delay/20?as=e{number}") for number in range(2)]
    made = plan(http(target), *steps, selection="sequential", load=load, duration=0.3, sampling=EVERY_REQUEST)
    ran = run(engine, made)
    rows = target.record()
    routes = [row.route for row in rows]
    assert routes == sorted(routes)
    assert max(row.answered_ns or 0 for row in rows if row.route == "e0") <= min(
        row.arrived_ns for row in rows if row.route == "e1"
    )
    if load.model == "open":
        assert Counter(routes) == {"e0": 45, "e1": 45}
    half, barrier = 0.15 * SECOND, ran.report.barrier_ns
    assert ran.report.window_end_ns - barrier == 2 * half
    # Users are somewhere in their 20 ms when the first half is over; it is over for good when the last has finished.
    assert 0 < barrier <= max(ran.total(0).response_ok.maximum or 0, 0) + allowed(5 * MILLISECOND)
    first, second = ([each.intended_ns for each in ran.samples if each.endpoint == number] for number in range(2))
    assert len(first) + len(second) == len(rows)
    assert 0 <= min(first) < max(first) < half
    # The schedule of the second half starts when its barrier opens, so that no response time has barrier in it.
    assert half + barrier <= min(second) < max(second) < 2 * half + barrier
    assert max(first) > half - (ran.total(0).response_ok.maximum or 0) - allowed(5 * MILLISECOND)
    assert max(second) > 2 * half + barrier - (ran.total(1).response_ok.maximum or 0) - allowed(5 * MILLISECOND)


def test_every_second_has_an_interval(engine: Engine, target: TargetServer) -> None:
    seen: list[Interval] = []
    ran = run(engine, plan(http(target), step("/delay/1100"), load=closed(2), total=2))
    seen.extend(ran.intervals)
    assert [interval.second for interval in seen] == [0, 1]
    assert seen[0].endpoints[0].started == 2
    assert seen[0].endpoints[0].outcomes == {}
    assert seen[0].generator.in_flight == 2
    assert seen[0].generator.open_connections == 2
    assert seen[0].generator.cpu_seconds > 0
    assert seen[0].generator.memory_bytes > 1_000_000
    assert seen[0].generator.connect.total == 2
    assert seen[1].endpoints[0].ok == 2
    assert seen[0].phase == seen[1].phase == "load"
