"""Programs of scenarios: what each operation does, what reaches the target, and what is counted.

Every construct runs on both engines, and is compared with the target's own record.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import pytest

from atm.engine.base import Capability, Control, Engine
from atm.models.outcome import Outcome, StopReason
from atm.plan.load_plan import Flow, Sampling
from atm.plan.program import ChooseOp, JumpOp, LoopOp, OnFail, Op, RequestOp, ThinkOp
from atm.plan.randomness import draw_at, think_ns, weighted_index
from atm.plan.template_parts import IterationSource, UserSource
from atm.testing import TargetServer
from tests.contract.engine_runs import longest_delay_ns, received, run
from tests.contract.plans import MILLISECOND, NUMBERED, SECOND, closed, opened, step, with_flows
from tests.contract.scenario_plans import SEED, books, parts, paths, requests, scenario, think, times, value

pytestmark = pytest.mark.needs(Capability.SCENARIOS)

EVERY = Sampling(first_per_endpoint=200, failures_per_kind=0, slowest=0, body_bytes=0)
A, B, C = (step(f"/echo/raw?{name}", headers=(NUMBERED,)) for name in "abc")


def path(name: str) -> str:
    return f"/echo/raw?{name}"


def test_a_program_sends_its_requests_in_order(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, scenario(target, requests(1, 0, 1), A, B, total=5))
    assert ran.report.stop_reason is StopReason.TOTAL
    assert paths(target) == [path("b"), path("a"), path("b")] * 5
    assert [ran.total(endpoint).ok for endpoint in (0, 1)] == [5, 10]
    assert books(ran) == (5, 5, 0, 0)
    assert ran.total().not_reached == 0


def test_a_loop_repeats_what_it_encloses_and_loops_nest(engine: Engine, target: TargetServer) -> None:
    program: list[Op] = [RequestOp(0), RequestOp(1), LoopOp(0, 2, 1), LoopOp(1, 3, 0), RequestOp(2)]
    ran = run(engine, scenario(target, program, A, B, C, total=2))
    assert paths(target) == [path(name) for name in "abbabbabbc" * 2]
    assert books(ran) == (2, 2, 0, 0)


def test_a_jump_leaves_steps_out_and_they_are_not_reached(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, scenario(target, [RequestOp(0), JumpOp(3), RequestOp(1), RequestOp(2)], A, B, C, total=4))
    assert paths(target) == [path("a"), path("c")] * 4
    assert [ran.total(endpoint).not_reached for endpoint in range(3)] == [0, 4, 0]
    assert [ran.total(endpoint).started for endpoint in range(3)] == [4, 0, 4]


@pytest.mark.parametrize("on_saturation", ["queue", "drop"])
def test_an_arrival_waits_for_a_user_who_thinks(
    engine: Engine, target: TargetServer, on_saturation: Literal["queue", "drop"]
) -> None:
    """The limit of an open load is on iterations in progress, not on the requests that they have in flight."""
    load = opened(4, max_in_flight=1, on_saturation=on_saturation)
    ran = run(engine, scenario(target, [RequestOp(0), think(300), RequestOp(1)], A, B, load=load, total=4))
    first, second = ran.total(0), ran.total(1)
    assert (first.due, second.due) == (4, first.started)
    assert books(ran) == (first.started, first.started, 0, 0)
    assert paths(target) == [path("a"), path("b")] * first.started
    if on_saturation == "drop":
        assert (first.waited, first.missed) == (0, first.dropped)
        # The second one is due 250 ms after the first one, whose user thinks for 300 ms.
        assert first.dropped >= 1
    else:
        assert (first.waited, first.missed) == (first.started - 1, first.queued_at_end)
        assert first.started >= 2 or longest_delay_ns(ran) >= 500 * MILLISECOND


def test_a_choice_is_drawn_by_weight_for_iteration_and_round(engine: Engine, target: TargetServer) -> None:
    weights = (1, 3, 2)
    program: list[Op] = [
        ChooseOp(weights, (1, 3, 5), place=4),
        RequestOp(0), JumpOp(6), RequestOp(1), JumpOp(6), RequestOp(2),
        LoopOp(0, 3, 0),
    ]  # fmt: skip
    ran = run(engine, scenario(target, program, A, B, C, total=20))
    drawn = [
        weighted_index(draw_at(SEED, iteration, 4, round_), weights)
        for iteration in range(1, 21)
        for round_ in range(3)
    ]
    assert paths(target) == [path("abc"[index]) for index in drawn]
    reached = [drawn[first : first + 3] for first in range(0, 60, 3)]
    assert [ran.total(endpoint).not_reached for endpoint in range(3)] == [
        sum(index not in iteration for iteration in reached) for index in range(3)
    ]
    assert books(ran) == (20, 20, 0, 0)


def test_think_time_delays_the_next_step_and_is_no_part_of_its_response_time(
    engine: Engine, target: TargetServer
) -> None:
    program: list[Op] = [
        RequestOp(0),
        think(30),
        ThinkOp("uniform", 1 * MILLISECOND, 9 * MILLISECOND, place=2),
        RequestOp(1),
    ]
    ran = run(engine, scenario(target, program, A, B, load=opened(200), total=20, sampling=EVERY))
    samples = {(sample.request_number, sample.endpoint): sample for sample in ran.samples}
    assert len(samples) == 40
    for number in range(1, 21):
        first, second = samples[number, 0], samples[number, 1]
        drawn = 30 * MILLISECOND + think_ns("uniform", MILLISECOND, 9 * MILLISECOND, draw_at(SEED, number, 2, 0), 0)
        assert first.intended_ns == (number - 1) * SECOND // 200
        assert second.intended_ns == first.finish_ns + drawn
        assert second.actual_ns >= second.intended_ns
    assert ran.lag.total == 40
    time, active = times(ran)
    assert (time.minimum or 0) >= 31 * MILLISECOND * 0.99
    assert (time.minimum or 0) - (active.minimum or 0) >= 20 * MILLISECOND
    assert books(ran) == (20, 20, 0, 0)


@pytest.mark.parametrize(
    "op",
    [
        ThinkOp("exponential", 4 * MILLISECOND, place=1),
        ThinkOp("normal", 3 * MILLISECOND, 2 * MILLISECOND, place=6),
        ThinkOp("fixed", 0),
    ],
    ids=lambda op: op.distribution,
)
def test_random_think_times_are_functions_of_seed_and_iteration(
    engine: Engine, target: TargetServer, op: ThinkOp
) -> None:
    program: list[Op] = [RequestOp(0), op, RequestOp(1)]
    ran = run(engine, scenario(target, program, A, B, load=closed(2), total=30, sampling=EVERY))
    samples = {(sample.request_number, sample.endpoint): sample for sample in ran.samples}
    for number in range(1, 31):
        bits = [draw_at(SEED, number, op.place + more, 0) for more in (0, 1)]
        drawn = think_ns(op.distribution, op.first_ns, op.second_ns, *bits)
        # The two engines may differ in the last digit of a logarithm or cosine.
        assert abs(samples[number, 1].intended_ns - samples[number, 0].finish_ns - drawn) <= 1


def test_an_iteration_may_begin_and_end_with_think_time(engine: Engine, target: TargetServer) -> None:
    program: list[Op] = [think(20), RequestOp(0), think(30)]
    ran = run(engine, scenario(target, program, A, load=closed(2), total=6, sampling=EVERY))
    assert books(ran) == (6, 6, 0, 0)
    time, active = times(ran)
    assert (time.minimum or 0) >= 50 * MILLISECOND * 0.99
    assert (time.minimum or 0) - (active.minimum or 0) == pytest.approx(50 * MILLISECOND, rel=0.05)
    assert all(sample.intended_ns >= 20 * MILLISECOND for sample in ran.samples)
    # Each user has three iterations, one after the other.
    assert ran.report.last_finish_ns >= 3 * 50 * MILLISECOND * 0.99


def test_an_iteration_without_a_request_is_complete(engine: Engine, target: TargetServer) -> None:
    program: list[Op] = [ChooseOp((1, 1), (1, 2), place=0), RequestOp(0)]
    ran = run(engine, scenario(target, program, A, load=closed(2), total=40))
    drawn = Counter(weighted_index(draw_at(SEED, iteration, 0, 0), (1, 1)) for iteration in range(1, 41))
    assert ran.total().ok == drawn[0]
    assert ran.total().not_reached == drawn[1]
    assert books(ran) == (40, 40, 0, 0)
    assert len(target.record()) == drawn[0]


def test_a_failed_response_goes_on_and_a_missing_one_ends_the_iteration(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, scenario(target, requests(0, 1), step("/status/503"), A, load=closed(2), total=6))
    assert ran.total(0).outcomes == {Outcome.UNEXPECTED_STATUS: 6}
    assert ran.total(1).outcomes == {Outcome.OK: 6}
    assert books(ran) == (6, 6, 0, 0)
    ran = run(engine, scenario(target, requests(0, 1), step("/half"), A, load=closed(2), total=6))
    assert ran.total(0).outcomes == {Outcome.CONNECTION_CLOSED: 6}
    assert ran.total(1).started == 0
    assert ran.total(1).not_reached == 6
    assert books(ran) == (6, 0, 6, 0)


def test_a_step_may_go_on_without_a_response_or_end_after_a_failed_one(engine: Engine, target: TargetServer) -> None:
    program: list[Op] = [RequestOp(0, on_error="continue"), RequestOp(1, on_fail="end_iteration"), RequestOp(2)]
    ran = run(engine, scenario(target, program, step("/half"), step("/status/503"), C, load=closed(2), total=6))
    assert [ran.total(endpoint).started for endpoint in range(3)] == [6, 6, 0]
    assert [ran.total(endpoint).not_reached for endpoint in range(3)] == [0, 0, 6]
    assert books(ran) == (6, 0, 6, 0)


def test_a_step_that_stops_its_user_leaves_the_others(engine: Engine, target: TargetServer) -> None:
    failing = step("/status?ok=200&other=503&share=0.2&seed=1")
    made = scenario(target, requests(0, on_fail="stop_user"), failing, load=closed(4), total=1_000)
    ran = run(engine, made)
    total = ran.total()
    # Each user ends with its first failure, and when all have, no user is left to reach the total.
    assert total.outcomes[Outcome.UNEXPECTED_STATUS] == 4
    assert ran.report.stop_reason is StopReason.STOPPED
    assert books(ran) == (total.started, total.ok, 4, 0)


def test_a_step_that_stops_the_run_starts_no_other_iteration(engine: Engine, target: TargetServer) -> None:
    program: list[Op] = [RequestOp(0), RequestOp(1, on_fail="stop_run")]
    failing = step("/status?ok=200&other=503&share=0.1&seed=2")
    ran = run(engine, scenario(target, program, A, failing, load=closed(1), total=10_000))
    assert ran.report.stop_reason is StopReason.STOPPED
    assert ran.total(1).outcomes == {Outcome.OK: ran.total(1).ok, Outcome.UNEXPECTED_STATUS: 1}
    assert [ran.total(endpoint).started for endpoint in (0, 1)] == [ran.total(1).ok + 1] * 2
    assert books(ran) == (ran.total(1).ok + 1, ran.total(1).ok, 1, 0)


def test_a_step_that_stops_the_run_lets_other_users_finish_their_iteration(
    engine: Engine, target: TargetServer
) -> None:
    program: list[Op] = [RequestOp(0, on_fail="stop_run"), think(20), RequestOp(1)]
    failing = step("/status?ok=200&other=503&share=0.1&seed=2")
    ran = run(engine, scenario(target, program, failing, A, load=closed(4), total=10_000))
    assert ran.report.stop_reason is StopReason.STOPPED
    started, completed, failed, unfinished = books(ran)
    assert failed == ran.total(0).outcomes[Outcome.UNEXPECTED_STATUS]
    # The others were in an iteration at most, whose first response may fail as well.
    assert 1 <= failed <= 4
    assert (started, unfinished) == (ran.total(0).started, 0)
    assert completed == ran.total(1).ok


def test_a_waiting_arrival_is_missed_when_a_step_stops_the_run(engine: Engine, target: TargetServer) -> None:
    made = scenario(
        target,
        requests(0, on_fail="stop_run"),
        replace(step("/delay/100"), expected_statuses=((201, 201),)),
        load=opened(200, max_in_flight=1),
        duration=30,
    )
    ran = run(engine, made)
    assert ran.report.stop_reason is StopReason.STOPPED
    assert books(ran) == (1, 0, 1, 0)
    assert ran.total().queued_at_end >= 1


def test_iterations_that_end_after_the_end_of_sending_are_drained(engine: Engine, target: TargetServer) -> None:
    made = scenario(target, [RequestOp(0), think(400)], A, load=closed(3), duration=0.2)
    ran = run(engine, made)
    assert books(ran) == (3, 3, 0, 0)
    iterations = [each for interval in ran.intervals for each in interval.iterations]
    assert sum(each.drained for each in iterations) == 3
    ran = run(engine, scenario(target, requests(0), A, load=closed(3), total=30))
    assert sum(each.drained for interval in ran.intervals for each in interval.iterations) == 0


@pytest.mark.parametrize("policy", ["stop_user", "end_iteration"])
def test_in_the_open_model_a_stopped_user_only_ends_its_iteration(
    engine: Engine, target: TargetServer, policy: OnFail
) -> None:
    made = scenario(target, requests(0, on_fail=policy), step("/status/503"), load=opened(200), total=20)
    ran = run(engine, made)
    assert ran.report.stop_reason is StopReason.TOTAL
    assert books(ran) == (20, 0, 20, 0)


def test_a_pace_holds_the_next_iteration_back_but_not_the_first(engine: Engine, target: TargetServer) -> None:
    pace = 200 * MILLISECOND
    ran = run(
        engine, scenario(target, requests(0), A, load=closed(3), total=12, sampling=EVERY, flow={"pace_ns": pace})
    )
    # Each of the three users starts its iterations 200 ms apart, measured from its first, which may be late.
    intended = [sample.intended_ns for sample in ran.samples]
    assert sum(start - pace not in intended for start in intended) == 3
    assert all(sample.actual_ns >= sample.intended_ns for sample in ran.samples)
    assert books(ran) == (12, 12, 0, 0)


def test_an_iteration_that_takes_longer_than_its_pace_is_followed_at_once(engine: Engine, target: TargetServer) -> None:
    flow = {"pace_ns": 5 * MILLISECOND}
    made = scenario(target, requests(0), step("/delay/30"), load=closed(1), total=4, sampling=EVERY, flow=flow)
    ran = run(engine, made)
    samples = sorted(ran.samples, key=lambda sample: sample.request_number)
    for before, after in pairwise(samples):
        assert after.intended_ns >= before.finish_ns
    assert books(ran) == (4, 4, 0, 0)


def test_a_graceful_stop_lets_a_thinking_user_finish(engine: Engine, target: TargetServer) -> None:
    made = scenario(target, [RequestOp(0), think(300), RequestOp(1)], A, B, load=closed(2), duration=30)
    ran = run(engine, made, once=(received(target, 2), lambda control: control.stop()))
    assert ran.report.stop_reason is StopReason.STOPPED
    assert books(ran) == (2, 2, 0, 0)
    assert ran.total(1).drained_ok == 2


@pytest.mark.parametrize("act", [Control.stop, Control.cancel])
def test_a_thinking_user_is_unfinished_without_an_unfinished_request(
    engine: Engine, target: TargetServer, act: Callable[[Control], None]
) -> None:
    made = scenario(
        target, [RequestOp(0), think(60_000), RequestOp(1)], A, B, load=closed(2), duration=30, graceful=0.05
    )
    ran = run(engine, made, once=(received(target, 2), act))
    assert books(ran) == (2, 0, 0, 2)
    assert ran.total(0).outcomes == {Outcome.OK: 2}
    assert ran.total(1).started == 0
    # An iteration that was cut off says nothing about what it would have reached.
    assert ran.total(1).not_reached == 0
    assert ran.seconds < 20


def test_warm_up_has_books_of_its_own(engine: Engine, target: TargetServer) -> None:
    load = opened(100, warm_up_ns=SECOND // 10, warm_up_level=100.0)
    ran = run(engine, scenario(target, [RequestOp(0), think(5), RequestOp(1)], A, B, load=load, total=20))
    assert books(ran, warm_up=True) == (10, 10, 0, 0)
    assert books(ran) == (20, 20, 0, 0)
    assert [ran.total(endpoint, warm_up=True).ok for endpoint in (0, 1)] == [10, 10]


def test_an_arrival_that_finds_no_user_is_missed_at_the_first_step(engine: Engine, target: TargetServer) -> None:
    load = opened(100, on_saturation="drop", max_in_flight=1)
    ran = run(engine, scenario(target, [RequestOp(0), think(45), RequestOp(1)], A, B, load=load, total=20))
    first = ran.total(0)
    # The user thinks for the time of several arrivals: it is in an iteration, and not free.
    assert first.dropped >= 12
    assert first.due == 20
    assert ran.total(1).missed == 0
    assert books(ran) == (first.started, first.started, 0, 0)


def test_a_flow_without_a_program_runs_beside_one_with(engine: Engine, target: TargetServer) -> None:
    made = scenario(target, [RequestOp(0), think(1), RequestOp(1)], A, B, C, load=closed(2), total=21)
    (flow,) = made.flows
    plain = Flow("plain", 1, (flow.steps[2],))
    made = with_flows(made, replace(flow, steps=flow.steps[:2]), plain)
    ran = run(engine, made)
    # In turns: iterations 1, 3, … are those of the scenario.
    assert [ran.total(endpoint).ok for endpoint in range(3)] == [11, 11, 10]
    assert books(ran) == (11, 11, 0, 0)
    assert Counter(paths(target)) == {path("a"): 11, path("b"): 11, path("c"): 10}


def test_each_lane_numbers_its_users_and_iterations(engine: Engine, target: TargetServer) -> None:
    numbered = [
        replace(step(), target=parts(f"/echo/raw?{name}&u=", value(UserSource()), "&i=", value(IterationSource())))
        for name in "ab"
    ]
    made = scenario(target, requests(0), *numbered, load=closed(2), total=10)
    (flow,) = made.flows
    first, second = (replace(flow, name=each.method, steps=(each,)) for each in flow.steps)
    lane = made.lanes[0]
    lanes = (lane, replace(lane, name="second", flows=(1,), load=closed(3)))
    run(engine, replace(made, flows=(first, second), lanes=lanes))
    found = [re.fullmatch(r"/echo/raw\?(.)&u=(\d+)&i=(\d+)", path) for path in paths(target)]
    assert all(found)
    for name, users in (("a", 2), ("b", 3)):
        of_lane = [match for match in found if match and match[1] == name]
        assert sorted(int(match[3]) for match in of_lane) == list(range(1, 11))
        assert {int(match[2]) for match in of_lane} <= set(range(1, users + 1))


def test_a_long_loop_without_a_request_does_not_hold_the_others_up(engine: Engine, target: TargetServer) -> None:
    program: list[Op] = [JumpOp(2), think(1), LoopOp(0, 30_000, 0), RequestOp(0)]
    ran = run(engine, scenario(target, program, A, load=closed(2), total=4))
    assert books(ran) == (4, 4, 0, 0)
