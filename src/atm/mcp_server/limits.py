"""Limits on the load and the targets of agents. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from atm.config import Settings
from atm.dataclass import dataclass
from atm.models import figures
from atm.models.control.specs import PlanView


@dataclass(frozen=True, slots=True)
class Demand:
    """Upper bounds of a run; None where unbounded or bounded only by the target's speed."""

    rate: float | None
    """Requests per second; None in the closed model."""
    users: float | None
    """None in the open model."""
    seconds: float | None
    requests: int | None

    @classmethod
    def of(cls, plan: PlanView) -> Demand:
        """Return the demand of a plan."""
        peaks = [(lane.model, lane.peak, lane.requests_per_iteration) for lane in plan.lanes]
        peaks = peaks or [("open" if plan.model == "open" else "closed", plan.peak, 1)]
        rates = [peak * requests for model, peak, requests in peaks if model == "open"]
        users = [peak for model, peak, _ in peaks if model != "open"]
        return cls(sum(rates) if rates else None, sum(users) if users else None, plan.most_seconds, plan.most_requests)

    def times(self, count: int) -> Repeated:
        """Return this demand repeated `count` times per hour."""
        return Repeated(self, count)


@dataclass(frozen=True, slots=True)
class Repeated:
    """A run repeated within an hour."""

    demand: Demand
    count: int


@dataclass(frozen=True, slots=True)
class Used:
    """Use by agents within the last hour."""

    runs: int = 0
    requests: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Excess:
    """A limit that a run would exceed."""

    what: str
    """`the rate`, `the requests of an hour`."""
    requested: str
    limit: str
    setting: str
    """The environment variable that holds the limit."""

    def __str__(self) -> str:
        return f"{self.what}: {self.requested}, limit {self.limit}"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one MCP server."""

    rate: float
    users: int
    seconds: float
    requests: int
    hourly_runs: int
    hourly_requests: int
    hourly_seconds: float
    targets: tuple[str, ...]
    read_only: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return the limits of the settings."""
        return cls(
            rate=settings.mcp_max_rate,
            users=settings.mcp_max_users,
            seconds=settings.mcp_max_duration.total_seconds(),
            requests=settings.mcp_max_requests,
            hourly_runs=settings.mcp_hourly_runs,
            hourly_requests=settings.mcp_hourly_requests,
            hourly_seconds=settings.mcp_hourly_duration.total_seconds(),
            targets=settings.mcp_allowed_targets,
            read_only=settings.mcp_read_only,
        )

    def may_load(self, host: str) -> bool:
        """Whether a host is on the list of targets. Names are compared as text; what they resolve to is trusted."""
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            plain = host.lower().rstrip(".")
            return any(fnmatchcase(plain, entry.lower().rstrip(".")) for entry in self.targets)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any(_holds(entry, mapped or address) for entry in self.targets)

    def bounded(self, spec: Mapping[str, Any], plan: PlanView) -> dict[str, Any]:
        """Return the spec with the limits of a call in each dimension (requests, time) that it does not bound.

        A closed load without a total is bounded in requests, too: a fast target would get any number of them.
        """
        ends: dict[str, Any] = {}
        if plan.most_requests is None and "total_requests" not in spec:
            # Of scenarios, it counts iterations.
            longest = max((lane.requests_per_iteration for lane in plan.lanes), default=1)
            ends["total_requests"] = max(self.requests // longest, 1)
        if plan.most_seconds is None and "duration" not in spec and "duration_seconds" not in spec:
            ends["duration"] = self.seconds
            if plan.total_requests is not None and "total_requests" not in spec:
                # The default total applies only to a spec without any end, so keep it explicitly.
                ends["total_requests"] = plan.total_requests
        return {**spec, **ends}

    def excess_of_call(self, demand: Demand) -> list[Excess]:
        """Return every limit of a call that the run would exceed."""
        excess = []
        if demand.rate is not None and demand.rate > self.rate:
            requested = f"{figures.rate(demand.rate)} requests/s"
            excess.append(Excess("the rate", requested, f"{figures.rate(self.rate)} requests/s", "ATM_MCP_MAX_RATE"))
        if demand.users is not None and demand.users > self.users:
            requested = figures.counted(round(demand.users), "user")
            excess.append(Excess("the users", requested, figures.counted(self.users, "user"), "ATM_MCP_MAX_USERS"))
        if demand.seconds is None or demand.seconds > self.seconds:
            requested = "no end" if demand.seconds is None else figures.planned(demand.seconds)
            excess.append(Excess("the duration", requested, figures.planned(self.seconds), "ATM_MCP_MAX_DURATION"))
        if demand.requests is None or demand.requests > self.requests:
            requested = "no end" if demand.requests is None else figures.count(demand.requests)
            excess.append(
                Excess("the number of requests", requested, figures.count(self.requests), "ATM_MCP_MAX_REQUESTS")
            )
        return excess

    def excess_of_hour(self, planned: Demand | Repeated, used: Used) -> list[Excess]:
        """Return every hourly limit that the run, or its repetitions, would exceed on top of `used`."""
        demand, count = (planned.demand, planned.count) if isinstance(planned, Repeated) else (planned, 1)
        requests = used.requests + count * (demand.requests if demand.requests is not None else self.requests)
        seconds = used.seconds + count * (demand.seconds if demand.seconds is not None else self.seconds)
        excess = []
        if used.runs + count > self.hourly_runs:
            requested = figures.count(used.runs + count)
            limit = figures.count(self.hourly_runs)
            excess.append(Excess("the runs of an hour", requested, limit, "ATM_MCP_HOURLY_RUNS"))
        if requests > self.hourly_requests:
            requested, limit = figures.count(requests), figures.count(self.hourly_requests)
            excess.append(Excess("the requests of an hour", requested, limit, "ATM_MCP_HOURLY_REQUESTS"))
        if seconds > self.hourly_seconds:
            requested, limit = figures.planned(seconds), figures.planned(self.hourly_seconds)
            excess.append(Excess("the time under load in an hour", requested, limit, "ATM_MCP_HOURLY_DURATION"))
        return excess

    def in_words(self) -> str:
        """Describe the limits of a call and of an hour."""
        call = (
            f"{figures.rate(self.rate)} requests/s, {figures.count(self.users)} users, "
            f"{figures.planned(self.seconds)}, {figures.count(self.requests)} requests"
        )
        hour = (
            f"{figures.count(self.hourly_runs)} runs, {figures.count(self.hourly_requests)} requests, "
            f"{figures.planned(self.hourly_seconds)} under load"
        )
        return f"per call at most {call}; per hour {hour}"


def _holds(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if entry == "*":
        return True
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
