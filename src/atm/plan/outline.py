"""The scenarios of a plan, as results name them."""

from __future__ import annotations

from atm.models.outline import ScenarioSteps
from atm.plan.load_plan import LoadPlan


def scenarios_of(plan: LoadPlan) -> tuple[ScenarioSteps, ...]:
    """Return a scenario for each flow; none for a plan whose flows all have one step and no program.

    There an iteration is one request, and engines count no iterations.
    """
    if not any(flow.program or len(flow.steps) > 1 for flow in plan.flows):
        return ()
    return tuple(
        ScenarioSteps(flow.name, tuple(dict.fromkeys(step.endpoint for step in flow.steps))) for flow in plan.flows
    )
