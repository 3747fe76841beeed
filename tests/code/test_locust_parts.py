"""The parts of locustfiles that need no run: requests, shapes, shares of users, tasks."""

from __future__ import annotations

import ast
from argparse import Namespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.code.locust.argument_parser import LocustArgumentParser
from atm.code.locust.body import basic, encoded, quoted, with_params, without_credentials
from atm.code.locust.distribution import users_of
from atm.code.locust.environment import Environment, Runner
from atm.code.locust.event import Events
from atm.code.locust.headers import Headers
from atm.code.locust.recognition import is_locustfile
from atm.code.locust.shape import LoadTestShape, stages, users_by_second
from atm.code.locust.task import select_tasks, tag, task
from atm.code.locust.user import HttpUser


@pytest.mark.parametrize(
    ("url", "params", "expected"),
    [
        ("/a", {"q": "a b", "n": [1, 2], "left out": None}, "/a?q=a+b&n=1&n=2"),
        ("/a?x=1#end", {"y": "2"}, "/a?x=1&y=2#end"),
        ("/a", "raw=1", "/a?raw=1"),
        ("/a", None, "/a"),
    ],
)
def test_parameters_are_those_of_requests(url: str, params: object, expected: str) -> None:
    assert with_params(url, params) == expected


def test_a_url_keeps_what_is_quoted_already() -> None:
    assert quoted("/ü %20?q=a b") == "/%C3%BC%20%20?q=a%20b"


@pytest.mark.parametrize(
    ("data", "document", "expected"),
    [
        ({"a": "1", "b": ["2", "3"]}, None, (b"a=1&b=2&b=3", "application/x-www-form-urlencoded")),
        (None, {"a": None}, (b'{"a": null}', "application/json")),
        ("text ü", None, ("text ü".encode(), None)),
        (b"bytes", {"not": "sent"}, (b"bytes", None)),
        (None, None, (None, None)),
    ],
)
def test_a_body_is_that_of_requests(data: object, document: object, expected: tuple[bytes, str]) -> None:
    assert encoded(data, document) == expected


def test_credentials_are_taken_from_a_pair_and_from_the_host() -> None:
    assert basic(("me", "secret")) == "Basic bWU6c2VjcmV0"
    assert without_credentials("https://me:a%40b@host:8443/api") == ("https://host:8443/api", ("me", "a@b"))
    with pytest.raises(TypeError, match="auth="):
        basic(object())


def test_headers_are_found_in_any_case() -> None:
    headers = Headers([("Set-Cookie", "a"), ("set-cookie", "b")])
    headers["X-One"] = "1"
    assert headers["SET-COOKIE"] == "a, b"
    assert headers.get("x-one") == "1"
    assert list(headers) == ["set-cookie", "X-One"]


def _runner() -> Runner:
    return Environment(Events(), [], Namespace(), "").runner


class _Steps(LoadTestShape):
    def tick(self) -> tuple[int, float] | None:
        return (4, 2) if self.get_run_time() < 3 else (1, 3) if self.get_run_time() < 5 else None


def test_a_shape_becomes_stages() -> None:
    users = users_by_second(_Steps(), _runner())
    assert users == [2, 4, 4, 1, 1]
    joined = stages(users)
    assert [(stage["duration"], stage["target"]) for stage in joined] == [(2, 4), (1, 4), (1, 1), (1, 1)]


class _Endless(LoadTestShape):
    def tick(self) -> tuple[int, float]:
        return 1, 1


def test_a_shape_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="24 hours"):
        users_by_second(_Endless(), _runner())


class _AddsUsers(LoadTestShape):
    def tick(self) -> tuple[int, float] | None:
        assert self.runner is not None
        assert self.runner.user_count == self.get_current_user_count()
        return None if self.get_run_time() >= 3 else (self.runner.user_count + 2, 2)


def test_a_shape_sees_how_many_users_there_are() -> None:
    assert users_by_second(_AddsUsers(), _runner()) == [2, 4, 6]


class _Wrong(LoadTestShape):
    def __init__(self, wanted: Any) -> None:
        super().__init__()
        self.wanted = wanted

    def tick(self) -> Any:
        return self.wanted["users"] if isinstance(self.wanted, dict) else self.wanted


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({}, r"tick\(\) raised KeyError \(test_locust_parts.py:\d+\) at 0 s: 'users'"),
        (5, r"tick\(\) returns 5 at 0 s: return users and spawn rate"),
        ((1, "x"), "return users and spawn rate"),
        ((1, 1, [HttpUser]), "user classes"),
    ],
)
def test_what_a_shape_does_wrong_is_named(wanted: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        users_by_second(_Wrong(wanted), _runner())


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=5),
    st.integers(0, 200),
)
def test_users_are_shared_by_weight_after_fixed_counts(classes: list[tuple[int, int]], total: int) -> None:
    users: list[type[HttpUser]] = [
        type(f"User{number}", (HttpUser,), {"weight": weight, "fixed_count": fixed})
        for number, (weight, fixed) in enumerate(classes)
    ]
    counts = users_of(users, total)
    fixed_users = sum(min(fixed, total) for _, fixed in classes)
    weighted = [user for user in users if not user.fixed_count]
    if weighted or fixed_users >= total:
        assert sum(counts.values()) == total
    left = total - sum(counts[user] for user in users if user.fixed_count)
    for user in weighted:
        assert abs(counts[user] - left * user.weight / sum(other.weight for other in weighted)) < 1


def test_tags_select_tasks_in_nested_classes() -> None:
    class Tagged(HttpUser):
        @tag("read")
        @task
        def one(self) -> None: ...

        @tag("read", "slow")
        @task(2)
        def two(self) -> None: ...

        @task
        def three(self) -> None: ...

    select_tasks(Tagged, frozenset({"read"}), frozenset({"slow"}))
    assert [selected.__name__ for selected in Tagged.tasks] == ["one"]


def test_options_come_from_variables_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_WHO", "me")
    parser = LocustArgumentParser()
    parser.add_argument("--pages", type=int, default=3)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--who", env_var="SHOP_WHO", is_secret=True)
    options = parser.parsed({"pages": "5", "fast": "yes", "unknown": "1"})
    assert (options.pages, options.fast, options.who) == (5, True, "me")
    with pytest.raises(ValueError, match="pages"):
        parser.parsed({"pages": "many"})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import locust", True),
        ("from locust import HttpUser", True),
        ("import locust.exception as e", True),
        ("from . import locust", False),
        ("import atm\nlocust = 1", False),
        ("import locusts", False),
    ],
)
def test_a_locustfile_is_what_imports_locust(source: str, expected: bool) -> None:
    assert is_locustfile(ast.parse(source)) is expected
