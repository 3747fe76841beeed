"""Forecast a plan: its duration, number of requests, load level over time, and hosts. Pure.

The engines use the exact schedule of `pacer.py`, built from the same segments; a forecast is for display, limits and
progress bars, so it uses floats instead of fractions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from atm.dataclass import dataclass
from atm.models.forecast import Forecast, ForecastPhase, LevelPoint, Phase
from atm.plan.connections import Origin
from atm.plan.load_plan import Lane, Load, LoadPlan, Segment
from atm.plan.longest_path import most_in_iteration

if TYPE_CHECKING:
    from atm.plan.compile import CompiledTest


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of a segment that the plan runs; times in seconds since the start of the run."""

    phase: Phase
    start: float
    end: float | None
    first: float
    last: float

    @property
    def points(self) -> list[LevelPoint]:
        corners = ((self.start, self.first), (self.end, self.last))
        return [LevelPoint(at, level) for at, level in corners if at is not None]

    def level(self, at: float) -> float:
        """Return the level at a time within the part."""
        if self.end is None or self.end == self.start:
            return self.first
        return self.first + (self.last - self.first) * (at - self.start) / (self.end - self.start)

    @property
    def arrivals(self) -> float:
        return 0.0 if self.end is None else (self.first + self.last) / 2 * (self.end - self.start)


def forecast(plan: LoadPlan) -> Forecast:
    """The forecast of a plan.

    For several lanes, `points` and `peak` are of the sum of their levels: arrivals per second of the open lanes, or
    users if no lane is open. Figures that one lane leaves open are None. For scenarios, `requests` are iterations.
    """
    forecasts = [_with_steps(lane_forecast(lane), most_in_iteration(plan.flows, lane)) for lane in plan.lanes]
    if len(forecasts) == 1:
        return forecasts[0]
    warm_up, planned = plan.warm_up_ns / 1e9, [ahead.total_seconds for ahead in forecasts]
    ends = _all_known(planned)
    shown = [lane for lane in plan.lanes if lane.load.model == "open"] or plan.lanes
    points = _sum_of_levels([part for lane in shown for part in _shown_parts(lane)])
    end = None if ends is None else max(ends)
    requests = _all_known([ahead.requests for ahead in forecasts])
    most_seconds = _all_known([ahead.most_seconds for ahead in forecasts])
    most_requests = _all_known([ahead.most_requests for ahead in forecasts])
    phases = [ForecastPhase(Phase.WARM_UP, 0.0, warm_up)] if warm_up else []
    return Forecast(
        warm_up_seconds=warm_up,
        seconds=None if end is None else end - warm_up,
        requests=None if requests is None else sum(requests),
        peak=max((point.level for point in points), default=0.0),
        points=points,
        phases=[*phases, ForecastPhase(Phase.LOAD, warm_up, end)],
        most_seconds=None if most_seconds is None else max(most_seconds),
        most_requests=None if most_requests is None else sum(most_requests),
    )


def _with_steps(ahead: Forecast, most: int) -> Forecast:
    """Return the forecast of a lane whose iterations send `most` requests at most."""
    return ahead if ahead.most_requests is None else replace(ahead, most_requests=ahead.most_requests * most)


_Number = TypeVar("_Number", int, float)


def _all_known(values: Sequence[_Number | None]) -> list[_Number] | None:
    present = [value for value in values if value is not None]
    return present if len(present) == len(values) else None


def _sum_of_levels(parts: Sequence[_Part]) -> list[LevelPoint]:
    """Return the corners of the sum of all parts, whose levels are 0 before and after them."""
    times = sorted({0.0, *(at for part in parts for at in (part.start, part.end) if at is not None)})
    points: list[LevelPoint] = []
    for at in times:
        before = sum(part.level(at) for part in parts if part.start < at and (part.end is None or at <= part.end))
        after = sum(part.level(at) for part in parts if part.start <= at and (part.end is None or at < part.end))
        points += [LevelPoint(at, before)] if at > 0 else []
        if not points or after != before:
            points.append(LevelPoint(at, after))
    if points and points[-1].level == 0 and len(points) > 1 and points[-2].at == points[-1].at:
        points.pop()
    return points


def load_of(spec: Mapping[str, Any]) -> tuple[Load, int | None, Forecast] | None:
    """Return load, total and forecast of a spec, even if other parts are invalid; None if it cannot be read.

    None for scenarios, too.
    """
    from atm.models.fields import Findings
    from atm.models.spec import TestSpec
    from atm.plan.load import compile_load, nanoseconds, total_requests

    findings = Findings()
    read = TestSpec.read(spec, (), findings)
    if read.scenarios:
        # Each scenario has a load, or a share of one: only the plan tells their sum.
        return None
    load = compile_load(read, findings)
    if any(findings.touch(name) for name in _DECIDING):
        return None
    duration = None if read.duration is None else nanoseconds(read.duration)
    total = total_requests(read)
    return load, total, lane_forecast(Lane("", (), "round_robin", load, total, duration))


_DECIDING = ("load", "duration", "duration_seconds", "total_requests", "requests_per_second", "concurrency")
"""The spec fields that a forecast depends on."""


def lane_forecast(lane: Lane) -> Forecast:
    """The forecast of one lane, with times since the start of the run; up to its own start it warms up."""
    warm_up = lane.measured_from_ns / 1e9
    parts = _parts(lane, warm_up)
    end = parts[-1].end if parts else warm_up
    seconds = None if end is None else end - warm_up
    arrivals = sum(part.arrivals for part in parts)
    shown = _shown_parts(lane)
    points = [point for part in shown for point in part.points]
    return Forecast(
        warm_up_seconds=warm_up,
        seconds=seconds,
        requests=_requests(lane, seconds, arrivals),
        peak=max((point.level for point in points), default=0.0),
        points=points,
        phases=[ForecastPhase(part.phase, part.start, part.end) for part in shown],
        most_seconds=None if seconds is None else warm_up + seconds,
        most_requests=_most_requests(lane, seconds, arrivals),
    )


def _shown_parts(lane: Lane) -> list[_Part]:
    load, measured_from = lane.load, lane.measured_from_ns / 1e9
    parts = _parts(lane, measured_from)
    if not load.warm_up_ns:
        return parts
    level = load.warm_up_level
    return [_Part(Phase.WARM_UP, lane.start_ns / 1e9, measured_from, level, level), *parts]


def _parts(lane: Lane, warm_up: float) -> list[_Part]:
    """Return the segments up to the lane's first end: duration, stages, or an open load's last arrival."""
    limit = math.inf if lane.duration_ns is None else lane.duration_ns / 1e9
    left = lane.total if lane.load.model == "open" and lane.total is not None else math.inf
    is_flat = len(lane.load.segments) == 1 and lane.load.segments[0].start == lane.load.segments[0].end
    parts: list[_Part] = []
    at = 0.0
    for segment in lane.load.segments:
        if at >= limit or left <= 1e-9:
            break
        whole = math.inf if segment.duration_ns is None else segment.duration_ns / 1e9
        length = min(whole, limit - at, _time_for(segment, whole, left))
        start = warm_up + at
        phase = Phase.LOAD if is_flat else _phase(segment)
        if math.isinf(length):
            return [*parts, _Part(phase, start, None, segment.start, segment.end)]
        share = length / whole if whole and not math.isinf(whole) else 0.0
        part = _Part(phase, start, start + length, segment.start, segment.start + (segment.end - segment.start) * share)
        parts.append(part)
        left -= part.arrivals
        at += length
    return parts


def _phase(segment: Segment) -> Phase:
    if segment.duration_ns is None or segment.start == segment.end:
        return Phase.HOLD
    return Phase.RAMP_UP if segment.end > segment.start else Phase.RAMP_DOWN


def _time_for(segment: Segment, whole: float, arrivals: float) -> float:
    """Return the seconds into a segment at which `arrivals` are reached; infinite if never."""
    if math.isinf(arrivals):
        return math.inf
    slope = 0.0 if math.isinf(whole) or not whole else (segment.end - segment.start) / whole
    if slope == 0.0:
        return arrivals / segment.start if segment.start else math.inf
    # a·t + k·t²/2 = arrivals; a ramp down may never reach it.
    root = segment.start * segment.start + 2 * slope * arrivals
    return math.inf if root < 0 else 2 * arrivals / (segment.start + math.sqrt(root))


def _requests(lane: Lane, seconds: float | None, arrivals: float) -> int | None:
    bounds = [] if lane.total is None else [lane.total]
    if lane.load.model == "open" and seconds is not None:
        bounds.append(round(arrivals))
    return min(bounds, default=None)


def _most_requests(lane: Lane, seconds: float | None, arrivals: float) -> int | None:
    load = lane.load
    bounds = [] if lane.total is None else [lane.total]
    before: float | None
    if load.model == "open":
        before = _most(load.warm_up_level * load.warm_up_ns / 1e9, load.arrival)
        if seconds is not None:
            bounds.append(_most(arrivals, load.arrival))
    elif load.max_rate is not None:
        before = load.max_rate * load.warm_up_ns / 1e9
        if seconds is not None:
            bounds.append(math.ceil(load.max_rate * seconds))
    else:
        before = None if load.warm_up_ns else 0.0
    return None if before is None or not bounds else math.ceil(before) + min(bounds)


def _most(arrivals: float, arrival: str) -> int:
    """Add six standard deviations for random arrivals; their number exceeds that once in a billion runs."""
    # Round first: 1499.9999999999998 instead of 1,500 is a floating-point artefact.
    mean = round(arrivals, 6)
    return math.ceil(mean + 6 * math.sqrt(mean)) if arrival == "poisson" else math.ceil(mean)


def most_at_once(load: Load) -> int | None:
    """Return the most requests in flight: for a closed load its users; None if the engine decides."""
    if load.model == "open":
        return load.max_in_flight
    return max(1, int(max(max(segment.start, segment.end) for segment in load.segments) + 0.5))


def leads_to(test: CompiledTest) -> Iterator[tuple[str, str]]:
    """Return every host that the test dials, with the spec field that names it; a host may occur twice.

    Hosts reached only by redirects are unknown before the run.
    """
    from urllib.parse import urlsplit

    from atm.models.auth import OAuth2ClientCredentials, OAuth2PasswordGrant

    proxy = test.plan.connections.proxy
    origins: list[tuple[str, Origin]] = [("url", origin) for origin in test.plan.origins]
    for hook in (test.setup, test.teardown):
        origins += [(hook.name, origin) for origin in hook.plan.origins] if hook else []
    if proxy:
        origins.append(("proxy", proxy.origin))
    for path, origin in origins:
        for host in dict.fromkeys((origin.host, origin.connect_host or origin.host)):
            yield ("connect_to" if host != origin.host else path), host
    for credential in test.credentials.values():
        if isinstance(credential, OAuth2ClientCredentials | OAuth2PasswordGrant):
            yield "auth.token_url", urlsplit(credential.token_url).hostname or ""


def concurrency_of(plan: LoadPlan) -> int | None:
    """Return the concurrency for lists: the most users, or in the open model the most requests in flight.

    Of several lanes the sum; None if one of them has no limit.
    """
    limits = [_concurrency(lane.load) for lane in plan.lanes]
    all_limits = _all_known(limits)
    return None if all_limits is None else sum(all_limits)


def _concurrency(load: Load) -> int | None:
    if load.model == "open":
        return load.max_in_flight
    return int(max(level for segment in load.segments for level in (segment.start, segment.end)))


def most_in_flight(plan: LoadPlan) -> int | None:
    """Return the most requests in flight of all lanes; None if the engine decides for one of them."""
    all_limits = _all_known([most_at_once(lane.load) for lane in plan.lanes])
    return None if all_limits is None else sum(all_limits)
