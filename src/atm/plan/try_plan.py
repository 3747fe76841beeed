"""From a plan to one request of each endpoint: what `atm try` and the dashboard's `Try one request` send."""

from __future__ import annotations

from dataclasses import replace

from atm.plan.load_plan import Load, LoadPlan, Sampling, Segment

MOST_BODY_BYTES = 65_536
"""So much of each body is kept."""


def one_of_each(plan: LoadPlan) -> LoadPlan:
    """The plan that sends one request to each endpoint, one after the other."""
    return replace(
        plan,
        selection="sequential",
        load=Load("closed", (Segment(1, 1, None),)),
        total_requests=len(plan.flows),
        duration_ns=None,
        thresholds=(),
        sampling=Sampling(first_per_endpoint=1, failures_per_kind=0, slowest=0, body_bytes=MOST_BODY_BYTES),
    )
