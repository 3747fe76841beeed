"""Flows of several steps: the steps of an iteration in order, and its books."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from atm.engine.base import Engine
from atm.models.outcome import Outcome, StopReason
from atm.plan.connections import Connections
from atm.plan.load_plan import BodyCheck, Flow, LoadPlan, Sampling, Step
from atm.plan.randomness import uuid4
from atm.plan.template_parts import Encoding
from atm.testing import TargetServer
from tests.contract.engine_runs import Ran, received, run
from tests.contract.plans import NUMBERED, SECOND, closed, http, opened, plan, step, with_flows

SEED = 99


def journey(target: TargetServer, *flows: tuple[Step, ...], **fields: Any) -> LoadPlan:
    """A plan by hand: each flow with its steps, each step with an endpoint of its own."""
    made = plan(http(target), *(made for flow in flows for made in flow), seed=SEED, **fields)
    steps = iter(flow.steps[0] for flow in made.flows)
    return with_flows(
        made, *(Flow(f"f{number}", 1, tuple(next(steps) for _ in flow)) for number, flow in enumerate(flows))
    )


def books(ran: Ran, flow: int = 0, *, warm_up: bool = False) -> tuple[int, int, int, int]:
    """Started, completed, failed and unfinished iterations of a flow."""
    taken = [
        iterations
        for interval in ran.intervals
        for iterations in interval.iterations
        if (iterations.flow, iterations.warm_up) == (flow, warm_up)
    ]
    started, completed, failed, unfinished = (
        sum(getattr(iterations, name) for iterations in taken)
        for name in ("started", "completed", "failed", "unfinished")
    )
    assert started == completed + failed + unfinished
    return started, completed, failed, unfinished


LOGIN = step("/echo/raw?login&n={{request_number}}", headers=(("X-Id", "{{uuid}}"),))
ORDER = step(
    "/echo/raw?order&n={{request_number}}",
    method="POST",
    headers=(("X-Id", "{{uuid}}"),),
    body='{"n": {{request_number}}}',
    encoding=Encoding.JSON,
)


def test_each_iteration_sends_its_steps_in_order_and_the_target_has_their_bytes(
    engine: Engine, target: TargetServer
) -> None:
    ran = run(engine, journey(target, (LOGIN, ORDER), load=closed(3), total=40))
    assert ran.report.stop_reason is StopReason.TOTAL
    sent: dict[int, list[bytes]] = defaultdict(list)
    for request in target.captured():
        named = re.search(rb"&n=(\d+) ", request.raw or b"")
        assert named
        sent[int(named[1])].append(request.raw or b"")
    assert sorted(sent) == list(range(1, 41))
    for number, requests in sent.items():
        head = f"n={number} HTTP/1.1\r\nHost: target.test\r\nX-Id: {uuid4(SEED, number)}\r\n"
        body = f'{{"n": {number}}}'
        assert [request.decode() for request in requests] == [
            f"GET /echo/raw?login&{head}\r\n",
            f"POST /echo/raw?order&{head}Content-Length: {len(body)}\r\n\r\n{body}",
        ]
    for endpoint in (0, 1):
        total = ran.total(endpoint)
        assert total.started == total.ok == 40
        assert total.statuses == {200: 40}
    assert books(ran) == (40, 40, 0, 0)
    # A user takes all its steps over one connection.
    assert len({row.connection for row in target.record()}) == 3


def test_a_step_begins_when_the_one_before_has_ended(engine: Engine, target: TargetServer) -> None:
    every = Sampling(first_per_endpoint=200, failures_per_kind=0, slowest=0, body_bytes=0)
    slow, quick = step("/delay/30", headers=(NUMBERED,)), step("/delay/2", headers=(NUMBERED,))
    made = journey(target, (slow, quick), load=opened(100), total=20, sampling=every)
    ran = run(engine, made)
    samples = {(sample.request_number, sample.endpoint): sample for sample in ran.samples}
    assert len(samples) == 40
    for number in range(1, 21):
        first, second = samples[number, 0], samples[number, 1]
        assert first.intended_ns == (number - 1) * SECOND // 100
        assert second.intended_ns == first.finish_ns
        assert second.actual_ns >= second.intended_ns
    assert ran.total(0).response_ok.minimum >= 30_000_000 * 0.99  # type: ignore[operator]  # there are samples
    # The time of one step is no part of the other's.
    assert min(s.finish_ns - s.intended_ns for s in ran.samples if s.endpoint == 1) < 30_000_000


def test_a_full_response_goes_on_and_anything_else_ends_the_iteration(engine: Engine, target: TargetServer) -> None:
    last = step("/echo/raw")
    full = (
        (step("/status/503"), Outcome.UNEXPECTED_STATUS),
        (step("/", checks=(BodyCheck("contains", "not there"),)), Outcome.CHECK_FAILED),
    )
    for first, outcome in full:
        ran = run(engine, journey(target, (first, last), load=closed(2), total=6))
        assert ran.total(0).outcomes == {outcome: 6}
        assert ran.total(1).outcomes == {Outcome.OK: 6}
        assert books(ran) == (6, 6, 0, 0)
    broken = (
        (step("/delay/2000", timeout=0.05), Outcome.TIMEOUT),
        (step("/half"), Outcome.CONNECTION_CLOSED),
    )
    for first, outcome in broken:
        ran = run(engine, journey(target, (first, last), load=closed(2), total=6))
        assert ran.total(0).outcomes == {outcome: 6}
        assert ran.total(1).started == 0
        assert [ran.total(endpoint).not_reached for endpoint in (0, 1)] == [0, 6]
        assert books(ran) == (6, 0, 6, 0)


def test_flows_take_turns_and_warm_up_has_books_of_its_own(engine: Engine, target: TargetServer) -> None:
    flows = ((step("/delay/1"), step("/delay/2"), step("/delay/3")), (step("/delay/4"),))
    load = opened(100, warm_up_ns=SECOND // 10, warm_up_level=100.0)
    ran = run(engine, journey(target, *flows, load=load, total=30))
    assert [ran.total(endpoint).ok for endpoint in range(4)] == [15] * 4
    assert [ran.total(endpoint, warm_up=True).ok for endpoint in range(4)] == [5] * 4
    assert [books(ran, flow) for flow in (0, 1)] == [(15, 15, 0, 0)] * 2
    assert [books(ran, flow, warm_up=True) for flow in (0, 1)] == [(5, 5, 0, 0)] * 2


def test_a_barrier_waits_for_iterations(engine: Engine, target: TargetServer) -> None:
    flows = ((step("/delay/5"), step("/delay/20")), (step("/delay/1"), step("/delay/2")))
    ran = run(engine, journey(target, *flows, load=closed(4), total=16, selection="sequential"))
    assert [ran.total(endpoint).ok for endpoint in range(4)] == [8] * 4
    rows = target.record()
    last_of_first = max(row.answered_ns or 0 for row in rows if row.route in ("/delay/5", "/delay/20"))
    first_of_second = min(row.arrived_ns for row in rows if row.route in ("/delay/1", "/delay/2"))
    assert last_of_first <= first_of_second


def test_iterations_that_run_go_on_after_a_stop_and_are_unfinished_after_a_cancel(
    engine: Engine, target: TargetServer
) -> None:
    flow = (step("/delay/100"), step("/delay/3000"))
    made = journey(target, flow, load=closed(2), duration=30)
    both_at_the_second = received(target, 4)
    cancelled = run(engine, made, once=(both_at_the_second, lambda control: control.cancel()))
    assert cancelled.total(0).outcomes == {Outcome.OK: 2}
    assert cancelled.total(1).outcomes == {Outcome.UNFINISHED: 2}
    assert books(cancelled) == (2, 0, 0, 2)
    target.reset()
    made = journey(target, (step("/delay/300"), step("/delay/1")), load=closed(2), duration=30)
    stopped = run(engine, made, once=(received(target, 2), lambda control: control.stop()))
    assert stopped.total(0).drained_ok == stopped.total(1).drained_ok == 2
    assert books(stopped) == (2, 2, 0, 0)


def test_each_step_follows_its_own_redirects(engine: Engine, target: TargetServer) -> None:
    flow = (step("/redirect/2"), step("/redirect/1"))
    ran = run(engine, journey(target, flow, load=closed(1), total=3, connections=Connections(redirects=5)))
    assert [ran.total(endpoint).redirect_hops for endpoint in (0, 1)] == [6, 3]
    assert [ran.total(endpoint).ok for endpoint in (0, 1)] == [3, 3]
