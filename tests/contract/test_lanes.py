"""Several loads side by side: each lane has its own arrivals, numbers, total and end, and the books are of the plan."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import pytest

from atm.engine.base import Control, Engine
from atm.metrics.interval import EndpointInterval
from atm.models.outcome import Outcome, StopReason
from atm.plan.load_plan import Flow, Lane, Load, LoadPlan, Sampling, Segment
from atm.plan.pacer import Pacer
from atm.plan.randomness import lane_seed
from atm.plan.selection import weighted
from atm.testing import TargetServer
from tests.contract.engine_runs import Ran, longest_delay_ns, received, run
from tests.contract.plans import MILLISECOND, NUMBERED, SECOND, closed, http, opened, plan, step

SEED = 11
EVERY_REQUEST = Sampling(first_per_endpoint=10_000, failures_per_kind=0, slowest=0, body_bytes=0)
"""An engine may keep no more than 200."""


def lane(
    load: Load, *, flows: int = 1, total: int | None = None, duration: float | None = None, start: float = 0
) -> Lane:
    """A lane; `lanes` sets its flows and its name."""
    duration_ns = None if duration is None else int(duration * SECOND)
    return Lane("", tuple(range(flows)), "round_robin", load, total, duration_ns, int(start * SECOND))


def lanes(target: TargetServer, *made: Lane, path: str = "/fixed", **fields: Any) -> LoadPlan:
    """A plan with these lanes; the requests of flow n go to route `n` and have the number of their iteration."""
    count = sum(len(each.flows) for each in made)
    steps = [step(f"{path}?as={flow}", headers=(NUMBERED,)) for flow in range(count)]
    base = plan(http(target), *steps, total=1, seed=SEED, sampling=EVERY_REQUEST, **fields)
    flows = iter(range(count))
    numbered = [
        replace(each, name=f"lane {number}", flows=tuple(next(flows) for _ in each.flows))
        for number, each in enumerate(made)
    ]
    return replace(base, lanes=tuple(numbered))


def seen(target: TargetServer) -> dict[int, list[int]]:
    """What the target has received: the numbers of iterations, by flow."""
    numbers: dict[int, list[int]] = defaultdict(list)
    for row in target.record():
        numbers[int(row.route)].append(row.client_number or 0)
    return {flow: sorted(taken) for flow, taken in numbers.items()}


def starts(ran: Ran, flow: int) -> dict[int, int]:
    """The intended starts of a flow's requests, by number."""
    return {sample.request_number: sample.intended_ns for sample in ran.samples if sample.endpoint == flow}


def slots(made: LoadPlan, index: int, count: int) -> dict[int, int]:
    """The first slots of a lane, by number."""
    each = made.lanes[index]
    arrivals = Pacer(each.load, lane_seed(made.seed, index)).starts()
    return {number: next(arrivals) + each.start_ns for number in range(1, count + 1)}


def near(found: dict[int, int], expected: dict[int, int]) -> bool:
    """Whether all starts are equal, up to the rounding that tests/vectors/pacing.json allows."""
    return found.keys() == expected.keys() and all(abs(found[n] - expected[n]) <= 2 for n in found)


def test_open_lanes_have_exactly_their_slots(engine: Engine, target: TargetServer) -> None:
    made = lanes(
        target,
        lane(opened(150), duration=0.6),
        lane(opened(80, arrival="poisson"), total=40),
        lane(opened(80, arrival="poisson"), total=40),
        lane(opened(50, warm_up_ns=100 * MILLISECOND, warm_up_level=20.0), total=25, start=0.2),
    )
    ran = run(engine, made)
    for index, count in enumerate((90, 40, 40, 27)):
        assert near(starts(ran, index), slots(made, index, count)), index
    assert starts(ran, 1) != starts(ran, 2)
    assert seen(target) == {0: [*range(1, 91)], 1: [*range(1, 41)], 2: [*range(1, 41)], 3: [*range(1, 28)]}
    assert [ran.total(index).due for index in range(4)] == [90, 40, 40, 25]
    assert ran.total(3, warm_up=True).due == 2
    reports = ran.report.lanes
    assert [report.name for report in reports] == ["lane 0", "lane 1", "lane 2", "lane 3"]
    assert [report.window_start_ns for report in reports] == [0, 0, 0, 300 * MILLISECOND]
    assert (reports[0].window_end_ns, reports[3].window_end_ns) == (600 * MILLISECOND, 800 * MILLISECOND)
    reasons = [StopReason.DURATION, StopReason.TOTAL, StopReason.TOTAL, StopReason.TOTAL]
    assert [report.stop_reason for report in reports] == reasons
    assert ran.report.stop_reason is StopReason.TOTAL
    assert ran.report.window_start_ns == 0
    assert ran.report.window_end_ns == max(report.window_end_ns for report in reports)


def test_an_open_and_a_closed_lane_run_together(engine: Engine, target: TargetServer) -> None:
    made = lanes(target, lane(opened(50), duration=1.2), lane(closed(3), total=100), path="/delay/2")
    ran = run(engine, made)
    assert seen(target) == {0: [*range(1, 61)], 1: [*range(1, 101)]}
    assert near(starts(ran, 0), slots(made, 0, 60))
    assert [ran.total(index).ok for index in (0, 1)] == [60, 100]
    opening, closing = ran.report.lanes
    assert (opening.stop_reason, closing.stop_reason) == (StopReason.DURATION, StopReason.TOTAL)
    # The closed lane ends with its last finish, and nothing of it is drained.
    assert closing.window_end_ns == max(sample.finish_ns for sample in ran.samples if sample.endpoint == 1)
    assert ran.total(1).drained_ok == 0
    assert sum(interval.offered for interval in ran.intervals) == pytest.approx(60)
    first = ran.intervals[0]
    assert first.phase == "load"
    assert first.generator.users == (3 if closing.window_end_ns > SECOND else first.generator.users)


def test_a_late_lane_begins_at_its_start(engine: Engine, target: TargetServer) -> None:
    ramp = (Segment(0, 4, 200 * MILLISECOND), Segment(4, 4, 200 * MILLISECOND))
    made = lanes(
        target,
        lane(opened(50), duration=0.4),
        lane(Load("closed", ramp, max_rate=200), start=1.1),
        lane(closed(2, max_rate=100, warm_up_ns=100 * MILLISECOND, warm_up_level=1.0), duration=0.2, start=1.1),
    )
    ran = run(engine, made)
    assert all(start >= 1100 * MILLISECOND for flow in (1, 2) for start in starts(ran, flow).values())
    assert ran.total(1, warm_up=True).started == 0
    # An engine that was held up for the whole warm-up has sent nothing in it.
    assert ran.total(2, warm_up=True).started > 0 or longest_delay_ns(ran) >= 100 * MILLISECOND
    assert [(report.window_start_ns, report.window_end_ns) for report in ran.report.lanes] == [
        (0, 400 * MILLISECOND),
        (1100 * MILLISECOND, 1500 * MILLISECOND),
        (1200 * MILLISECOND, 1400 * MILLISECOND),
    ]
    assert ran.report.stop_reason is StopReason.STAGES
    # The time in which nothing is due belongs to the measured window. The last second ends with the last load, or with
    # a request that was still in flight then.
    is_drained = ran.report.last_finish_ns > 1500 * MILLISECOND
    first, *_, last = (interval.phase for interval in ran.intervals)
    assert (first, last) == ("load", "drain" if is_drained else "hold")
    assert seen(target) == {flow: sorted(starts(ran, flow)) for flow in range(3)}


def test_sequences_and_weights_stay_within_their_lane(engine: Engine, target: TargetServer) -> None:
    made = lanes(
        target,
        lane(closed(2), flows=2, total=20),
        lane(opened(400), flows=3, total=90),
        lane(closed(1), flows=2, total=10),
    )
    first, second, third = made.lanes
    weights = (1, 1, 5, 1, 2, 1, 1)
    made = replace(
        made,
        flows=tuple(replace(flow, weight=weight) for flow, weight in zip(made.flows, weights, strict=True)),
        lanes=(replace(first, selection="sequential"), replace(second, selection="weighted"), third),
    )
    ran = run(engine, made)
    taken = seen(target)
    assert {flow: taken[flow] for flow in (0, 1)} == {0: [*range(1, 11)], 1: [*range(11, 21)]}
    select = weighted(lane_seed(SEED, 1), weights[2:5])
    assert {flow: taken[flow] for flow in (2, 3, 4)} == {
        flow: [number for number in range(1, 91) if select(number) == flow - 2] for flow in (2, 3, 4)
    }
    assert {flow: taken[flow] for flow in (5, 6)} == {5: [1, 3, 5, 7, 9], 6: [2, 4, 6, 8, 10]}
    last_of_first = max(sample.finish_ns for sample in ran.samples if sample.endpoint == 0)
    assert min(starts(ran, 1).values()) >= last_of_first
    assert [ran.total(flow).started for flow in range(7)] == [len(taken[flow]) for flow in range(7)]


def test_a_stop_ends_all_lanes(engine: Engine, target: TargetServer) -> None:
    made = lanes(
        target,
        lane(opened(200), duration=60),
        lane(closed(2, max_rate=200), total=100_000),
        lane(opened(100), duration=1, start=60),
        lane(closed(1), duration=1, start=60),
        lane(closed(1), total=3),
    )
    ran = run(engine, made, once=(received(target, 60), lambda control: control.stop(StopReason.THRESHOLD)))
    assert ran.report.stop_reason is StopReason.THRESHOLD
    reasons = [report.stop_reason for report in ran.report.lanes]
    assert reasons == [StopReason.THRESHOLD] * 4 + [StopReason.TOTAL]
    taken = seen(target)
    assert set(taken) == {0, 1, 4}
    assert [ran.total(flow).started for flow in range(5)] == [len(taken.get(flow, ())) for flow in range(5)]
    assert all(numbers == [*range(1, len(numbers) + 1)] for numbers in taken.values())
    assert all(report.window_start_ns <= report.window_end_ns for report in ran.report.lanes)
    assert ran.report.window_end_ns < 30 * SECOND


def test_a_cancel_ends_all_lanes_and_counts_what_was_in_flight(engine: Engine, target: TargetServer) -> None:
    made = lanes(target, lane(closed(5), duration=60), lane(opened(50), duration=60), path="/delay/30000")
    ran = run(engine, made, once=(received(target, 8), Control.cancel))
    assert ran.report.stop_reason is StopReason.CANCELLED
    assert [report.stop_reason for report in ran.report.lanes] == [StopReason.CANCELLED] * 2
    assert ran.total(0).outcomes == {Outcome.UNFINISHED: 5}
    assert set(ran.total(1).outcomes) == {Outcome.UNFINISHED}
    assert ran.total(1).started >= 3


def test_iterations_of_several_steps_keep_books_by_flow(engine: Engine, target: TargetServer) -> None:
    made = lanes(target, lane(opened(100), flows=2, total=30), lane(closed(2), total=25))
    first, second, third = made.flows
    made = replace(
        made,
        flows=(Flow("journey", 1, (*first.steps, *second.steps)), replace(third, name="single")),
        lanes=(replace(made.lanes[0], flows=(0,)), replace(made.lanes[1], flows=(1,))),
    )
    ran = run(engine, made)
    books = [(part.flow, part.started, part.completed) for interval in ran.intervals for part in interval.iterations]
    started = Counter(dict.fromkeys((0, 1), 0))
    completed = Counter(started)
    for flow, begun, done in books:
        started[flow] += begun
        completed[flow] += done
    assert started == completed == {0: 30, 1: 25}
    totals: list[EndpointInterval] = [ran.total(endpoint) for endpoint in range(3)]
    assert [total.ok for total in totals] == [30, 30, 25]
