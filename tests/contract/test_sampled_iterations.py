"""Sampled iterations: all of their requests, values, checks and times, on both engines and as the target saw them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from atm.engine.base import Capability, Engine
from atm.metrics.sample import StepSample
from atm.models.outcome import Outcome
from atm.plan.load_plan import Header, Sampling
from atm.plan.program import Check, Comparison, Extract, LoopOp, Negation, Op, RequestOp, Slot, Subject
from atm.plan.template_parts import Encoding, IterationSource, UserSource
from atm.testing import TargetServer
from tests.contract.engine_runs import run
from tests.contract.plans import MILLISECOND, closed, http, opened, plan, step
from tests.contract.scenario_plans import parts, paths, requests, returning, scenario, think, times, value

pytestmark = pytest.mark.needs(Capability.SCENARIOS)

ONE = Sampling(first_iterations=1, failed_iterations=0, slowest_iterations=0)


def extract(slot: int, kind: str, text: str = "", **fields: object) -> Extract:
    return Extract(slot, Subject(kind, text), text or kind, **fields)  # type: ignore[arg-type]


def target_of(sampled: StepSample) -> str:
    return sampled.sample.request.head.split(" ")[1]


STATUS_IS_200 = Comparison(Subject("status"), "eq", 200)
STATUS_IS_404 = Comparison(Subject("status"), "eq", 404)


def test_an_iteration_is_sampled_with_all_its_requests_as_the_target_saw_them(
    engine: Engine, target: TargetServer
) -> None:
    listed = replace(
        returning('{"id": 7, "name": "täst"}'),
        named_checks=(Check(0, STATUS_IS_200, "status == 200"), Check(1, STATUS_IS_404, "status == 404", True)),
        extracts=(extract(0, "json", "$.id"), extract(1, "json", "$.nothing", has_default=True, default=None)),
    )
    opened_step = replace(
        step("/"),
        target=parts("/echo/raw?id=", value(0, encoding=Encoding.TARGET), "&user=", value(UserSource())),
        extracts=(extract(0, "status"),),
    )
    program: list[Op] = [RequestOp(0), think(3), RequestOp(1), think(2), LoopOp(0, 2, 2), think(5)]
    made = scenario(
        target, program, listed, opened_step, slots=["id", "name"], checks=["found", "lost"], total=3, sampling=ONE
    )
    ran = run(engine, made)
    (sampled,) = ran.sampled_iterations
    assert (sampled.flow, sampled.number, sampled.user, sampled.reason) == (0, 1, 1, "first")
    assert sampled.is_completed
    assert not sampled.left_out
    assert [target_of(each) for each in sampled.steps] == paths(target)[:3]
    assert [each.values for each in sampled.steps] == [
        (("id", "7"), ("name", "null")),
        (("id", "200"),),
        (("id", "200"),),
    ]
    assert [target_of(each) for each in sampled.steps[1:]] == ["/echo/raw?id=7&user=1", "/echo/raw?id=200&user=1"]
    assert [each.checks for each in sampled.steps] == [((0, True), (1, False)), (), ()]
    assert [each.sample.endpoint for each in sampled.steps] == [0, 1, 1]
    assert all(each.sample.response and each.sample.status == 200 for each in sampled.steps)
    bodies = [each.sample.response.body for each in sampled.steps if each.sample.response]
    assert bodies[0] == '{"id": 7, "name": "täst"}'
    assert "/echo/raw?id=200&user=1" in bodies[2]
    one, two, three = (each.sample for each in sampled.steps)
    thinks = (two.intended_ns - one.finish_ns, three.intended_ns - two.finish_ns, sampled.finish_ns - three.finish_ns)
    assert thinks == (3 * MILLISECOND, 2 * MILLISECOND, 7 * MILLISECOND)
    assert sampled.think_ns == 12 * MILLISECOND
    assert one.intended_ns == sampled.intended_ns


def test_the_first_the_failed_and_the_slowest_iterations_are_sampled(engine: Engine, target: TargetServer) -> None:
    fails_at = Comparison(Subject("value", value=value(IterationSource())), "in", [10, 20, 30, 40])
    checked = replace(
        step("/bimodal?fast_ms=1&slow_ms=40&share=0.1&seed=3"),
        named_checks=(Check(0, Negation(fails_at), "iteration"),),
    )
    made = scenario(target, requests(0, 1), checked, step("/fixed"), checks=["iteration"], total=60)
    ran = run(engine, made)
    by_reason = {
        reason: sorted(sample.number for sample in ran.sampled_iterations if sample.reason == reason)
        for reason in ("first", "failure")
    }
    assert by_reason == {"first": [1, 2], "failure": [10, 20, 30]}
    failed = next(sample for sample in ran.sampled_iterations if sample.number == 10)
    assert failed.is_completed
    assert [each.sample.outcome for each in failed.steps] == [Outcome.CHECK_FAILED, Outcome.OK]
    active = times(ran)[1]
    fifth = active.percentile(100 * (active.total - 4) / active.total) or 0
    slowest = sorted((sample.active_ns for sample in ran.sampled_iterations if sample.is_completed), reverse=True)[:5]
    assert min(slowest) >= fifth * 0.998
    assert max(Counter(sample.number for sample in ran.sampled_iterations).values()) == 1


def test_an_iteration_that_a_step_ended_is_sampled_up_to_there(engine: Engine, target: TargetServer) -> None:
    made = scenario(
        target, requests(0, 1, 0), step("/fixed"), step("/close"), total=8, sampling=Sampling(first_iterations=0)
    )
    ran = run(engine, made)
    assert [(sample.number, sample.reason) for sample in ran.sampled_iterations] == [
        (1, "failure"), (2, "failure"), (3, "failure"),
    ]  # fmt: skip
    for sample in ran.sampled_iterations:
        assert not sample.is_completed
        assert [each.sample.outcome for each in sample.steps] == [Outcome.OK, Outcome.CONNECTION_CLOSED]
        assert sample.steps[1].sample.response is None
        assert sample.finish_ns == sample.steps[1].sample.finish_ns


def test_secret_values_are_masked(engine: Engine, target: TargetServer) -> None:
    login = replace(
        returning('{"token": "very-secret", "id": 5}', headers=[("Set-Cookie", "sid=cookie-secret")]),
        extracts=(extract(0, "json", "$.token"), extract(1, "json", "$.id"), extract(2, "body")),
    )
    used = replace(
        step("/"),
        target=parts("/echo?t=", value(0, encoding=Encoding.TARGET), "&i=", value(1)),
        headers=(*step("/").headers, Header("X-Token", parts(value(0)))),
    )
    slots = (Slot("token", is_secret=True), Slot("id"), Slot("all"))
    made = scenario(
        target, requests(0, 1, 0), login, used, slots=slots, flow={"uses_cookies": True}, total=1, sampling=ONE
    )
    (sampled,) = run(engine, made).sampled_iterations
    assert "very-secret" not in str(sampled)
    sides = [side for each in sampled.steps for side in (each.sample.request, each.sample.response) if side]
    assert "cookie-secret" not in str([side.headers for side in sides])
    assert sampled.steps[0].values == (("token", "***"), ("id", "5"), ("all", '{"token": "***", "id": 5}'))
    assert target_of(sampled.steps[1]) == "/echo?t=***&i=5"
    assert dict(sampled.steps[1].sample.request.headers)["X-Token"] == "***"
    has_cookie = ["Cookie" in dict(each.sample.request.headers) for each in sampled.steps]
    assert has_cookie == [b"cookie:" in (request.raw or b"").lower() for request in target.captured()]
    assert has_cookie == [False, True, True]


def test_long_values_are_cut(engine: Engine, target: TargetServer) -> None:
    answered = replace(returning("ä" * 300), extracts=(extract(0, "body"),))
    made = scenario(target, requests(0), answered, slots=["all"], total=1, sampling=ONE)
    (sampled,) = run(engine, made).sampled_iterations
    assert sampled.steps[0].values == (("all", "ä" * 200),)


def test_variables_of_a_kept_session_are_shown_as_they_were_at_each_request(
    engine: Engine, target: TargetServer
) -> None:
    before = replace(step("/"), target=parts("/echo/raw?had=", value(0)))
    given = replace(returning('"new"'), extracts=(extract(0, "json", "$"),))
    sent = replace(before, extracts=(extract(0, "status"),))
    made = scenario(
        target,
        requests(0, 1, 2, 0),
        before,
        given,
        sent,
        slots=["it"],
        flow={"keeps_session": True},
        total=4,
        sampling=Sampling(first_iterations=4),
    )
    ran = run(engine, made)
    shown = [target_of(each) for sample in ran.sampled_iterations for each in sample.steps]
    assert shown == paths(target)
    assert shown[4] == "/echo/raw?had=200"
    assert shown[6] == "/echo/raw?had=new"


def test_of_a_long_iteration_the_first_hundred_requests_are_kept(engine: Engine, target: TargetServer) -> None:
    now = Subject("value", value=value(0))
    counted = replace(
        step("/"),
        target=parts("/echo/raw?n=", value(0)),
        extracts=(Extract(0, now, "n", has_default=True, default="x"), extract(1, "status")),
    )
    program: list[Op] = [RequestOp(0), LoopOp(0, 130, 0)]
    made = scenario(target, program, counted, slots=["n", "status"], flow={"keeps_session": True}, total=2)
    sampled = run(engine, made).sampled_iterations
    assert [(len(sample.steps), sample.left_out) for sample in sampled] == [(100, 30), (100, 30)]
    shown = [target_of(each) for sample in sampled for each in sample.steps]
    captured = paths(target)
    assert shown == captured[:100] + captured[130:230]


def test_variables_that_only_later_requests_change_are_those_of_the_requests_kept(
    engine: Engine, target: TargetServer
) -> None:
    first = replace(returning('"early"'), extracts=(extract(0, "json", "$"),))
    shown = replace(step("/"), target=parts("/echo/raw?n=", value(0)))
    changed = replace(returning('"late"'), extracts=(extract(0, "json", "$"),))
    program: list[Op] = [RequestOp(0), RequestOp(1), LoopOp(0, 120, 1), RequestOp(2), RequestOp(2)]
    made = scenario(target, program, first, shown, changed, slots=["n"], total=1, sampling=ONE)
    (sampled,) = run(engine, made).sampled_iterations
    assert [target_of(each) for each in sampled.steps] == paths(target)[:100]
    assert target_of(sampled.steps[-1]) == "/echo/raw?n=early"


def test_iterations_of_a_warm_up_and_requests_of_endpoints_are_no_samples(engine: Engine, target: TargetServer) -> None:
    warm = scenario(target, requests(0), step("/fixed"), load=opened(50, warm_up_ns=300 * MILLISECOND), total=4)
    ran = run(engine, warm)
    assert all(not each.sample.warm_up for sample in ran.sampled_iterations for each in sample.steps)
    assert len(ran.sampled_iterations) == 4
    plain = run(engine, plan(http(target), step("/fixed"), load=closed(2), total=10))
    assert plain.sampled_iterations == []
    assert plain.samples
