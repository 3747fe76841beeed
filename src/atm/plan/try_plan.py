"""Derive the plan that sends one request per endpoint, for `atm try` and the dashboard's `Try one request`."""

from __future__ import annotations

from dataclasses import replace

from atm.plan.load_plan import Load, LoadPlan, Sampling, Segment

MOST_BODY_BYTES = 65_536
"""Limit of the body stored in a sample."""


def one_of_each(plan: LoadPlan) -> LoadPlan:
    """Return the plan that sends one request to each endpoint, in sequence."""
    return replace(
        plan,
        selection="sequential",
        load=Load("closed", (Segment(1, 1, None),)),
        total_requests=len(plan.flows),
        duration_ns=None,
        thresholds=(),
        sampling=Sampling(first_per_endpoint=1, failures_per_kind=0, slowest=0, body_bytes=MOST_BODY_BYTES),
    )
