"""`setup` and `teardown` against a real target: each exactly once, with its values, however the run ends."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from atm.engine.base import Control
from atm.engine.native_engine import load_native_engine
from atm.library import run_sync
from atm.models.outcome import RunOutcome, StopReason
from atm.models.run import RunResult
from atm.testing import TargetServer
from tests.steadiness import allowed

ENGINES = ("asyncio", *(("native",) if load_native_engine() else ()))
SECRET = "t0ken-of-the-setup"
SETUP = {
    "POST": f"/echo?as=setup&token={SECRET}-x",
    "json": {"key": SECRET, "n": 7},
    "extract": {
        "token": {"regex": r'key\\":\\"([^\\"]+)', "secret": True},
        "n": "$.number",
        "broken": "$.target",
        "missing_one": "$.nothing | default null",
    },
}
TEARDOWN = {"DELETE": "/echo?as=teardown&n={{n}}"}


def spec(target: TargetServer, **fields: Any) -> dict[str, Any]:
    return {
        "name": "hooks",
        "base_url": target.url,
        "total_requests": 10,
        "load": {"users": 2},
        "setup": [SETUP],
        "scenarios": {"s": {"steps": [{"GET": "/fixed?as=load"}]}},
        "teardown": [TEARDOWN],
        **fields,
    }


def order(target: TargetServer) -> list[str]:
    target.settled_stats()
    return [row.route for row in target.record()]


def check_once(target: TargetServer) -> int:
    """Setup came exactly once and first, teardown exactly once and last; return the requests between them."""
    routes = order(target)
    assert (routes[0], routes[-1]) == ("setup", "teardown")
    assert (routes.count("setup"), routes.count("teardown")) == (1, 1)
    return routes.count("load")


@pytest.mark.parametrize("engine", ENGINES)
def test_both_run_once_outside_the_figures(target: TargetServer, engine: str) -> None:
    result = run_sync(spec(target, engine=engine))
    assert check_once(target) == result.metrics.total_requests == 10
    assert [entry.name for entry in result.endpoint_metrics] == ["s/GET /fixed"]
    assert result.setup is not None
    assert result.teardown is not None
    for hook in (result.setup, result.teardown):
        assert (hook.status, hook.steps, hook.failed_step, hook.message) == ("passed", 1, "", "")
        assert hook.seconds > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_values_of_setup_reach_urls_headers_bodies_and_conditions(target: TargetServer, engine: str) -> None:
    step = {
        "POST": "/echo?as=load&n={{n}}&t={{broken}}&r={{broken | raw}}",
        "headers": {"Authorization": "Bearer {{token}}", "X-N": "n{{n}}", "X-Digest": "{{n | sha256}}"},
        "json": {"n": "{{n}}", "text": "n={{n}}", "none": "{{missing_one}}", "token": "{{token}}"},
        "checks": [
            '$.body matches /"n": ?1, ?"text": ?"n=1", ?"none": ?null/',
            "$.target contains 'n=1&t=%2Fecho%3Fas%3Dsetup'",
            f'body contains \'["Authorization", "Bearer {SECRET}"]\'',
            "$.number >= {{n}}",
        ],
    }
    steps = [
        step,
        {"when": "n == 1 and missing_one == null", "steps": [{"GET": "/fixed?as=then"}]},
        {"when": "n > 1 or token missing", "steps": [{"GET": "/fixed?as=never"}]},
        {"when": "token == {{n}}", "steps": [{"GET": "/fixed?as=never"}]},
    ]
    result = run_sync(spec(target, engine=engine, scenarios={"s": {"steps": steps}}, total_requests=3))
    assert check_once(target) == 3
    assert [(check.name, check.failed, check.passed) for check in result.checks if check.failed] == []
    routes = order(target)
    assert (routes.count("then"), routes.count("never")) == (3, 0)
    assert result.run.error is None


@pytest.mark.parametrize("engine", ENGINES)
def test_endpoints_use_the_values_too(target: TargetServer, engine: str) -> None:
    endpoint = {
        "name": "it",
        "url": target.url + "/echo?as=load&n={{n}}",
        "headers": {"X-Key": "{{token}}"},
        "checks": ["$.target contains n=1", f'body contains \'["X-Key", "{SECRET}"]\''],
    }
    written = spec(target, engine=engine, endpoints=[endpoint])
    del written["scenarios"]
    result = run_sync(written)
    assert check_once(target) == 10
    assert (result.metrics.successful_requests, result.metrics.failed_requests) == (10, 0)


@pytest.mark.parametrize("engine", ENGINES)
def test_secrets_of_setup_are_masked_wherever_they_come_back(target: TargetServer, engine: str) -> None:
    step = {
        "POST": "/echo?as=load&token={{token}}",
        "headers": {"X-Plain": "{{token}}", "X-N": "{{n}}"},
        "json": {"some": "{{token}}"},
        "checks": ["$.number < 0"],
    }
    result = run_sync(spec(target, engine=engine, scenarios={"s": {"steps": [step]}}))
    assert check_once(target) == 10
    assert result.samples
    shown = result.model_dump_json()
    # The spec of this test holds the value itself, under a name of a credential.
    assert SECRET not in json.dumps(json.loads(shown)["samples"])
    assert SECRET not in json.dumps(json.loads(shown)["failures"])
    # A value that is not secret is shown.
    assert ["X-N", "1"] in [list(pair) for pair in result.samples[0].request_headers]
    assert ["X-Plain", "***"] in [list(pair) for pair in result.samples[0].request_headers]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_value_with_a_line_break_adds_no_header(target: TargetServer, engine: str) -> None:
    step = {
        "GET": "/echo?as=load",
        "headers": {"X-Line": "{{line}}"},
        "checks": ["$.headers[-1][1] contains 'aInjected'"],
    }
    setup = [{"POST": "/echo?as=setup", "body": "a\r\nInjected: yes", "extract": {"line": "$.body"}}]
    teardown = [{"GET": "/echo?as=teardown", "headers": {"X-Line": "{{line}}"}}]
    result = run_sync(spec(target, engine=engine, setup=setup, teardown=teardown, scenarios={"s": {"steps": [step]}}))
    assert check_once(target) == 10
    assert result.checks[0].failed == 0
    assert result.teardown is not None
    assert result.teardown.status == "passed"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"GET": "/status/503?as=setup"}, "503, expected 200, 201 or 204"),
        ({"GET": "/echo?as=setup", "checks": ["$.number > 99"]}, "check failed: $.number > 99"),
        ({"GET": "/echo?as=setup", "extract": {"x": "$.nothing"}}, "x"),
    ],
)
def test_a_failed_setup_ends_the_run_before_any_load(target: TargetServer, step: dict[str, Any], message: str) -> None:
    written = spec(target, setup=[step, {"GET": "/fixed?as=setup"}], teardown=[{"GET": "/fixed?as=teardown"}])
    result = run_sync(written)
    assert check_once(target) == 0
    assert result.setup is not None
    assert result.setup.status == "failed"
    assert result.setup.failed_step.startswith("setup/GET /")
    assert message in result.setup.message
    assert result.setup.hint
    assert (result.verdict.outcome, result.verdict.exit_code) == (RunOutcome.ERROR, 1)
    assert result.run.error is not None
    assert result.run.error.startswith(f"setup failed: {result.setup.failed_step}: ")
    assert result.teardown is not None
    assert result.teardown.status == "passed"


def test_a_setup_without_a_response_fails_with_the_reason(target: TargetServer) -> None:
    result = run_sync(spec(target, setup=[{"GET": "http://127.0.0.1:1/"}], teardown=[{"GET": "/fixed?as=teardown"}]))
    assert order(target) == ["teardown"]
    assert result.setup is not None
    assert (result.setup.status, result.setup.message) == ("failed", "connection refused")


def test_a_step_whose_failure_does_not_matter_lets_the_load_start(target: TargetServer) -> None:
    tolerated = {"GET": "/status/503?as=setup", "on_fail": "continue"}
    result = run_sync(spec(target, setup=[tolerated], teardown=[{"GET": "/fixed?as=teardown"}]))
    assert check_once(target) == 10
    assert result.setup is not None
    assert result.setup.status == "passed"


def test_a_failed_teardown_goes_on_and_is_the_exit_code_of_a_run_that_passed(target: TargetServer) -> None:
    steps = [{"GET": "/status/500?as=first"}, {"GET": "/fixed?as=teardown"}]
    result = run_sync(spec(target, teardown=steps, thresholds=["rps >= 0"]))
    assert check_once(target) == 10
    assert result.teardown is not None
    assert (result.teardown.status, result.teardown.steps) == ("failed", 2)
    assert result.teardown.failed_step == "teardown/GET /status/500"
    if result.verdict.passed:
        assert (result.verdict.outcome, result.verdict.exit_code) == (RunOutcome.PASSED, 1)


def test_teardown_follows_a_threshold_that_ends_the_run(target: TargetServer) -> None:
    rule = {"expression": "error_rate < 1%", "abort": True, "abort_after": 1, "min_samples": 5}
    steps = [{"GET": "/status/503?as=load"}, {"think": "10ms"}]
    result = run_sync(
        spec(
            target,
            scenarios={"s": {"steps": steps}},
            thresholds={"expressions": [rule]},
            total_requests=None,
            duration=60,
        )
    )
    assert check_once(target) > 0
    assert result.run.stop_reason is StopReason.THRESHOLD
    assert result.teardown is not None
    assert result.teardown.status == "passed"


@pytest.mark.parametrize("is_cancel", [False, True])
def test_teardown_follows_a_stop_and_a_cancel(target: TargetServer, is_cancel: bool) -> None:
    control = Control()
    result = run_sync(
        spec(target, total_requests=None, duration=60),
        on_interval=lambda _: control.cancel() if is_cancel else control.stop(),
        control=control,
    )
    assert check_once(target) > 0
    assert result.run.stop_reason is (StopReason.CANCELLED if is_cancel else StopReason.STOPPED)
    assert result.teardown is not None
    assert result.teardown.status == "passed"


def stopped_before_its_load(target: TargetServer, control: Control) -> RunResult:
    setup = [SETUP, {"GET": "/slow?ms=60000&as=slow"}, {"think": "60s"}]
    return run_sync(spec(target, setup=setup), control=control)


def test_a_stop_during_setup_ends_it_soon_without_load(target: TargetServer) -> None:
    control = Control()
    timer = threading.Timer(0.5, control.stop)
    timer.start()
    began = time.monotonic()
    result = stopped_before_its_load(target, control)
    timer.join()
    assert time.monotonic() - began < allowed(5)
    assert "load" not in order(target)
    assert order(target)[-1] == "teardown"
    assert result.setup is not None
    assert result.setup.status == "stopped"
    assert result.run.stop_reason is StopReason.STOPPED


def test_a_setup_that_a_limit_of_the_run_ends_is_an_error(target: TargetServer) -> None:
    control = Control()
    timer = threading.Timer(0.5, control.stop, (StopReason.DURATION,))
    timer.start()
    result = stopped_before_its_load(target, control)
    timer.join()
    assert result.setup is not None
    assert (result.setup.status, result.setup.message) == ("failed", "not finished within the time limit of the run")
    assert (result.verdict.outcome, result.verdict.passed) == (RunOutcome.ERROR, None)


def test_teardown_has_a_time_limit_of_its_own(target: TargetServer) -> None:
    steps = [{"GET": "/fixed?as=teardown"}, {"think": "60s"}, {"GET": "/fixed?as=late"}]
    result = run_sync(spec(target, teardown=steps, teardown_timeout=0.3))
    assert check_once(target) == 10
    assert result.teardown is not None
    assert (result.teardown.status, result.teardown.steps) == ("failed", 1)
    assert result.teardown.message == "not finished within its time limit of 300 ms"
    assert "teardown_timeout" in result.teardown.hint


def test_a_run_without_hooks_says_nothing_about_them(target: TargetServer) -> None:
    written = spec(target)
    del written["setup"], written["teardown"]
    document = json.loads(run_sync(written).model_dump_json())
    assert not {"setup", "teardown"} & document.keys()
