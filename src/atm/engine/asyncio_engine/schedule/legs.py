"""Divide a run into legs: one for all flows, or with `sequential` one per flow, separated by barriers."""

from __future__ import annotations

from dataclasses import dataclass

from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan
from atm.plan.selection import EndpointSelector, round_robin, sequential_shares, weighted


@dataclass(frozen=True, slots=True)
class Leg:
    """Measured requests up to a number or a time, whichever comes first."""

    flow: int | None
    """The only flow of this leg; None = the plan's selection."""
    count: int | None
    end_ns: int | None
    """Since the start of the run, without barrier time."""
    time_reason: StopReason
    """The stop reason if `end_ns` is reached in the last leg."""


def legs_of(plan: LoadPlan) -> list[Leg]:
    """Return the legs of a plan in order; at least one. Warm-up belongs to none of them."""
    warm_up = plan.load.warm_up_ns
    durations = [segment.duration_ns for segment in plan.load.segments]
    stages = None if durations[-1] is None else sum(duration or 0 for duration in durations)
    reason = StopReason.STAGES
    end = stages
    if plan.duration_ns is not None and (stages is None or plan.duration_ns <= stages):
        reason = StopReason.DURATION
        end = plan.duration_ns
    at = None if end is None else warm_up + end
    flows = len(plan.flows)
    total = plan.total_requests
    if plan.selection != "sequential" or flows == 1:
        return [Leg(0 if flows == 1 else None, total, at, reason)]
    if total is not None:
        shares = enumerate(sequential_shares(total, flows))
        return [Leg(flow, share, at, reason) for flow, share in shares if share]
    if end is None:
        return [Leg(None, None, None, reason)]
    return [Leg(flow, None, warm_up + end * (flow + 1) // flows, reason) for flow in range(flows)]


def selector_of(plan: LoadPlan) -> EndpointSelector:
    """Return the function that selects the flow of request n; with `sequential`, warm-up alternates between flows."""
    if plan.selection == "weighted":
        return weighted(plan.seed, [flow.weight for flow in plan.flows])
    return round_robin(len(plan.flows))
