"""Derive the plan that sends one request per endpoint, for `atm try` and the dashboard's `Try one request`."""

from __future__ import annotations

from dataclasses import replace

from atm.plan.before_user import in_each_iteration
from atm.plan.load_plan import Lane, Load, LoadPlan, Sampling, Segment

MOST_BODY_BYTES = 65_536
"""Limit of the body stored in a sample."""


def one_of_each(plan: LoadPlan) -> LoadPlan:
    """Return the plan that sends one request to each endpoint, in sequence."""
    flows = tuple(range(len(plan.flows)))
    load = Load("closed", (Segment(1, 1, None),))
    return replace(
        plan,
        flows=tuple(in_each_iteration(flow) for flow in plan.flows),
        lanes=(Lane(plan.name, flows, "sequential", load, len(flows), None),),
        thresholds=(),
        sampling=Sampling(first_per_endpoint=1, failures_per_kind=0, slowest=0, body_bytes=MOST_BODY_BYTES),
    )
