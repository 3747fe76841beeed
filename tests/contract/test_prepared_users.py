"""The users of an open load who are kept prepared in the background, on both engines, by the target's own record."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atm.engine.base import Capability, Engine
from atm.engine.native_engine import NativeEngine
from atm.models.outcome import Outcome, StopReason
from atm.plan.load_plan import Load, LoadPlan, PreparedUsers, Sampling, Step
from atm.plan.program import ChooseOp, DataTable, Extract, JumpOp, Op, RequestOp, Subject
from atm.plan.randomness import draw_at, weighted_index
from atm.plan.share import Share
from atm.plan.template_parts import DataSource, Encoding, UserSource
from atm.tables.table_writer import write_table
from atm.testing import TargetServer
from tests.contract.engine_runs import Ran, received, run
from tests.contract.plans import MILLISECOND, SECOND, opened, step
from tests.contract.scenario_plans import SEED, books, parts, paths, requests, returning, scenario, value

pytestmark = pytest.mark.needs(Capability.BEFORE_USER)

LIST, LOGIN, LOST = 0, 1, 2
"""The steps of the plans below: that of an iteration, the one before, and one that loses the session."""


def get(*pieces: Any, **fields: Any) -> Step:
    return replace(step(**fields), target=parts(*pieces))


def login(*pieces: Any, path: str = "/echo/raw?login=") -> Step:
    """A step whose response has what its target says after `login=`, which becomes the first variable."""
    made = get(path, *pieces, "-")
    return replace(made, extracts=(Extract(0, Subject("regex", "login=([0-9]+)-"), "regex"),))


USER = value(UserSource(), encoding=Encoding.TARGET)
LOGGED_IN = login(USER)
LISTED = get("/echo/raw?token=", value(0))


def prepared(
    target: TargetServer,
    *steps: Step,
    users: int = 4,
    rate: float = 1000,
    lead: float = 0.5,
    load: Load | None = None,
    program: list[Op] | None = None,
    before: list[Op] | None = None,
    **fields: Any,
) -> LoadPlan:
    """A plan whose users log in once, and send the token in each iteration; the load begins after `lead` seconds."""
    flow = {"keeps_session": True, "before_user": tuple(before or requests(LOGIN))}
    load = replace(load or opened(50), max_in_flight=users)
    made = scenario(
        target,
        program or requests(LIST),
        *(steps or (LISTED, LOGGED_IN)),
        slots=("token",),
        flow=flow,
        load=load,
        sampling=Sampling(first_per_endpoint=1000),
        **fields,
    )
    lead_ns = int(lead * SECOND)
    lane = replace(made.lanes[0], start_ns=lead_ns, prepared=PreparedUsers(users, rate, lead_ns))
    return replace(made, lanes=(lane,))


def sent(target: TargetServer, what: str) -> list[int]:
    """The numbers that requests to the target had as `what`, in the order of their arrival."""
    found = (re.search(rf"{what}=([0-9]+)", path) for path in paths(target))
    return [int(match[1]) for match in found if match]


def check_sessions(target: TargetServer) -> None:
    """Every request of an iteration has the token of a session that a login has begun and nothing has ended."""
    active: set[int] = set()
    for path in paths(target):
        match = re.search(r"(login|token|lost)=([0-9]+)", path)
        assert match, path
        kind, user = match[1], int(match[2])
        assert (user in active) == (kind != "login"), (path, active)
        if kind == "login":
            active.add(user)
        elif kind == "lost":
            active.remove(user)


def starts(ran: Ran, endpoint: int) -> list[int]:
    return sorted(sample.intended_ns for sample in ran.samples if sample.endpoint == endpoint)


def started(ran: Ran, endpoint: int) -> tuple[int, int]:
    """Started requests of an endpoint, measured and in the warm-up."""
    return ran.total(endpoint).started, ran.total(endpoint, warm_up=True).started


def test_every_iteration_has_a_user_who_has_logged_in_before(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, prepared(target, users=5, total=60))
    assert books(ran) == (60, 60, 0, 0)
    assert (started(ran, LIST), started(ran, LOGIN)) == ((60, 0), (5, 0))
    assert sorted(sent(target, "login")) == [1, 2, 3, 4, 5]
    assert set(sent(target, "token")) == {1, 2, 3, 4, 5}
    assert len(sent(target, "token")) == 60
    check_sessions(target)
    assert (ran.total(LIST).not_reached, ran.total(LOGIN).not_reached) == (0, 0)
    assert ran.report.stop_reason is StopReason.TOTAL


def test_users_begin_at_their_rate_and_the_load_after_its_lead(engine: Engine, target: TargetServer) -> None:
    ran = run(engine, prepared(target, users=6, rate=20, lead=0.6, total=10))
    begun = starts(ran, LOGIN)
    # A generator that was held up until the end has not prepared all of them.
    assert len(begun) == ran.total(LOGIN).started <= 6
    assert all(at >= number * 50 * MILLISECOND for number, at in enumerate(begun))
    assert all(at >= 600 * MILLISECOND for at in starts(ran, LIST))
    assert (ran.report.window_start_ns, ran.report.window_end_ns) == (600 * MILLISECOND, 800 * MILLISECOND)
    assert ran.total(LIST).started + ran.total(LIST).missed == 10


@pytest.mark.parametrize(("residues", "users"), [((0, 2), [1, 3, 4]), ((1,), [2, 5])])
def test_a_share_prepares_its_part_of_the_users_under_their_numbers(
    engine: Engine, target: TargetServer, residues: tuple[int, ...], users: list[int]
) -> None:
    made = replace(prepared(target, users=5, total=30), share=Share(residues, 3))
    ran = run(engine, made)
    assert books(ran)[:2] == (10 * len(residues), 10 * len(residues))
    assert sorted(sent(target, "login")) == users
    assert set(sent(target, "token")) == set(users)
    check_sessions(target)


def test_no_login_counts_as_warm_up(engine: Engine, target: TargetServer) -> None:
    load = opened(50, warm_up_ns=SECOND // 5, warm_up_level=50.0)
    ran = run(engine, prepared(target, load=load, total=10))
    assert (books(ran), books(ran, warm_up=True)) == ((10, 10, 0, 0), (10, 10, 0, 0))
    assert (started(ran, LIST), started(ran, LOGIN)) == ((10, 10), (4, 0))
    check_sessions(target)


def test_an_arrival_without_a_prepared_user_waits_for_one(engine: Engine, target: TargetServer) -> None:
    slow = login(USER, path="/delay/300?login=")
    slow = replace(slow, extracts=())
    ran = run(engine, prepared(target, step("/echo/raw?token"), slow, users=2, lead=0, duration=1))
    first = ran.total(LIST)
    started_, completed, *_ = books(ran)
    assert started_ == completed
    assert started_ + first.missed == 50
    # Its login takes longer than six gaps between arrivals.
    assert first.waited + first.missed >= 6
    assert ran.total(LOGIN).started == 2


@pytest.mark.parametrize("on_saturation", ["queue", "drop"])
def test_no_iteration_starts_where_no_user_can_log_in(engine: Engine, target: TargetServer, on_saturation: Any) -> None:
    refused = replace(login("x"), expected_statuses=((201, 201),))
    load = opened(20, on_saturation=on_saturation)
    ran = run(engine, prepared(target, LISTED, refused, users=3, load=load, duration=1.5))
    first, attempts = ran.total(LIST), ran.total(LOGIN)
    assert books(ran) == (0, 0, 0, 0)
    assert (first.started, first.missed) == (0, 30)
    assert (first.dropped, first.queued_at_end) == ((0, 30) if on_saturation == "queue" else (30, 0))
    # Each of the three begins again a second after it has failed.
    assert 3 <= attempts.started <= 6
    assert attempts.outcomes == {Outcome.UNEXPECTED_STATUS: attempts.started}


def test_a_user_who_loses_its_session_logs_in_again_under_its_number(engine: Engine, target: TargetServer) -> None:
    lost = get("/echo/raw?lost=", value(0), expected=((404, 404),))
    program: list[Op] = [
        ChooseOp((1, 1), (1, 3), 9),
        RequestOp(LIST),
        JumpOp(4),
        RequestOp(LOST, on_fail="stop_user"),
    ]
    made = prepared(
        target, LISTED, LOGGED_IN, lost, users=3, load=opened(8), program=program, duration=3.0, graceful=30
    )
    ran = run(engine, made)
    taken, completed, failed, unfinished = books(ran)
    first = ran.total(LIST)
    assert taken + first.missed == 24
    assert (completed, failed, unfinished) == (len(sent(target, "token")), len(sent(target, "lost")), 0)
    failing = [weighted_index(draw_at(SEED, number, 9, 0), (1, 1)) for number in range(1, taken + 1)]
    if not first.missed:
        assert failed == sum(failing)
    assert failed >= 3
    logins = sent(target, "login")
    assert set(logins) == {1, 2, 3}
    assert 3 < len(logins) <= 3 + failed
    assert started(ran, LOGIN) == (len(logins), 0)
    check_sessions(target)


@pytest.mark.parametrize("rule", ["stop_run", "stop_user"])
def test_a_rule_of_a_login_stops_the_run_or_lets_the_user_begin_again(
    engine: Engine, target: TargetServer, rule: Any
) -> None:
    refused = returning("no", status=500)
    before: list[Op] = [RequestOp(LOGIN, on_fail=rule)]
    made = prepared(target, step("/"), refused, before=before, users=2, load=opened(5), duration=60)
    if rule == "stop_run":
        ran = run(engine, made)
    else:
        ran = run(engine, made, once=(received(target, 4), lambda control: control.stop()))
    assert (books(ran), ran.report.stop_reason) == ((0, 0, 0, 0), StopReason.STOPPED)
    assert ran.total(LOGIN).started >= (1 if rule == "stop_run" else 4)


def test_a_login_in_progress_at_the_end_is_unfinished_and_no_iteration(engine: Engine, target: TargetServer) -> None:
    made = prepared(target, step("/"), step("/delay/30000", timeout=60), users=3, duration=60, graceful=0)
    ran = run(engine, made, once=(received(target, 3), lambda control: control.stop()))
    assert books(ran) == (0, 0, 0, 0)
    assert ran.total(LOGIN).outcomes == {Outcome.UNFINISHED: 3}


@pytest.mark.parametrize("threads", [1, 3])
def test_each_row_of_a_table_per_user_belongs_to_one_user(
    engine: Engine, target: TargetServer, tmp_path: Path, threads: int
) -> None:
    rows = 40
    path = tmp_path / "accounts.table"
    write_table(path, ["n"], [[str(100 + row)] for row in range(rows)], bytes(32))
    table = DataTable("accounts", ("n",), rows, "user", "in_order", str(path))
    steps = (LISTED, login(value(DataSource(0, 0, 0), encoding=Encoding.TARGET)))
    made = replace(prepared(target, *steps, users=rows, load=opened(100), total=160), data=(table,))
    if isinstance(engine, NativeEngine):
        engine = NativeEngine(threads=threads)
    ran = run(engine, made)
    assert books(ran) == (160, 160, 0, 0)
    assert sorted(sent(target, "login")) == list(range(100, 100 + rows))
    tokens = Counter(sent(target, "token"))
    assert set(tokens) == set(range(100, 100 + rows))
    check_sessions(target)
    used = [data for interval in ran.intervals for data in interval.data]
    assert sum(data.used for data in used) == rows
    assert sum(data.repeated for data in used) == 0
