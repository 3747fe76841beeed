"""The scenarios, the open lanes and the test data of a plan, as results name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from atm.models.outline import DataSource, OpenLane, ScenarioSteps
from atm.plan.before_user import steps_before
from atm.plan.forecast import lane_forecast
from atm.plan.load_plan import Flow, Lane, LoadPlan


def scenarios_of(plan: LoadPlan) -> tuple[ScenarioSteps, ...]:
    """Return the scenarios of a plan."""
    lane_of = {flow: lane for lane in plan.lanes for flow in lane.flows}
    has_hooks = plan.hooks is not None
    return tuple(
        replace(_in_lane(scenario, lane_of[flow]), has_hooks=has_hooks)
        for flow, scenario in enumerate(scenarios_in(plan.flows))
    )


def _in_lane(scenario: ScenarioSteps, lane: Lane) -> ScenarioSteps:
    ahead = lane_forecast(lane)
    return replace(
        scenario,
        is_open=lane.load.model == "open",
        measured_from=ahead.warm_up_seconds,
        measured_until=ahead.total_seconds,
    )


def data_in(plan: LoadPlan) -> tuple[DataSource, ...]:
    """Return the test data of a plan."""
    return tuple(DataSource(table.name, table.rows, table.per != "use") for table in plan.data)


def lanes_of(plan: LoadPlan) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the index of the lane of each flow, and of each endpoint."""
    flows = {flow: index for index, lane in enumerate(plan.lanes) for flow in lane.flows}
    endpoints = {step.endpoint: flows[index] for index, flow in enumerate(plan.flows) for step in flow.steps}
    return (
        tuple(flows[flow] for flow in range(len(plan.flows))),
        # A step that no flow sends has no figures.
        tuple(endpoints.get(endpoint, 0) for endpoint in range(len(plan.endpoints))),
    )


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
    if not any(flow.counts_iterations for flow in flows):
        return ()
    return tuple(_scenario(flow) for flow in flows)


def _scenario(flow: Flow) -> ScenarioSteps:
    before = steps_before(flow)
    steps = dict.fromkeys(step.endpoint for index, step in enumerate(flow.steps) if index not in before)
    before_user = dict.fromkeys(step.endpoint for index, step in enumerate(flow.steps) if index in before)
    return ScenarioSteps(flow.name, tuple(steps), before_user=tuple(before_user), is_code=flow.code is not None)
