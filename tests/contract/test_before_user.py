"""What each user of a closed load does once, before its first iteration, on both engines."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from atm.engine.base import Capability, Engine
from atm.models.outcome import Outcome, StopReason
from atm.plan.load_plan import LoadPlan, Step
from atm.plan.program import ChooseOp, Extract, JumpOp, LoopOp, Op, RequestOp, Subject
from atm.plan.randomness import below, draw_at, weighted_index
from atm.plan.template_parts import Encoding, IterationSource, RandomIntSource, UserSource
from atm.testing import TargetServer
from tests.contract.engine_runs import Ran, received, run
from tests.contract.plans import MILLISECOND, SECOND, closed, step
from tests.contract.scenario_plans import SEED, books, parts, paths, requests, returning, scenario, think, value

pytestmark = pytest.mark.needs(Capability.BEFORE_USER)

LIST, LOGIN = 0, 1
"""The steps of the plans below: the one of the iterations, and the one before."""


def get(*pieces: Any, **fields: Any) -> Step:
    return replace(step(**fields), target=parts(*pieces))


def login(*pieces: Any) -> Step:
    """A step whose response has what its target says after `login=`, which becomes the first variable."""
    made = get("/echo/raw?login=", *pieces, "-")
    return replace(made, extracts=(Extract(0, Subject("regex", "login=([0-9]+)-"), "regex"),))


def prepared(
    target: TargetServer,
    *steps: Step,
    program: list[Op] | None = None,
    before: list[Op] | None = None,
    flow: dict[str, Any] | None = None,
    **fields: Any,
) -> LoadPlan:
    """A plan whose users log in once, and send the token in each of their iterations."""
    made = steps or (get("/echo/raw?token=", value(0)), login(value(UserSource(), encoding=Encoding.TARGET)))
    more = {"keeps_session": True, "before_user": tuple(before or requests(LOGIN)), **(flow or {})}
    return scenario(target, program or requests(LIST), *made, slots=("token",), flow=more, **fields)


def sent(target: TargetServer, what: str) -> list[int]:
    """The numbers that requests to the target had as `what`, in the order of their arrival."""
    found = (re.search(rf"{what}=([0-9]+)", path) for path in paths(target))
    return [int(match[1]) for match in found if match]


def requests_of(ran: Ran, endpoint: int) -> tuple[int, int]:
    """Started requests of an endpoint, measured and in the warm-up."""
    return ran.total(endpoint).started, ran.total(endpoint, warm_up=True).started


def test_every_user_logs_in_once_and_all_its_iterations_use_its_token(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, prepared(target, load=closed(5), total=40))
    assert books(ran) == (40, 40, 0, 0)
    assert sorted(sent(target, "login")) == [1, 2, 3, 4, 5]
    assert (requests_of(ran, LIST), requests_of(ran, LOGIN)) == ((40, 0), (5, 0))
    tokens = sent(target, "token")
    assert len(tokens) == 40
    assert set(tokens) <= {1, 2, 3, 4, 5}
    first = {path: number for number, path in reversed(list(enumerate(paths(target))))}
    assert all(first[f"/echo/raw?login={user}-"] < first[f"/echo/raw?token={user}"] for user in set(tokens))
    assert (ran.total(LIST).not_reached, ran.total(LOGIN).not_reached) == (0, 0)


def test_users_that_come_later_log_in_then_and_those_that_come_back_do_not(
    engine: Engine, target: TargetServer
) -> None:
    load = replace(closed(1), warm_up_level=3, warm_up_ns=SECOND // 2)
    ran = run(engine, prepared(target, load=load, total=30, program=[*requests(LIST), think(5)]))
    assert books(ran)[:2] == (30, 30)
    assert sorted(sent(target, "login")) == [1, 2, 3]
    assert requests_of(ran, LOGIN) == (0, 3)
    assert ran.report.stop_reason is StopReason.TOTAL


def test_the_first_iteration_begins_where_the_login_ended(engine: Engine, target: TargetServer) -> None:
    before: list[Op] = [think(150), *requests(LOGIN), think(150)]
    ran = run(engine, prepared(target, load=closed(2), total=4, before=before, flow={"pace_ns": 20 * MILLISECOND}))
    assert books(ran) == (4, 4, 0, 0)
    starts = sorted(sample.intended_ns for sample in ran.samples if sample.endpoint == LIST)
    assert starts[0] >= 300 * MILLISECOND
    longest = max(interval.time.maximum or 0 for each in ran.intervals for interval in each.iterations)
    assert longest < 300 * MILLISECOND + max(
        ran.lag.maximum or 0, *(i.generator.longest_stall_ns for i in ran.intervals)
    )


def test_draws_and_numbers_are_those_of_the_user(engine: Engine, target: TargetServer) -> None:
    drawn = RandomIntSource(0, 999_999, 5)
    steps = (
        get("/echo/raw?token=", value(0)),
        login(value(drawn)),
        get("/echo/raw?iteration=", value(IterationSource()), "&user=", value(UserSource())),
    )
    before: list[Op] = [
        RequestOp(2),
        LoopOp(0, 2, 0),
        ChooseOp((1, 1), (3, 4), 9),
        RequestOp(1),
        RequestOp(1),
        JumpOp(6),
    ]
    made = prepared(target, *steps, before=before, load=closed(4), total=12)
    run(engine, replace(made, flows=(replace(made.flows[0], counters=1),)))
    assert sorted(sent(target, "iteration")) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert sent(target, "iteration") == sent(target, "user")
    # A round has begun, by the loop.
    expected: Counter[int] = Counter()
    for user in range(1, 5):
        branch = weighted_index(draw_at(SEED, user, 9, 1), (1, 1))
        expected[below(draw_at(SEED, user, 5, 1), 1_000_000)] += 2 - branch
    assert Counter(sent(target, "login")) == expected
    assert set(sent(target, "token")) <= set(expected)


def test_a_user_that_fails_begins_again_and_starts_no_iteration(engine: Engine, target: TargetServer) -> None:
    steps = (get("/echo/raw?token=", value(0)), replace(login("x"), method="GET"), step("/echo/raw?after"))
    made = prepared(target, *steps, before=requests(1, 2), load=closed(2))
    ran = run(engine, made, once=(received(target, 4), lambda control: control.stop()))
    assert books(ran) == (0, 0, 0, 0)
    attempts = ran.total(1)
    assert attempts.outcomes == {Outcome.CHECK_FAILED: attempts.started}
    assert attempts.started >= 4
    assert (ran.total(2).started, ran.total(2).not_reached) == (0, attempts.started)
    starts = sorted(sample.intended_ns for sample in ran.samples if sample.endpoint == 1)
    assert starts[-1] - starts[0] >= SECOND
    assert ran.report.last_finish_ns >= SECOND


@pytest.mark.parametrize("rule", ["stop_user", "stop_run"])
def test_a_rule_before_the_first_iteration_stops_users_or_the_run(
    engine: Engine, target: TargetServer, rule: Any
) -> None:
    failing = returning("no", status=500)
    made = prepared(target, step("/"), failing, before=[RequestOp(1, on_fail=rule)], load=closed(2), total=100)
    ran = run(engine, made)
    assert (books(ran), ran.report.stop_reason) == ((0, 0, 0, 0), StopReason.STOPPED)
    assert ran.total(1).outcomes == {Outcome.UNEXPECTED_STATUS: ran.total(1).started}


def test_a_login_in_progress_at_the_end_is_an_unfinished_request_and_no_iteration(
    engine: Engine, target: TargetServer
) -> None:
    made = prepared(target, step("/"), step("/delay/30000", timeout=60), load=closed(3), graceful=0)
    ran = run(engine, made, once=(received(target, 3), lambda control: control.stop()))
    assert books(ran) == (0, 0, 0, 0)
    assert ran.total(1).outcomes == {Outcome.UNFINISHED: 3}


def test_cookies_of_the_login_are_sent_by_all_iterations(engine: Engine, target: TargetServer) -> None:
    steps = (step("/echo/raw"), returning("in", headers=[("Set-Cookie", "id=7")]))
    ran = run(engine, prepared(target, *steps, load=closed(2), total=6, flow={"uses_cookies": True}))
    assert books(ran) == (6, 6, 0, 0)
    sent_raw = [request.raw or b"" for request in target.captured()]
    assert sum(b"Cookie: id=7" in raw for raw in sent_raw if b" /echo/raw " in raw) == 6
    assert not any(b"Cookie" in raw for raw in sent_raw if b" /echo/raw " not in raw)
