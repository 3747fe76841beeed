"""Add up the iterations of scenarios and the evaluations of checks, and turn them into figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from atm.metrics.code_interval import CodeInterval
from atm.metrics.interval import EndpointInterval, Interval
from atm.metrics.scenario_interval import CheckInterval, IterationInterval
from atm.metrics.spread import spread
from atm.models.outline import CheckName, ScenarioSteps, step_name
from atm.models.run_figures import CheckFigures, ScenarioMetrics, ScenarioSoFar, StepBefore, StepReach


class ScenarioTotals:
    """The measured iterations of each scenario, and the measured evaluations of each check."""

    def __init__(self, scenarios: Sequence[ScenarioSteps], checks: Sequence[CheckName]) -> None:
        self.scenarios = tuple(scenarios)
        """In the order of the plan's flows; empty for a plan without scenarios."""
        self.checks = tuple(checks)
        self.iterations = [IterationInterval(flow, warm_up=False) for flow in range(len(self.scenarios))]
        self.warm_up_arrivals = 0
        """Iterations of open scenarios that started during warm-up."""
        self.evaluations = [CheckInterval(check, warm_up=False) for check in range(len(self.checks))]

    @property
    def has_arrivals(self) -> bool:
        """Whether iterations of a scenario arrive at a rate."""
        return any(scenario.is_open for scenario in self.scenarios)

    @property
    def has_prepared_users(self) -> bool:
        """Whether iterations of a scenario arrive at a rate and wait for users who are prepared in the background."""
        return any(scenario.is_open and scenario.before_user for scenario in self.scenarios)

    @property
    def arrivals(self) -> int:
        """Measured iterations of open scenarios that started."""
        pairs = zip(self.scenarios, self.iterations, strict=True)
        return sum(iterations.started for scenario, iterations in pairs if scenario.is_open)

    def announce(self, code: CodeInterval) -> None:
        """Add the names that scenarios in code have used first."""
        self.scenarios = with_announced(self.scenarios, code)
        for check in code.checks:
            _require("announced check", check.index, len(self.checks) + 1, -1)
            if check.index == len(self.checks):
                self.checks = (*self.checks, CheckName(check.name, check.endpoint))
                self.evaluations.append(CheckInterval(check.index, warm_up=False))

    def add(self, interval: Interval) -> None:
        """Add one second. Raises ValueError if it has an unknown scenario or check."""
        for iteration in interval.iterations:
            _require("scenario", iteration.flow, len(self.iterations), interval.second)
            if not iteration.warm_up:
                self.iterations[iteration.flow].merge(iteration)
            elif self.scenarios[iteration.flow].is_open:
                self.warm_up_arrivals += iteration.started
        for check in interval.checks:
            _require("check", check.check, len(self.evaluations), interval.second)
            if not check.warm_up:
                self.evaluations[check.check].merge(check)


def with_announced(scenarios: Sequence[ScenarioSteps], code: CodeInterval) -> tuple[ScenarioSteps, ...]:
    """Return the scenarios with the endpoints that they have announced."""
    extended = list(scenarios)
    for endpoint in code.endpoints:
        scenario = extended[endpoint.scenario]
        if endpoint.index not in scenario.endpoints:
            extended[endpoint.scenario] = replace(scenario, endpoints=(*scenario.endpoints, endpoint.index))
    return tuple(extended)


def _require(kind: str, index: int, length: int, second: int) -> None:
    if not 0 <= index < length:
        raise ValueError(f"{kind} {index} of {length} in second {second}")


def scenario_metrics(
    totals: ScenarioTotals, endpoints: Sequence[str], measured: Sequence[EndpointInterval], windows: Sequence[float]
) -> list[ScenarioMetrics]:
    """Return the figures of each scenario, over its window in seconds.

    `endpoints` are the names of the plan, `measured` the figures of each.
    """
    return [
        ScenarioMetrics(
            **_figures(scenario, iterations, endpoints, measured),
            unfinished=iterations.unfinished,
            iterations_per_second=(iterations.completed - iterations.drained) / seconds if seconds else 0.0,
        )
        for scenario, iterations, seconds in zip(totals.scenarios, totals.iterations, windows, strict=True)
    ]


def scenarios_so_far(
    totals: ScenarioTotals, endpoints: Sequence[str], measured: Sequence[EndpointInterval], last: Interval | None
) -> tuple[ScenarioSoFar, ...]:
    """Return the figures of each scenario up to the end of the second `last`."""
    completed = [0] * len(totals.scenarios)
    for part in last.iterations if last else ():
        completed[part.flow] += part.completed
    seconds = last.duration_ns / 1e9 if last else 0.0
    return tuple(
        ScenarioSoFar(
            **_figures(scenario, iterations, endpoints, measured),
            iterations_per_second=count / seconds if seconds else 0.0,
        )
        for scenario, iterations, count in zip(totals.scenarios, totals.iterations, completed, strict=True)
    )


def _figures(
    scenario: ScenarioSteps,
    iterations: IterationInterval,
    endpoints: Sequence[str],
    measured: Sequence[EndpointInterval],
) -> dict[str, Any]:
    """Return the fields of a `ScenarioFigures`."""
    missed = sum(measured[endpoint].missed for endpoint in scenario.endpoints)
    ended = iterations.completed + iterations.failed
    return {
        "name": scenario.name,
        "due": iterations.started + missed,
        "started": iterations.started,
        "missed": missed,
        "completed": iterations.completed,
        "failed": iterations.failed,
        "iteration_error_rate": iterations.failed / ended if ended else 0.0,
        "iteration_time": spread(iterations.time),
        "active_time": spread(iterations.active_time),
        "steps": [
            _step(scenario.name, endpoints[endpoint], measured[endpoint].not_reached, ended)
            for endpoint in scenario.endpoints
            if not (scenario.is_code and endpoint == scenario.endpoints[0] and not measured[endpoint].started)
        ],
        "before_user": [
            _step_before(scenario.name, endpoints[endpoint], measured[endpoint]) for endpoint in scenario.before_user
        ],
    }


def _step_before(scenario: str, endpoint: str, requests: EndpointInterval) -> StepBefore:
    return StepBefore(
        name=step_name(f"{scenario}/before_user", endpoint),
        endpoint=endpoint,
        started=requests.started,
        completed=requests.completed,
        failed=requests.failed,
    )


def _step(scenario: str, endpoint: str, not_reached: int, ended: int) -> StepReach:
    return StepReach(
        name=step_name(scenario, endpoint),
        endpoint=endpoint,
        reached=ended - not_reached,
        not_reached=not_reached,
        reached_share=(ended - not_reached) / ended if ended else None,
    )


def check_figures(totals: ScenarioTotals, endpoints: Sequence[str]) -> list[CheckFigures]:
    """Return the figures of each check, in the order of the plan."""
    return [
        CheckFigures(
            name=check.name,
            endpoint=endpoints[check.endpoint],
            passed=counts.passed,
            failed=counts.failed,
            passed_share=counts.passed / (counts.passed + counts.failed) if counts.passed + counts.failed else None,
        )
        for check, counts in zip(totals.checks, totals.evaluations, strict=True)
    ]
