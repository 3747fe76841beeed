"""Derive the plan of a trial, for `atm try` and the dashboard's dry run: each endpoint once, or one iteration of each
scenario."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from atm.plan.before_user import in_each_iteration
from atm.plan.load_plan import Flow, Lane, Load, LoadPlan, Sampling, Segment
from atm.plan.program import Op, ThinkOp

MOST_BODY_BYTES = 65_536
"""Limit of the body stored in a sample."""
LONGEST_THINK_NS = 200_000_000
"""Think time in a trial: long enough for a loop that polls, short enough for a person who waits."""


def one_of_each(plan: LoadPlan) -> LoadPlan:
    """Return the plan that sends one request to each endpoint, or runs one iteration of each scenario, in sequence.

    Scenarios in code have a lane each, as the users of a lane run one function; they run beside the others.
    """
    in_sequence = tuple(number for number, flow in enumerate(plan.flows) if flow.code is None)
    lanes = [_lane(plan.name, in_sequence)] if in_sequence else []
    lanes += [_lane(flow.name, (number,)) for number, flow in enumerate(plan.flows) if flow.code is not None]
    return replace(
        plan,
        flows=tuple(_without_waits(in_each_iteration(flow)) for flow in plan.flows),
        needs=tuple(need for need in plan.needs if need != "before_user"),
        lanes=tuple(lanes),
        thresholds=(),
        sampling=Sampling(
            first_per_endpoint=1,
            failures_per_kind=0,
            slowest=0,
            body_bytes=MOST_BODY_BYTES,
            first_iterations=1,
            failed_iterations=0,
            slowest_iterations=0,
        ),
    )


def places(plan: LoadPlan, endpoints: Iterable[str]) -> dict[str, int]:
    """Return the place of each endpoint of a trial: in the order of the plan, then by scenario in code.

    Code names its endpoints while it runs, beside others.
    """
    scenarios = [f"{flow.name}/" for flow in plan.flows if flow.code is not None]

    def scenario_of(name: str) -> int:
        return next((number for number, start in enumerate(scenarios) if name.startswith(start)), -1)

    return {name: place for place, name in enumerate(sorted(endpoints, key=scenario_of))}


def _lane(name: str, flows: tuple[int, ...]) -> Lane:
    return Lane(name, flows, "sequential", Load("closed", (Segment(1, 1, None),)), len(flows), None)


def _without_waits(flow: Flow) -> Flow:
    return replace(flow, program=tuple(_shortened(operation) for operation in flow.program), pace_ns=0)


def _shortened(operation: Op) -> Op:
    if not isinstance(operation, ThinkOp):
        return operation
    return ThinkOp("fixed", min(LONGEST_THINK_NS, max(operation.first_ns, operation.second_ns)))
