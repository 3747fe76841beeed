"""The figures of scenarios and checks, from intervals whose figures are known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from atm.metrics.collector import Collector
from atm.metrics.evidence import Circumstances, evidence_of
from atm.metrics.histogram import Histogram
from atm.metrics.interval import Interval
from atm.metrics.summary import RunTimes
from atm.models.run import RunResult
from atm.models.run_figures import CheckFigures, ScenarioMetrics
from atm.storage.result import join, split
from tests.metrics.seconds import MS, SECOND, check, endpoint, iterations, second
from tests.metrics.shop import CHECKS, ENDPOINTS, SCENARIOS, shop_collector, shop_result, shop_seconds
from tests.metrics.test_summary import collected, summary_of


def scenario(result: RunResult, name: str) -> ScenarioMetrics:
    return next(entry for entry in result.scenarios if entry.name == name)


def test_the_books_of_a_scenario_add_up() -> None:
    browse, order = shop_result().scenarios
    assert (browse.due, browse.started, browse.missed) == (33, 30, 3)
    assert (browse.completed, browse.failed, browse.unfinished) == (20, 8, 2)
    assert browse.started == browse.completed + browse.failed + browse.unfinished
    assert browse.iteration_error_rate == 8 / 28
    assert (order.due, order.started, order.completed, order.failed, order.unfinished) == (10, 10, 10, 0, 0)


def test_the_rate_counts_iterations_that_ended_inside_the_window() -> None:
    assert scenario(shop_result(), "browse").iterations_per_second == (20 - 4) / 2


def test_iteration_times_are_merged_with_and_without_think_time() -> None:
    browse = scenario(shop_result(), "browse")
    expected = Histogram()
    for time_ms, count in ((1000, 10), (2000, 6), (3000, 4)):
        expected.record(time_ms * MS, count)
    assert browse.iteration_time.p95_ms == expected.percentile(95) / 1e6  # type: ignore[operator]
    assert browse.iteration_time.max_ms == pytest.approx(3000, rel=1e-3)
    assert browse.active_time.p50_ms == pytest.approx(100, rel=1e-3)
    assert browse.active_time.max_ms == pytest.approx(100, rel=1e-3)


def test_the_steps_read_as_a_funnel() -> None:
    browse, order = shop_result().scenarios
    assert [(step.name, step.reached, step.not_reached) for step in browse.steps] == [("list", 28, 0), ("open", 20, 8)]
    assert browse.steps[1].reached_share == 20 / 28
    assert [(step.endpoint, step.reached, step.reached_share) for step in order.steps] == [
        ("order/list", 10, 1.0),
        ("order/order", 6, 0.6),
    ]


def test_checks_are_counted_by_name_and_step() -> None:
    checks = shop_result().checks
    assert checks[0] == CheckFigures(
        name="status == 200", endpoint="browse/list", passed=24, failed=0, passed_share=1.0
    )
    assert (checks[1].passed, checks[1].failed, checks[1].passed_share) == (19, 1, 0.95)
    assert [entry.endpoint for entry in checks if entry.name == "accepted"] == ["order/order", "order/list"]
    assert (checks[4].evaluated, checks[4].passed_share) == (0, None)


def test_seconds_of_two_engines_merge_like_one() -> None:
    """Half of each second comes from another engine: the same figures."""
    together, apart = shop_collector(), shop_collector()
    for interval in shop_seconds():
        together.add(interval)
        apart.add(interval)
    for interval in shop_seconds():
        doubled = Interval(interval.second, interval.phase)
        doubled.iterations = [*interval.iterations, *interval.iterations]
        doubled.checks = [*interval.checks, *interval.checks]
        if apart.last is not None:
            doubled.second += apart.last.second + 1
        apart.scenarios.add(doubled)
    for one, three in zip(together.scenarios.iterations, apart.scenarios.iterations, strict=True):
        assert three.completed == 3 * one.completed
        assert three.time.counts == {index: 3 * count for index, count in one.time.counts.items()}
    assert apart.scenarios.evaluations[1].failed == 3


def test_iterations_survive_the_wire() -> None:
    for interval in shop_seconds():
        again = Interval.from_bytes(interval.to_bytes())
        assert (again.iterations, again.checks) == (interval.iterations, interval.checks)


def test_a_result_without_scenarios_has_no_fields_of_scenarios() -> None:
    text = summary_of(collected(), RunTimes(SECOND, 3 * SECOND, 3_500 * MS)).model_dump_json()
    assert not {"scenarios", "checks"} & set(json.loads(text))
    assert RunResult.model_validate_json(text).model_dump_json() == text


def test_a_stored_result_has_its_scenarios() -> None:
    result = shop_result()
    again = join(split(result), result.spec, result.run.id)
    assert (again.scenarios, again.checks) == (result.scenarios, result.checks)
    assert again.model_dump_json() == result.model_dump_json()


def test_figures_so_far_count_the_last_second() -> None:
    collector = shop_collector()
    for interval in shop_seconds()[:3]:
        collector.add(interval)
    browse, order = collector.snapshot().so_far.scenarios
    assert (browse.started, browse.completed, browse.failed, browse.missed) == (30, 16, 8, 3)
    assert (browse.iterations_per_second, order.iterations_per_second) == (6.0, 0.0)
    assert [step.reached for step in browse.steps] == [24, 16]
    assert [entry.failed for entry in collector.snapshot().so_far.checks] == [0, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"iterations": [iterations(2, [1.0])]}, "scenario 2 of 2 in second 0"),
        ({"checks": [check(9, 1)]}, "check 9 of 5 in second 0"),
    ],
)
def test_an_unknown_scenario_or_check_is_an_error(parts: dict[str, list[object]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shop_collector().add(second(0, endpoint(0, [1.0]), **parts))  # type: ignore[arg-type]


def test_arrivals_of_open_scenarios_are_iterations() -> None:
    result = shop_result()
    # 27 + 16 arrivals were offered, 30 + 10 iterations started, 3 were missed.
    assert (result.metrics.offered_rate, result.metrics.achieved_rate) == (43 / 2, 40 / 2)
    reason = next(reason for reason in result.verdict.reasons if reason.code == "missed")
    assert reason.actual == 3 / 43


def test_arrivals_that_the_engine_lost_are_noticed() -> None:
    """An iteration sends several requests, so a comparison with requests would hide them."""
    collector = shop_collector()
    for interval in shop_seconds():
        interval.offered *= 2
        collector.add(interval)
    evidence = evidence_of(collector, 2 * SECOND, Circumstances(engine="asyncio", cores=2))
    assert evidence.unaccounted == 2 * (43 + 5) - (43 + 5) - 1


def test_iterations_of_closed_scenarios_are_no_arrivals() -> None:
    closed = tuple(replace(scenario, is_open=False) for scenario in SCENARIOS)
    collector = Collector(ENDPOINTS, scenarios=closed, checks=CHECKS, warm_up_ns=SECOND)
    for interval in shop_seconds():
        collector.add(interval)
    assert (collector.arrivals, collector.warm_up_due) == (collector.total.started, collector.warm_up.due)


def test_a_plan_of_endpoints_has_no_scenarios() -> None:
    collector = Collector(["GET /users"])
    collector.add(second(0, endpoint(0, [1.0])))
    assert (collector.snapshot().so_far.scenarios, list(collector.snapshot().so_far.checks)) == ((), [])
