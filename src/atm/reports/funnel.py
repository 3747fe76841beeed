"""The steps of scenarios with the figures of their requests, as reports list them; checks in the order of a reader."""

from __future__ import annotations

from collections.abc import Sequence

from atm.dataclass import dataclass
from atm.models.endpoint_metrics import NamedEndpointMetrics
from atm.models.run import RunResult
from atm.models.run_figures import CheckFigures, ScenarioMetrics, StepBefore, StepReach

BEFORE_USER = "(before each user)"
"""What reports write after the name of a step that each user sends once, before its first iteration."""


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One step: how many iterations reached it, and its requests."""

    reach: StepReach
    metrics: NamedEndpointMetrics


@dataclass(frozen=True, slots=True)
class Funnel:
    """A scenario with its steps in order."""

    scenario: ScenarioMetrics
    steps: Sequence[FunnelStep]
    before_user: Sequence[tuple[StepBefore, NamedEndpointMetrics]] = ()
    """What each user does before its first iteration, with the figures of its requests."""


def funnels(result: RunResult) -> list[Funnel]:
    """Return a funnel for each scenario; empty for a spec without scenarios."""
    metrics = {entry.name: entry for entry in result.endpoint_metrics}
    return [
        Funnel(
            scenario,
            [FunnelStep(reach, metrics[reach.endpoint]) for reach in scenario.steps if reach.endpoint in metrics],
            [(step, metrics[step.endpoint]) for step in scenario.before_user if step.endpoint in metrics],
        )
        for scenario in result.scenarios
    ]


def outside_scenarios(result: RunResult) -> list[NamedEndpointMetrics]:
    """Return the endpoints that are no step of a scenario."""
    steps = {step.endpoint for scenario in result.scenarios for step in scenario.steps}
    steps |= {step.endpoint for scenario in result.scenarios for step in scenario.before_user}
    return [entry for entry in result.endpoint_metrics if entry.name not in steps]


def checks_failed_first(result: RunResult) -> list[CheckFigures]:
    """Return the checks: failed ones by their number of failures, then those never evaluated, then the others."""
    return sorted(result.checks, key=lambda check: (-check.failed, check.evaluated > 0))
