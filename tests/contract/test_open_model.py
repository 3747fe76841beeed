from __future__ import annotations

import pytest

from atm.engine.base import Engine
from atm.models.outcome import StopReason
from atm.plan.load_plan import Load, Segment
from atm.plan.pacer import Pacer
from atm.testing import TargetServer
from tests.contract.engine_runs import received, run
from tests.contract.plans import MILLISECOND, NUMBERED, SECOND, http, opened, plan, step
from tests.steadiness import allowed


def test_even_arrivals_leave_at_their_moments(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(http(target), step("/", headers=(NUMBERED,)), load=opened(500), duration=0.4))
    # Two that leave together, held up by a busy machine, may arrive in either order: they travel on two connections.
    rows = sorted(target.record(), key=lambda row: row.client_number or 0)
    assert [row.client_number for row in rows] == list(range(1, 201))
    began = rows[0].arrived_ns
    late = sorted(row.arrived_ns - began - index * 2 * MILLISECOND for index, row in enumerate(rows))
    # A busy machine causes stalls; they must be reported.
    assert late[100] - late[20] < allowed(3 * MILLISECOND) + (ran.lag.percentile(90) or 0)
    assert ran.lag.total == 200
    assert ran.report.stop_reason is StopReason.DURATION
    assert ran.report.window_end_ns == 0.4 * SECOND
    assert sum(interval.offered for interval in ran.intervals) == pytest.approx(200)


def test_the_window_of_a_total_is_one_gap_longer_than_its_last_arrival(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(http(target), load=opened(100), total=20))
    assert ran.report.stop_reason is StopReason.TOTAL
    assert ran.total().started == 20
    assert ran.report.window_end_ns == 20 * 10 * MILLISECOND
    # On a busy machine the last response may finish after the window.
    last = max(ran.report.window_end_ns, ran.report.last_finish_ns)
    assert sum(interval.duration_ns for interval in ran.intervals) == last


def test_poisson_arrivals_are_those_of_the_seed(engine: Engine, target: TargetServer) -> None:
    load = opened(400, arrival="poisson", warm_up_ns=SECOND // 10, warm_up_level=100)
    made = plan(http(target), step("/", headers=(NUMBERED,)), load=load, total=100, seed=77)
    ran = run(engine, made)
    assert ran.total(warm_up=True).started == 10
    assert ran.total().started == 100
    starts = list(zip(range(110), Pacer(load, 77).starts(), strict=False))
    rows = target.record()
    began = rows[0].arrived_ns
    late = sorted(row.arrived_ns - began - starts[(row.client_number or 0) - 1][1] for row in rows)
    # A request reaches the target after its start and before its response, whatever delays either on a busy machine.
    delays = (ran.lag.percentile(90) or 0) + (ran.total().service.percentile(90) or 0)
    assert late[55] - late[10] < allowed(3 * MILLISECOND) + delays
    assert sum(interval.offered for interval in ran.intervals) == 110


def test_stages_ramp_the_rate(engine: Engine, target: TargetServer) -> None:
    stages = (Segment(0, 400, SECOND // 5), Segment(400, 400, SECOND // 10), Segment(400, 0, SECOND // 5))
    ran = run(engine, plan(http(target), load=Load("open", stages)))
    assert ran.report.stop_reason is StopReason.STAGES
    assert ran.total().started == 120
    assert target.settled_stats().completed == 120
    assert ran.report.window_end_ns == SECOND // 2


def test_an_arrival_without_a_free_user_waits_and_its_waiting_counts(engine: Engine, target: TargetServer) -> None:
    load = opened(100, max_in_flight=1)
    ran = run(engine, plan(http(target), step("/delay/20", headers=(NUMBERED,)), load=load, total=10, graceful=9))
    total = ran.total()
    # One answer takes 20 ms, arrivals come every 10 ms: about half find their user within the 100 ms of the schedule.
    assert total.started + total.queued_at_end == 10
    assert total.started == pytest.approx(1 + 100 * MILLISECOND / (total.service.mean or 0), abs=0.9 + allowed(0.1))
    assert total.queued_at_end >= 4
    assert total.waited == total.started - 1
    # The k-th left when k - 1 answers had come, and was due 10 ms after the one before it.
    assert (total.response_ok.maximum or 0) >= total.started * (total.service.minimum or 0) - (total.started - 1) * 1e7
    assert (total.response_ok.maximum or 0) > 50 * MILLISECOND
    assert (total.service.maximum or 0) < 20 * MILLISECOND + allowed(20 * MILLISECOND)
    assert ran.lag.total == 1
    assert any(interval.generator.saturated for interval in ran.intervals)
    assert [row.client_number for row in target.record()] == list(range(1, total.started + 1))


def test_an_arrival_without_a_free_user_may_be_dropped(engine: Engine, target: TargetServer) -> None:
    load = opened(200, max_in_flight=2, on_saturation="drop")
    ran = run(engine, plan(http(target), step("/delay/30", headers=(NUMBERED,)), load=load, total=60))
    total = ran.total()
    assert total.started + total.dropped == total.due == 60
    assert total.dropped > 20
    assert total.waited == total.queued_at_end == 0
    assert target.settled_stats().completed == total.started
    numbers = [row.client_number or 0 for row in target.record()]
    assert len(numbers) == len(set(numbers))
    assert max(numbers) > total.started


def test_a_late_start_counts_as_response_time(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), load=opened(200, max_in_flight=1), duration=0.7)
    ran = run(engine, made, once=(received(target, 20), lambda _: target.stall(0.3)))
    total = ran.total()
    assert total.started + total.queued_at_end == total.due == 140
    # One user: one slow service time, but every arrival of the stall waited for it.
    slow = total.service.total - total.service.count_at_or_below(100 * MILLISECOND)
    assert slow == 1
    longest = (total.service.maximum or 0) / SECOND
    waited = total.response_ok.total - total.response_ok.count_at_or_below(100 * MILLISECOND)
    assert 200 * (longest - 0.1) - 2 <= waited + total.queued_at_end <= 200 * (longest - 0.1) + allowed(8)


def test_few_connections_serve_a_quick_target(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, plan(http(target), load=opened(500), duration=0.3))
    assert ran.total().started == 150
    # No more than were ever in flight together: those that came during the slowest answer.
    assert ran.generated("dials") <= 3 + 500 * (ran.total().response_ok.maximum or 0) / SECOND


def test_warm_up_arrivals_come_first_at_their_own_rate(engine: Engine, target: TargetServer) -> None:
    load = opened(400, warm_up_ns=SECOND // 5, warm_up_level=50)
    ran = run(engine, plan(http(target), load=load, duration=0.2))
    assert ran.total(warm_up=True).started == 10
    assert ran.total().started == 80
    assert ran.report.window_start_ns == SECOND // 5
    assert ran.report.window_end_ns == 2 * SECOND // 5
