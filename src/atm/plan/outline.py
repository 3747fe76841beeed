"""The scenarios and the open lanes of a plan, as results name them."""

from __future__ import annotations

from collections.abc import Sequence

from atm.models.outline import OpenLane, ScenarioSteps
from atm.plan.load_plan import Flow, LoadPlan


def scenarios_of(plan: LoadPlan) -> tuple[ScenarioSteps, ...]:
    """Return the scenarios of a plan."""
    return scenarios_in(plan.flows)


def open_lanes_of(plan: LoadPlan) -> tuple[OpenLane, ...] | None:
    """Return the open lanes of a plan with several lanes; None for a plan with one, whose arrivals are all its load."""
    if len(plan.lanes) == 1:
        return None
    return tuple(
        OpenLane(lane.name, lane.flows, tuple(plan.flows[flow].steps[0].endpoint for flow in lane.flows))
        for lane in plan.lanes
        if lane.load.model == "open"
    )


def scenarios_in(flows: Sequence[Flow]) -> tuple[ScenarioSteps, ...]:
    """Return a scenario for each flow; none for a plan whose flows all have one step and no program.

    There an iteration is one request, and engines count no iterations.
    """
    if not any(flow.program or len(flow.steps) > 1 for flow in flows):
        return ()
    return tuple(ScenarioSteps(flow.name, tuple(dict.fromkeys(step.endpoint for step in flow.steps))) for flow in flows)
