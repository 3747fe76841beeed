"""The scenarios and test data of a plan, as results name them."""

from __future__ import annotations

from collections.abc import Sequence

from atm.models.outline import DataSource, ScenarioSteps
from atm.plan.load_plan import Flow, LoadPlan


def scenarios_of(plan: LoadPlan) -> tuple[ScenarioSteps, ...]:
    """Return the scenarios of a plan."""
    return scenarios_in(plan.flows)


def data_in(plan: LoadPlan) -> tuple[DataSource, ...]:
    """Return the test data of a plan."""
    return tuple(DataSource(table.name, table.rows) for table in plan.data)


def scenarios_in(flows: Sequence[Flow]) -> tuple[ScenarioSteps, ...]:
    """Return a scenario for each flow; none for a plan whose flows all have one step and no program.

    There an iteration is one request, and engines count no iterations.
    """
    if not any(flow.program or len(flow.steps) > 1 for flow in flows):
        return ()
    return tuple(ScenarioSteps(flow.name, tuple(dict.fromkeys(step.endpoint for step in flow.steps))) for flow in flows)
