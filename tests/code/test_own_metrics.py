"""Metrics that a Python file declares, in runs against a server whose own record is known."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import atm
from atm.code.module import load
from atm.errors import DataError
from atm.models.own_metric import OwnKind
from atm.models.run import RunResult
from atm.models.run_figures import OwnFigures
from atm.testing import TargetServer
from tests.code.files import HEAD, ran, written

CODE = """
sent = atm.Counter("sent", unit="requests")
bytes_of_body = atm.Trend("body", unit="B")
left = atm.Gauge("left")


@atm.scenario
async def s(user):
    left.set(300 - user.iteration)
    answer = await user.get("/fixed")
    sent.add()
    await asyncio.to_thread(bytes_of_body.add, len(answer.body) + user.iteration % 4)
"""


def of(result: RunResult, name: str) -> OwnFigures:
    """Return the figures of a metric."""
    return next(metric for metric in result.own_metrics if metric.name == name)


@pytest.mark.parametrize("processes", [1, 3])
def test_a_counter_of_requests_is_what_the_target_received(
    tmp_path: Path, target: TargetServer, processes: int
) -> None:
    fleet = {"fleet": {"processes": processes}} if processes > 1 else {}
    rules = ["metric sent >= 300", "metric sent total <= 300", "metric body p99 < 20000", "metric left < 1"]
    result = ran(tmp_path, target, CODE, total_requests=300, concurrency=6, thresholds=rules, **fleet)
    assert not result.exceptions
    sent, body, left = of(result, "sent"), of(result, "body"), of(result, "left")
    assert sent.total == sent.count == result.metrics.total_requests == target.settled_stats().received == 300
    assert sent.rate == pytest.approx(300 / result.metrics.duration_seconds)
    assert (body.count, body.min, body.max) == (300, 20, 23)
    assert body.total == 75 * (20 + 21 + 22 + 23)
    assert body.mean == 21.5
    assert (body.p50, body.p90) == (21, 23)
    assert (left.count, left.min, left.max) == (300, 0, 299)
    assert left.last is not None
    assert left.last < 20
    verdicts = {rule.expression: rule.passed for rule in result.thresholds}
    assert verdicts == {
        "metric sent total >= 300 requests": True,
        "metric sent total <= 300 requests": True,
        "metric body p99 < 20000 B": True,
        "metric left last < 1": left.last <= 1,
    }


def test_values_of_warm_up_iterations_are_in_no_figure(tmp_path: Path, target: TargetServer) -> None:
    result = ran(tmp_path, target, CODE, load={"rate": 40, "warm_up": 1}, duration=1)
    assert result.metrics.warm_up_requests > 0
    assert of(result, "sent").total == result.metrics.total_requests == 40
    assert target.settled_stats().received == 40 + result.metrics.warm_up_requests


def test_a_test_without_own_metrics_reports_none(tmp_path: Path, target: TargetServer) -> None:
    code = '@atm.scenario\nasync def s(user):\n    await user.get("/fixed")\n'
    result = ran(tmp_path, target, code, total_requests=5)
    assert "own_metrics" not in result.model_dump_json()


def test_a_threshold_that_aborts_ends_the_run(tmp_path: Path, target: TargetServer) -> None:
    rule = {"expression": "metric sent total < 20", "abort": True, "abort_after": 0}
    code = CODE.replace("sent.add()", "sent.add(); await user.think(0.01)")
    result = ran(tmp_path, target, code, duration=60, concurrency=2, thresholds=[rule])
    assert result.run.stop_reason == "threshold"
    assert [(rule.expression, rule.passed) for rule in result.thresholds] == [
        ("metric sent total < 20 requests", False)
    ]


def test_a_value_that_is_none_fails_the_iteration(tmp_path: Path, target: TargetServer) -> None:
    code = """
    orders = atm.Counter("orders")
    sizes = atm.Trend("sizes")
    level = atm.Gauge("level")
    tried = [(orders.add, -1), (orders.add, float("nan")), (sizes.add, float("inf")), (sizes.add, -0.5),
             (level.set, 1e13), (level.set, "3"), (orders.add, 2), (level.set, -3)]

    @atm.scenario
    async def s(user):
        add, value = tried[user.iteration - 1]
        add(value)
    """
    result = ran(tmp_path, target, code, total_requests=8, concurrency=1)
    messages = sorted(raised.message.partition(" (shop.py")[0] for raised in result.exceptions)
    takes = "takes numbers from 0 to 1,000,000,000,000, not"
    both_ways = takes.replace("0 to", "-1,000,000,000,000 to")
    assert messages == sorted(
        [
            f'MetricValueError: the counter "orders" {takes} -1',
            f'MetricValueError: the counter "orders" {takes} nan',
            f'MetricValueError: the trend "sizes" {takes} inf',
            f'MetricValueError: the trend "sizes" {takes} -0.5',
            f'MetricValueError: the gauge "level" {both_ways} 10000000000000.0',
            f"MetricValueError: the gauge \"level\" {both_ways} '3'",
        ]
    )
    assert (of(result, "orders").total, of(result, "level").last, of(result, "sizes").p95) == (2, -3, None)


@pytest.mark.parametrize(
    ("code", "place", "what"),
    [
        (
            'a = atm.Counter("orders")\n\nb = atm.Trend("orders")',
            6,
            'the metric "orders" is declared twice, first in line 4',
        ),
        ('a = atm.Counter("a<b")', 4, '"a<b" cannot be the name of a metric'),
        ('a = atm.Counter("")', 4, "the name of a metric is text, and not empty"),
        (f'a = atm.Counter("{"x" * 65}")', 4, "at most 64 characters, and this one has 65"),
        ('a = atm.Gauge("a", unit="per s")', 4, '"per s" cannot be the unit'),
        ('many = [atm.Counter(f"n{n}") for n in range(51)]', 4, "a test may declare 50 metrics"),
        ('a = atm.Counter("a")\na.add()', 5, 'the counter "a" is used while its file is imported'),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_line(tmp_path: Path, code: str, place: int, what: str) -> None:
    with pytest.raises(DataError) as caught:
        load(written(tmp_path, code))
    (problem,) = caught.value.problems
    assert problem.place == f"shop.py:{place}"
    assert what in problem.what


def test_metrics_that_a_file_imports_are_those_of_the_test(tmp_path: Path) -> None:
    (tmp_path / "own_shop_figures.py").write_text(HEAD + 'orders = atm.Counter("orders")\n')
    for name in ("first.py", "second.py"):
        path = written(tmp_path, "import own_shop_figures\nown = atm.Gauge('own')\n", name)
        assert {metric.name: metric.kind for metric in load(path).metrics} == {
            "orders": OwnKind.COUNTER,
            "own": OwnKind.GAUGE,
        }


def test_outside_of_a_run_values_are_only_checked() -> None:
    orders = atm.Counter("orders")
    orders.add(2)
    with pytest.raises(atm.MetricValueError):
        orders.add(-2)


def test_two_runs_at_once_each_count_their_own(tmp_path: Path, target: TargetServer) -> None:
    code = f"{written(tmp_path, CODE)}:s"

    def spec(total: int) -> dict[str, Any]:
        return {"name": "shop", "base_url": target.url, "total_requests": total, "scenarios": {"s": {"code": code}}}

    async def both() -> tuple[RunResult, RunResult]:
        return await asyncio.gather(atm.run(spec(50)), atm.run(spec(70)))

    results = asyncio.run(both())
    assert [of(result, "sent").total for result in results] == [50, 70]
