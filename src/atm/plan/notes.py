"""Notes on allowed but probably unintended plans: a duration beside stages, windows that are never judged. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from atm.dataclass import dataclass
from atm.models import figures
from atm.models.metric import METRICS
from atm.models.threshold import Threshold
from atm.plan.load_plan import Lane, LoadPlan
from atm.plan.outline import scenarios_of


@dataclass(frozen=True, slots=True)
class PlanNote:
    """A note about a plan."""

    path: tuple[str, ...]
    what: str
    code: str
    hint: str


def plan_notes(plan: LoadPlan) -> Iterator[PlanNote]:
    """Return every note about a plan."""
    for lane in plan.lanes:
        yield from _length(lane)
    for threshold in plan.thresholds:
        yield from _window(plan, threshold)


def _length(lane: Lane) -> Iterator[PlanNote]:
    lengths = [segment.duration_ns for segment in lane.load.segments if segment.duration_ns is not None]
    if lane.duration_ns is None or not lengths or len(lengths) < len(lane.load.segments):
        return
    staged, duration = figures.planned(sum(lengths) / 1e9), figures.planned(lane.duration_ns / 1e9)
    hint = "Remove `duration`: stages define their own length"
    if lane.duration_ns < sum(lengths):
        what = f"the stages take {staged}, and duration ends the run after {duration}"
        yield PlanNote(("duration",), what, "duration_and_stages", hint)
    elif lane.duration_ns > sum(lengths):
        what = f"duration is {duration}, but the stages end after {staged}, and so does the run"
        yield PlanNote(("duration",), what, "duration_and_stages", hint)


def _window(plan: LoadPlan, threshold: Threshold) -> Iterator[PlanNote]:
    if threshold.window_seconds is None:
        return
    window = threshold.window_seconds
    length = plan.planned_ns
    ends = f'the threshold "{threshold.expression}" can never be judged, so it will fail with "no data"'
    if length is not None and length < window * 1_000_000_000:
        lasts = figures.planned(length / 1e9)
        what = f"{ends}: the run lasts {lasts}, and its window {figures.planned(window)}"
        yield PlanNote(("thresholds",), what, "window_never_judged", "Make the run longer, or the window shorter")
        return
    # How many requests an iteration sends, the target decides.
    most = None if scenarios_of(plan) else _most_samples(plan, threshold, window)
    if not METRICS[threshold.metric].is_rate and most is not None and most < threshold.min_samples:
        most_requests = figures.counted(round(most), "request")
        what = f"{ends}: {most_requests} at most in {figures.planned(window)}, and min_samples is "
        hint = "Lower `min_samples`, raise the load, or judge a longer window"
        yield PlanNote(("thresholds",), f"{what}{threshold.min_samples}", "window_never_judged", hint)


def _most_samples(plan: LoadPlan, threshold: Threshold, window: int) -> float | None:
    """Return the most requests that a threshold's window can have on average; None if the target decides."""
    shares = [_most_of_lane(plan, lane, threshold, window) for lane in plan.lanes]
    determined = [share for share in shares if share is not None]
    return sum(determined) if len(determined) == len(shares) else None


def _most_of_lane(plan: LoadPlan, lane: Lane, threshold: Threshold, window: int) -> float | None:
    if any(flow.counts_iterations for flow in plan.flows):
        # An iteration may send any number of requests.
        return None
    bounds = [] if lane.total is None else [float(lane.total)]
    if lane.load.model == "open":
        peak = max(max(segment.start, segment.end) for segment in lane.load.segments)
        bounds.append(peak * window)
    elif lane.load.max_rate is not None:
        bounds.append(lane.load.max_rate * window)
    return min(bounds) * _share(plan, lane, threshold.endpoint) if bounds else None


def _share(plan: LoadPlan, lane: Lane, endpoint: int | None) -> float:
    """Return an endpoint's share of a lane's requests in any period; 1 where endpoints run sequentially."""
    if endpoint is not None and endpoint not in lane.flows:
        return 0.0
    if endpoint is None or lane.selection == "sequential":
        return 1.0
    if lane.selection == "round_robin":
        return 1 / len(lane.flows)
    return plan.flows[endpoint].weight / sum(plan.flows[flow].weight for flow in lane.flows)
