"""The scenarios of a plan, as results name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from atm.models.outline import ScenarioSteps
from atm.plan.load_plan import Flow, LoadPlan


def scenarios_of(plan: LoadPlan) -> tuple[ScenarioSteps, ...]:
    """Return the scenarios of a plan."""
    closed = {flow for lane in plan.lanes if lane.load.model == "closed" for flow in lane.flows}
    return tuple(
        replace(scenario, is_open=flow not in closed) for flow, scenario in enumerate(scenarios_in(plan.flows))
    )


def scenarios_in(flows: Sequence[Flow]) -> tuple[ScenarioSteps, ...]:
    """Return a scenario for each flow; none for a plan whose flows all have one step and no program.

    There an iteration is one request, and engines count no iterations.
    """
    if not any(flow.program or len(flow.steps) > 1 for flow in flows):
        return ()
    return tuple(ScenarioSteps(flow.name, tuple(dict.fromkeys(step.endpoint for step in flow.steps))) for flow in flows)
