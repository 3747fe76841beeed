"""How many users an open load with `before_user` keeps prepared, how fast, and when the load begins."""

from __future__ import annotations

import json
from typing import Any

import pytest

from atm.plan.compile import CompiledTest, compile_plan
from atm.plan.forecast import forecast
from atm.plan.load_plan import LoadPlan, PreparedUsers
from atm.plan.plan_decoder import decode
from tests.plan.test_compile_errors import error_text

SECOND = 1_000_000_000


def spec(scenario: dict[str, Any] | None = None, steps: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    login = {"POST": "/login", "name": "login", "extract": {"token": "$.token"}}
    order = {
        "load": {"rate": 8},
        "before_user": [login],
        "steps": steps or [{"GET": "/products", "headers": {"X-Token": "{{token}}"}}],
    }
    return {
        "name": "a",
        "base_url": "http://127.0.0.1",
        "duration": "1m",
        "scenarios": {"order": {**order, **(scenario or {})}},
        **fields,
    }


def compiled(*args: Any, **fields: Any) -> CompiledTest:
    return compile_plan(spec(*args, **fields), {})


def test_users_begin_before_the_load_which_begins_so_much_later() -> None:
    plan = compiled().plan
    (lane,) = plan.lanes
    assert lane.prepared == PreparedUsers(8, 10.0, 5_800_000_000)
    assert (lane.start_ns, lane.load.max_in_flight, lane.duration_ns) == (5_800_000_000, 8, 60 * SECOND)
    assert plan.flows[0].keeps_session
    assert decode(LoadPlan, json.loads(plan.to_bytes())) == plan
    ahead = forecast(plan)
    assert (ahead.warm_up_seconds, ahead.seconds) == (5.8, 60)


@pytest.mark.parametrize(
    ("steps", "seconds"),
    [
        ([{"GET": "/a"}, {"think": "2s"}, {"think": "1s..3s"}, {"think": "exp(4s)"}, {"GET": "/b"}], 10),
        ([{"repeat": 3, "steps": [{"think": "1s"}, {"repeat": 2, "steps": [{"GET": "/a"}]}]}], 9),
        ([{"GET": "/a"}, {"when": "token exists", "steps": [{"GET": "/b"}], "otherwise": [{"think": "4s"}]}], 5),
        ([{"choose": [{"steps": [{"GET": "/a"}]}, {"steps": [{"GET": "/a"}, {"GET": "/b"}]}]}], 2),
        ([{"while": "token exists", "at_most": 5, "steps": [{"GET": "/a"}]}, {"GET": "/b"}], 6),
    ],
)
def test_there_are_enough_for_the_longest_an_iteration_takes(steps: list[Any], seconds: int) -> None:
    prepared = (
        compiled({"load": {"model": "open", "stages": [{"duration": "1m", "target": 20}]}}, steps)
        .plan.lanes[0]
        .prepared
    )
    assert prepared is not None
    assert prepared.users == 20 * seconds


@pytest.mark.parametrize(
    ("fields", "users"),
    [
        ({"load": {"rate": 8, "max_in_flight": 3}}, 3),
        ({"load": {"rate": 8, "max_in_flight": 30}}, 8),
        ({"load": {"rate": 8, "warm_up": "5s", "warm_up_level": 11}}, 11),
        ({"load": {"rate": 0.01}}, 1),
        ({"load": {"rate": 1e6}}, 10_000),
        ({"prepared_users": 12}, 12),
    ],
)
def test_a_limit_and_a_written_number_of_users_count(fields: dict[str, Any], users: int) -> None:
    lane = compiled(fields).plan.lanes[0]
    assert lane.prepared is not None
    assert (lane.prepared.users, lane.load.max_in_flight) == (users, users)


def test_the_time_to_prepare_may_be_written() -> None:
    (lane,) = compiled({"prepared_users": 50, "prepare_rate": 25, "prepare_time": "3s"}).plan.lanes
    assert lane.prepared == PreparedUsers(50, 25, 3 * SECOND)
    assert lane.start_ns == 3 * SECOND


def test_all_scenarios_begin_later_and_one_that_begins_later_anyway_prepares_meanwhile() -> None:
    scenarios = spec({"prepare_time": "3s"})["scenarios"]
    other = {"load": {"users": 2}, "steps": [{"GET": "/b"}]}
    lanes = compiled(scenarios={**scenarios, "other": {**other, "start_after": "20s"}}).plan.lanes
    assert [lane.start_ns // SECOND for lane in lanes] == [3, 23]
    assert [(lane.duration_ns or 0) // SECOND for lane in lanes] == [60, 40]
    late = {**scenarios["order"], "start_after": "10s"}
    lanes = compiled(scenarios={"order": late, "other": other}).plan.lanes
    assert [lane.start_ns // SECOND for lane in lanes] == [10, 0]


def test_a_row_for_each_user_limits_them() -> None:
    login = {"POST": "/login", "json": {"n": "{{accounts.n}}"}, "extract": {"token": "$.token"}}
    data = {"accounts": {"rows": [{"n": 1}, {"n": 2}, {"n": 3}], "per": "user", "pick": "once"}}
    test = compiled({"before_user": [login]}, data=data)
    (lane,) = test.plan.lanes
    assert lane.prepared == PreparedUsers(3, 10.0, 5_300_000_000)
    assert (lane.load.max_in_flight, lane.total, lane.duration_ns) == (3, None, 60 * SECOND)
    (note,) = test.notes
    assert note.what == 'the data "accounts" has 3 rows, and "order" has 8 prepared users: only 3 can be prepared'
    assert not compiled({"before_user": [login], "prepared_users": 3}, data=data).notes


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ({"session": "new"}, "`session: new` forgets it after each"),
        ({"load": {"users": 3}, "prepared_users": 3}, "prepared_users belongs to an open load"),
        ({"before_user": None, "prepare_rate": 3}, "prepare_rate belongs to before_user, and this scenario has none"),
        ({"load": {"rate": 8, "max_in_flight": 3}, "prepared_users": 4}, "so 4 prepared users are too many"),
    ],
)
def test_what_contradicts_it_is_an_error(scenario: dict[str, Any], expected: str) -> None:
    steps = [{"GET": "/products"}] if scenario.get("before_user", 0) is None else None
    written = spec(scenario, steps)
    written["scenarios"]["order"] = {
        key: item for key, item in written["scenarios"]["order"].items() if item is not None
    }
    assert expected in error_text(json.dumps(written))
