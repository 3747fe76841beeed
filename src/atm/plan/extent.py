"""How much a plan may do at most, and where it leads: what limits are held against. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from atm.models.auth import OAuth2ClientCredentials, OAuth2PasswordGrant
from atm.plan.compile import CompiledTest
from atm.plan.load_plan import LoadPlan, Origin


@dataclass(frozen=True, slots=True)
class Extent:
    """The bounds that follow from a plan alone, warm-up included; what the target does can only make it less."""

    peak: float
    """Users (closed), or arrivals per second (open)."""
    seconds: float | None
    """How long sending may take, without what drains; null when no time bounds it."""
    requests: int | None
    """How many may be started; null when only the target's speed bounds it."""


def extent(plan: LoadPlan) -> Extent:
    """The bounds of a plan."""
    load = plan.load
    peak = max([load.warm_up_level, *(level for each in load.segments for level in (each.start, each.end))])
    measured = _seconds(plan)
    warm_up = load.warm_up_ns / 1e9
    return Extent(peak, None if measured is None else warm_up + measured, _requests(plan, measured))


def _seconds(plan: LoadPlan) -> float | None:
    """The measured load, by its duration, its stages, or the arrivals that it needs for its total."""
    bounds = [] if plan.planned_ns is None else [plan.planned_ns / 1e9]
    if plan.load.model == "open" and plan.total_requests is not None:
        rate = plan.load.segments[-1].end
        if len(plan.load.segments) == 1 and plan.load.segments[0].start == rate > 0:
            bounds.append(plan.total_requests / rate)
    return min(bounds, default=None)


def _requests(plan: LoadPlan, measured: float | None) -> int | None:
    load = plan.load
    bounds = [plan.total_requests] if plan.total_requests is not None else []
    if load.model == "open":
        before: float | None = _most(load.warm_up_level * load.warm_up_ns / 1e9, load.arrival)
        if measured is not None:
            bounds.append(_most(_arrivals(plan, measured), load.arrival))
    else:
        before = 0.0 if not load.warm_up_ns else None
        if load.max_rate is not None:
            before = load.max_rate * load.warm_up_ns / 1e9
            if measured is not None:
                bounds.append(math.ceil(load.max_rate * measured))
    return None if before is None or not bounds else math.ceil(before) + min(bounds)


def _most(arrivals: float, arrival: str) -> int:
    """Random arrivals are sometimes more than their mean: six standard deviations, once in a thousand million runs."""
    return math.ceil(arrivals + 6 * math.sqrt(arrivals)) if arrival == "poisson" else math.ceil(arrivals)


def _arrivals(plan: LoadPlan, seconds: float) -> float:
    """The integral of the rate over so much of the measured load."""
    found, left = 0.0, seconds
    for each in plan.load.segments:
        length = math.inf if each.duration_ns is None else each.duration_ns / 1e9
        part = min(length, left)
        end = each.end if part >= length else each.start + (each.end - each.start) * part / length
        found += (each.start + end) / 2 * part
        left -= part
    return found


def leads_to(test: CompiledTest) -> Iterator[tuple[str, str]]:
    """Every host that the test would dial, each with the field of the spec that names it; a host may come twice.

    Redirects lead further: only the engine meets those hosts.
    """
    proxy = test.plan.connections.proxy
    origins: list[tuple[str, Origin]] = [("url", origin) for origin in test.plan.origins]
    if proxy:
        origins.append(("proxy", proxy.origin))
    for path, origin in origins:
        for host in dict.fromkeys((origin.host, origin.connect_host or origin.host)):
            yield ("connect_to" if host != origin.host else path), host
    for credential in test.credentials.values():
        if isinstance(credential, OAuth2ClientCredentials | OAuth2PasswordGrant):
            yield "auth.token_url", urlsplit(credential.token_url).hostname or ""


def concurrency_of(plan: LoadPlan) -> int | None:
    """What a list shows as concurrency: the most users, or in the open model the most requests in flight."""
    load = plan.load
    if load.model == "open":
        return load.max_in_flight
    return int(max(level for segment in load.segments for level in (segment.start, segment.end)))
