"""Names of endpoints, and checks of a single url."""

from __future__ import annotations

from typing import Any

from atm.models.metric import Metric
from atm.plan.compile import CompiledTest, compile_plan
from atm.plan.program import CheckName

COMMON = {"name": "a", "base_url": "http://127.0.0.1", "duration": "10s"}


def compiled(**fields: Any) -> CompiledTest:
    return compile_plan({**COMMON, **fields}, {})


def test_an_endpoint_without_a_name_is_called_by_method_and_path_as_written() -> None:
    endpoints = [
        {"GET": "/users?page=1"},
        {"POST": "http://127.0.0.1/users/{{random_int}}"},
        {"GET": "/users?page=2"},
        {"url": "/other", "name": "GET /users (2)"},
        {"GET": "/" + "x" * 200},
    ]
    test = compiled(endpoints=endpoints, thresholds=["GET /users: p95 < 1s"])
    names = ("GET /users", "POST /users/{{random_int}}", "GET /users (3)", "GET /users (2)")
    assert test.plan.endpoints[:4] == names
    assert [request.name for request in test.requests] == list(test.plan.endpoints)
    assert (len(test.plan.endpoints[4]), test.plan.endpoints[4][-1]) == (128, "…")
    assert test.plan.thresholds[0].endpoint == 0


def test_a_single_url_may_have_checks() -> None:
    written = {"fine": "status == 200", "has users": "$.users | count > 0"}
    test = compiled(url="/users", checks=written, thresholds=["check fine > 90%"])
    (step,) = test.plan.flows[0].steps
    assert test.plan.checks == (CheckName("fine", 0), CheckName("has users", 0))
    assert [check.text for check in step.named_checks] == list(written.values())
    # The check of the status decides, and no list of expected ones.
    assert step.expected_statuses == ((100, 999),)
    assert test.plan.thresholds[0].metric is Metric.CHECK
    assert compile_plan(test.spec, {}).plan == test.plan


def test_checks_at_the_top_are_noted_where_they_have_no_effect() -> None:
    endpoints = [{"GET": "/users"}]
    scenarios = {"s": {"load": {"rate": 1}, "steps": endpoints}}
    for fields in ({"endpoints": endpoints}, {"scenarios": scenarios}):
        (note,) = compiled(checks=["status == 200"], **fields).notes
        assert (note.code, note.path) == ("ignored_field", "checks")
