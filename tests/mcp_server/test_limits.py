from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atm.config import Settings
from atm.mcp_server.gate import per_hour
from atm.mcp_server.limits import Demand, Limits, Used
from atm.models.control.specs import PlanView

LIMITS = Limits.of(Settings.model_construct())


def plan(**fields: Any) -> PlanView:
    base = {
        "name": "a",
        "model": "closed",
        "endpoints": ["a"],
        "engine": "auto",
        "total_requests": 100,
        "planned_seconds": None,
        "hosts": ["127.0.0.1"],
        "redirects": 0,
        "peak": 10,
        "most_seconds": None,
        "most_requests": 100,
    }
    return PlanView.model_validate({**base, **fields})


def limits(*targets: str) -> Limits:
    return Limits.of(Settings.model_construct(mcp_allowed_targets=targets))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "api.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"]
)
def test_this_machine_may_be_loaded_without_a_word(host: str) -> None:
    assert LIMITS.may_load(host)


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "notlocalhost",
        "10.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "::",
        "::ffff:10.0.0.1",
        "2130706433",
        "0x7f000001",
        "",
    ],
)
def test_nothing_else_may_be_loaded_until_it_is_listed(host: str) -> None:
    assert not LIMITS.may_load(host)


def test_a_list_holds_names_addresses_and_networks() -> None:
    some = limits("*.example.com", "10.1.0.0/16", "fd00::/8")
    assert some.may_load("api.example.com")
    assert some.may_load("10.1.2.3")
    assert some.may_load("fd00::1")
    assert not some.may_load("example.org")
    assert not some.may_load("127.0.0.1")
    # A name may lead anywhere: networks in the list say nothing about it.
    assert not limits("0.0.0.0/0").may_load("example.com")
    assert limits("*").may_load("example.com")
    assert limits("*").may_load("10.0.0.1")


def test_a_spec_without_an_end_gets_one_in_each_dimension() -> None:
    assert LIMITS.bounded({"url": "u"}, plan()) == {"url": "u", "duration": 120, "total_requests": 100}
    timed = plan(total_requests=None, most_requests=None, most_seconds=30)
    assert LIMITS.bounded({"duration": 30}, timed) == {"duration": 30, "total_requests": 50_000}
    both = {"duration": 30, "total_requests": 10}
    assert LIMITS.bounded(both, plan(most_seconds=30)) == both


def test_every_request_of_an_iteration_counts() -> None:
    lane = {"name": "buy", "start_seconds": 0, "total_requests": None, "requests_per_iteration": 4}
    journeys = plan(
        most_requests=None,
        total_requests=None,
        most_seconds=30,
        lanes=[{**lane, "model": "open", "peak": 60}, {**lane, "model": "closed", "peak": 10}],
    )
    assert Demand.of(journeys) == Demand(rate=240, users=10, seconds=30, requests=None)
    assert "the rate" in [each.what for each in LIMITS.excess_of_call(Demand.of(journeys))]
    assert LIMITS.bounded({"duration": 30}, journeys) == {"duration": 30, "total_requests": 12_500}


def test_each_limit_of_a_call_is_named_with_its_setting() -> None:
    demand = Demand(rate=201, users=None, seconds=121, requests=50_001)
    assert [(each.what, each.setting) for each in LIMITS.excess_of_call(demand)] == [
        ("the rate", "ATM_MCP_MAX_RATE"),
        ("the duration", "ATM_MCP_MAX_DURATION"),
        ("the number of requests", "ATM_MCP_MAX_REQUESTS"),
    ]
    assert [str(each) for each in LIMITS.excess_of_call(Demand(None, 51, None, None))] == [
        "the users: 51 users, limit 50 users",
        "the duration: no end, limit 2 min",
        "the number of requests: no end, limit 50,000",
    ]
    assert LIMITS.excess_of_call(Demand(200, None, 120, 50_000)) == []
    assert LIMITS.excess_of_call(Demand(None, 50, 120, 50_000)) == []


def test_the_limits_of_an_hour_count_what_was_used() -> None:
    demand = Demand(None, 10, 60, 1000)
    assert LIMITS.excess_of_hour(demand, Used(29, 199_000, 1140)) == []
    assert [each.what for each in LIMITS.excess_of_hour(demand, Used(30, 199_001, 1141))] == [
        "the runs of an hour",
        "the requests of an hour",
        "the time under load in an hour",
    ]
    # What has no bound counts as much as a call may come to.
    assert LIMITS.excess_of_hour(Demand(None, 10, None, None), Used(0, 150_001, 0))


def due(*seconds: float) -> list[datetime]:
    return [datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=each) for each in seconds]


def test_how_often_an_hour_follows_from_the_due_times_that_are_known() -> None:
    assert per_hour(due(0)) == 1
    assert per_hour(due(0, 86_400, 172_800)) == 1
    assert per_hour(due(0, 1800, 3600, 5400)) == 2
    # All recorded runs are within the hour, at a constant rate.
    assert per_hour(due(0, 1, 2, 3, 4)) == 3600
    assert per_hour(due(*range(0, 3000, 60))) == 60
