"""Requests before the first iteration of a user have figures apart from every total."""

from __future__ import annotations

import json
from typing import Any

import pytest

from atm.metrics.collector import Collector
from atm.metrics.evidence import Circumstances
from atm.metrics.summary import RunTimes, summarize
from atm.metrics.thresholds import ThresholdJudge
from atm.models.metric import Comparison, Metric
from atm.models.outcome import Outcome
from atm.models.outline import CheckName, EndpointDescription, ScenarioSteps
from atm.models.run import RunResult
from atm.models.run_figures import StepBefore
from atm.models.threshold import Threshold
from atm.reports.funnel import funnels, outside_scenarios
from tests.cli import results
from tests.metrics.seconds import SECOND, check, endpoint, iterations, second

ENDPOINTS = ("order/before_user/login", "order/list")
SCENARIOS = (ScenarioSteps("order", (1,), is_open=False, before_user=(0,)),)
CHECKS = (CheckName("accepted", 0),)
SECONDS = [
    second(
        0,
        endpoint(0, [900.0] * 2, failures={Outcome.UNEXPECTED_STATUS: 8}),
        endpoint(1, [10.0] * 4),
        iterations=[iterations(0, [10.0] * 4)],
        checks=[check(0, 2, 8)],
    ),
    second(1, endpoint(0, [900.0]), endpoint(1, [10.0] * 6), iterations=[iterations(0, [10.0] * 6)]),
]


def collected(*seconds: Any) -> Collector:
    collector = Collector(ENDPOINTS, scenarios=SCENARIOS, checks=CHECKS)
    for interval in seconds or SECONDS:
        collector.add(interval)
    return collector


def result() -> RunResult:
    described = [EndpointDescription(name, "GET", f"http://127.0.0.1/{name}") for name in ENDPOINTS]
    return summarize(
        collected(),
        RunTimes(0, 2 * SECOND, 2 * SECOND),
        results.info(name="shop"),
        described,
        [],
        circumstances=Circumstances(engine="asyncio", cores=2),
        environment={},
        spec={},
    )


def test_no_total_contains_them() -> None:
    finished = result()
    metrics = finished.metrics
    assert (metrics.total_requests, metrics.failed_requests, metrics.error_rate) == (10, 0, 0.0)
    assert metrics.requests_per_second == 5.0
    assert metrics.latency_max_ms == pytest.approx(10, rel=1e-2)
    assert sum(point.completed for point in finished.timeline) == 10
    assert finished.scenarios[0].due == finished.scenarios[0].started == 10
    snapshot = collected().snapshot()
    assert (snapshot.so_far.started, snapshot.so_far.failed, snapshot.second.completed) == (10, 0, 6)


def test_they_are_listed_under_their_scenario() -> None:
    finished = result()
    expected = StepBefore(name="login", endpoint=ENDPOINTS[0], started=11, completed=11, failed=8)
    assert list(finished.scenarios[0].before_user) == [expected]
    assert [step.name for step in finished.scenarios[0].steps] == ["list"]
    assert list(collected().snapshot().so_far.scenarios[0].before_user) == [expected]
    login = finished.endpoint_metrics[0]
    assert (login.total_requests, login.failed_requests) == (11, 8)
    assert login.latency_max_ms == pytest.approx(900, rel=1e-2)
    (journey,) = funnels(finished)
    assert [(step.name, metrics.name) for step, metrics in journey.before_user] == [("login", ENDPOINTS[0])]
    assert outside_scenarios(finished) == []
    written = json.loads(finished.model_dump_json())
    assert written["scenarios"][0]["before_user"][0]["failed"] == 8


@pytest.mark.parametrize("window", [None, 1])
@pytest.mark.parametrize(
    ("more", "actual"),
    [({}, 0.0), ({"scenario": 0}, 0.0), ({"endpoint": 1}, 0.0), ({"endpoint": 0}, 8 / 11)],
)
def test_a_threshold_judges_them_only_if_it_names_their_endpoint(more: Any, actual: float, window: int | None) -> None:
    rule = Threshold(
        "as written", Metric.ERROR_RATE, Comparison("<"), 0.01, window_seconds=window, min_samples=1, **more
    )
    judge = ThresholdJudge([rule], ENDPOINTS, scenarios=SCENARIOS, checks=CHECKS)
    collector = collected(SECONDS[0])
    judge.add(SECONDS[0])
    judge.add(SECONDS[1])
    collector.add(SECONDS[1])
    (judged,) = judge.results(collector)
    assert judged.actual == (8 / 10 if window and actual else actual)


@pytest.mark.parametrize("more", [{}, {"scenario": 0}])
def test_a_check_of_theirs_is_judged_by_its_name(more: Any) -> None:
    rule = Threshold("as written", Metric.CHECK, Comparison(">"), 0.99, check="accepted", **more)
    (judged,) = ThresholdJudge([rule], ENDPOINTS, scenarios=SCENARIOS, checks=CHECKS).results(collected())
    assert judged.actual == 0.2


def test_a_target_that_refuses_every_login_is_unreachable() -> None:
    collector = collected(second(0, endpoint(0, failures={Outcome.CONNECT_ERROR: 3})))
    assert (collector.completed, collector.answered, collector.total.completed) == (3, 0, 0)


def test_the_warm_up_of_a_login_is_in_no_figure_of_the_load() -> None:
    collector = collected(second(0, endpoint(0, [5.0] * 3, warm_up=True), phase="warm_up"))
    assert (collector.warm_up.started, collector.measured[0].started, collector.completed) == (0, 0, 3)
