"""The limits of a server count what comes before and after the load, and the users that an open load prepares."""

from __future__ import annotations

from typing import Any

import pytest

from atm.errors import SpecError
from atm.plan.compile import CompiledTest
from atm.runs.policy import Policy

LOGIN = {"POST": "/login", "extract": {"token": "$.token"}}
ORDER = {"load": {"rate": 5}, "before_user": [LOGIN], "steps": [{"GET": "/products"}], "prepared_users": 40}
OPEN = {"scenarios": {"order": ORDER}}


def compiled(policy: Policy, **fields: Any) -> CompiledTest:
    return policy.compile({"name": "a", "base_url": "http://127.0.0.1", "duration": "10s", **fields}, {}, 1)


def refusal(policy: Policy, **fields: Any) -> tuple[str, str]:
    with pytest.raises(SpecError) as error:
        compiled(policy, **fields)
    (problem,) = error.value.problems
    assert problem.code == "beyond_cap"
    return problem.path, problem.what


def test_requests_of_setup_and_teardown_count_towards_the_most_requests() -> None:
    hooks = {
        "setup": [{"repeat": 20, "steps": [{"POST": "/users"}]}, {"GET": "/health"}],
        "teardown": [
            {"when": "random_int(1, 2) == 1", "steps": [{"DELETE": "/users"}], "otherwise": [{"GET": "/users"}]}
        ],
    }
    load = {"url": "/users", "requests_per_second": 10}
    assert compiled(Policy(max_requests=122), **load, **hooks).setup is not None
    assert refusal(Policy(max_requests=121), **load, **hooks) == (
        "total_requests",
        "the test plans 122 requests, 22 of them in setup and teardown; this server allows 121",
    )


def test_a_load_without_a_number_of_requests_ends_with_those_that_the_hooks_leave() -> None:
    load = {"url": "/users", "concurrency": 2}
    setup = [{"GET": "/a"}, {"GET": "/b"}]
    assert compiled(Policy(max_requests=100), **load, setup=setup).plan.lanes[0].total == 98
    assert refusal(Policy(max_requests=2), **load, setup=setup)[0] == "total_requests"


def test_prepared_users_are_limited_as_the_requests_in_flight_of_an_open_load() -> None:
    lane = compiled(Policy(max_users=15), **OPEN).plan.lanes[0]
    assert lane.prepared is not None
    assert (lane.prepared.users, lane.load.max_in_flight) == (15, 15)


def test_users_prepare_no_faster_than_requests_may_be_sent() -> None:
    assert compiled(Policy(max_rate=10), **OPEN).plan.lanes[0].prepared is not None
    expected = ("prepare_rate", "the test plans to prepare 10 users per second; this server allows 8 requests")
    assert refusal(Policy(max_rate=8), **OPEN) == expected


STEPS = [{"GET": "/a"}, {"repeat": 4, "steps": [{"GET": "/b"}, {"think": "1s"}]}]


def test_an_iteration_counts_with_all_its_requests() -> None:
    visits = {"scenarios": {"visit": {"load": {"rate": 2}, "steps": STEPS}}}
    assert compiled(Policy(max_requests=100, max_rate=10), **visits).plan.lanes
    assert refusal(Policy(max_requests=99), **visits) == (
        "total_requests",
        "the test plans 100 requests; this server allows 99",
    )
    assert refusal(Policy(max_rate=9), **visits) == (
        "rate",
        "the test plans 10 requests per second; this server allows 9",
    )


def test_a_closed_load_of_iterations_is_limited_by_its_requests() -> None:
    visits = {"scenarios": {"visit": {"load": {"users": 3}, "steps": STEPS}}}
    (lane,) = compiled(Policy(max_requests=100, max_rate=10), **visits).plan.lanes
    assert (lane.total, lane.load.max_rate) == (20, 2)
