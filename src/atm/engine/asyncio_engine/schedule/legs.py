"""Divide a lane into legs: one for all flows, or with `sequential` one per flow, separated by barriers."""

from __future__ import annotations

from atm.dataclass import dataclass
from atm.models.outcome import StopReason
from atm.plan.load_plan import Lane, LoadPlan
from atm.plan.randomness import lane_seed
from atm.plan.selection import EndpointSelector, round_robin, sequential_shares, weighted


@dataclass(frozen=True, slots=True)
class Leg:
    """Measured requests up to a number or a time, whichever comes first."""

    flow: int | None
    """The only flow of this leg; None = the lane's selection."""
    count: int | None
    end_ns: int | None
    """Since the lane's time zero, without barrier time."""
    time_reason: StopReason
    """The stop reason if `end_ns` is reached in the last leg."""


def legs_of(lane: Lane) -> list[Leg]:
    """Return the legs of a lane in order; at least one. Warm-up belongs to none of them."""
    warm_up = lane.load.warm_up_ns
    durations = [segment.duration_ns for segment in lane.load.segments]
    stages = None if durations[-1] is None else sum(duration or 0 for duration in durations)
    reason = StopReason.STAGES
    end = stages
    if lane.duration_ns is not None and (stages is None or lane.duration_ns <= stages):
        reason = StopReason.DURATION
        end = lane.duration_ns
    at = None if end is None else warm_up + end
    flows = lane.flows
    total = lane.total
    if lane.selection != "sequential" or len(flows) == 1:
        return [Leg(flows[0] if len(flows) == 1 else None, total, at, reason)]
    if total is not None:
        shares = zip(flows, sequential_shares(total, len(flows)), strict=True)
        return [Leg(flow, share, at, reason) for flow, share in shares if share]
    if end is None:
        return [Leg(None, None, None, reason)]
    ends = [warm_up + end * (position + 1) // len(flows) for position in range(len(flows))]
    return [Leg(flow, None, flow_end, reason) for flow, flow_end in zip(flows, ends, strict=True)]


def selector_of(plan: LoadPlan, lane: int) -> EndpointSelector:
    """Return the function that selects the flow of iteration n of a lane, by the lane's index.

    With `sequential`, warm-up alternates between flows.
    """
    flows, selection = plan.lanes[lane].flows, plan.lanes[lane].selection
    if selection == "weighted":
        select = weighted(lane_seed(plan.seed, lane), [plan.flows[flow].weight for flow in flows])
    else:
        select = round_robin(len(flows))
    if flows == tuple(range(len(flows))):
        return select
    return lambda number: flows[select(number)]
