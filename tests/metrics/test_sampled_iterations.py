"""Which sampled iterations of a run are kept, and how they stand in its result."""

from __future__ import annotations

from dataclasses import replace

from atm.metrics.result_samples import sampled_iteration
from atm.metrics.sample import IterationSample, StepSample
from atm.metrics.samples import MOST_ITERATION_BYTES, IterationShelf
from atm.metrics.scenarios import ScenarioTotals
from atm.models.outcome import Outcome
from atm.models.outline import CheckName, ScenarioSteps
from tests.metrics.seconds import MS, iteration_sample, sample


def numbers(shelf: IterationShelf, reason: str) -> list[int]:
    return [kept.number for kept in shelf.samples() if kept.reason == reason]


def test_the_first_and_the_failed_that_ended_first_and_the_slowest_are_kept() -> None:
    shelf = IterationShelf(1)
    # Two threads: each reports its own first ones.
    shelf.add_all([iteration_sample(number, "first", time_ms=10) for number in (4, 2, 1, 3)])
    shelf.add_all([iteration_sample(number, "failure", failed=True) for number in range(5, 12)])
    for number in range(12, 30):
        shelf.add_all([iteration_sample(number, "slowest", time_ms=number)])
    shelf.add_all([iteration_sample(30, "slowest", time_ms=1)])
    assert numbers(shelf, "first") == [1, 2]
    assert numbers(shelf, "failure") == [5, 6, 7]
    assert numbers(shelf, "slowest") == [25, 26, 27, 28, 29]


def test_a_first_one_beyond_the_limit_may_be_among_the_slowest() -> None:
    shelf = IterationShelf(1)
    shelf.add_all([iteration_sample(number, "first", time_ms=number) for number in (1, 2, 3)])
    assert [(kept.number, kept.reason) for kept in shelf.samples()] == [(1, "first"), (2, "first"), (3, "slowest")]


def test_think_time_makes_no_iteration_slow() -> None:
    shelf = IterationShelf(1, slowest=1)
    shelf.add_all([iteration_sample(1, "slowest", time_ms=20)])
    shelf.add_all([replace(iteration_sample(2, "slowest", time_ms=90), think_ns=80 * MS)])
    assert numbers(shelf, "slowest") == [1]


def test_each_scenario_has_its_share_of_the_bytes() -> None:
    shelf = IterationShelf(2)
    large = StepSample(sample(1, body="x" * (MOST_ITERATION_BYTES // 5)), (), ())
    shelf.add_all([iteration_sample(number, "failure", large, failed=True) for number in (1, 2, 3)])
    shelf.add_all([iteration_sample(number, "slowest", large, flow=1, time_ms=number) for number in (7, 8, 9)])
    assert [(kept.flow, kept.number) for kept in shelf.samples()] == [(0, 1), (0, 2), (1, 7), (1, 8)]
    # A slower one of the same size takes the place of one only where the shelf is full.
    shelf.add_all([iteration_sample(10, "slowest", flow=1, time_ms=10)])
    assert (1, 10) in [(kept.flow, kept.number) for kept in shelf.samples()]


def test_a_sample_names_scenario_steps_and_checks() -> None:
    steps = ScenarioSteps("shop", (1, 2))
    totals = ScenarioTotals([steps], [CheckName("found", 1), CheckName("paid", 2)])
    first = StepSample(sample(3, endpoint=1), ((1, True), (0, False)), (("id", "7"), ("none", None)))
    later = sample(4, endpoint=2, outcome=Outcome.TIMEOUT)
    started = IterationSample(0, 3, 9, "failure", False, 3 * 10**9, 5 * 10**9, 0, (first, StepSample(later, (), ())), 4)
    result = sampled_iteration(started, ["other", "shop/list", "shop/pay"], totals)
    assert (result.scenario, result.outcome, result.time_ms, result.requests_left_out) == ("shop", "failed", 2000, 4)
    assert [step.endpoint for step in result.steps] == ["shop/list", "shop/pay"]
    assert [(check.name, check.passed) for check in result.steps[0].checks] == [("paid", True), ("found", False)]
    assert [(value.name, value.value) for value in result.steps[0].values] == [("id", "7"), ("none", None)]
    assert [step.think_ms for step in result.steps] == [0, 990]
    assert result.has_failure
