"""How much an agent may start by itself, and where it may lead. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from atm.config import Settings
from atm.models import figures
from atm.models.control.specs import PlanView


@dataclass(frozen=True, slots=True)
class Demand:
    """What a run may come to at most; null: nothing but the target's speed, or nothing at all, bounds it."""

    rate: float | None
    """Arrivals per second; null in the closed model, where it results."""
    users: float | None
    """Null in the open model."""
    seconds: float | None
    requests: int | None

    @classmethod
    def of(cls, plan: PlanView) -> Demand:
        """What a plan asks for."""
        is_open = plan.model == "open"
        return cls(
            plan.peak if is_open else None, None if is_open else plan.peak, plan.most_seconds, plan.most_requests
        )

    def times(self, count: int) -> Repeated:
        """The same so many times within an hour."""
        return Repeated(self, count)


@dataclass(frozen=True, slots=True)
class Repeated:
    """A run, so many times within an hour."""

    demand: Demand
    count: int


@dataclass(frozen=True, slots=True)
class Used:
    """What agents have started within the last hour."""

    runs: int = 0
    requests: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Excess:
    """One limit that a run would go beyond."""

    what: str
    """`the rate`, `the requests of an hour`."""
    asked: str
    limit: str
    setting: str
    """The environment variable that holds the limit."""

    def __str__(self) -> str:
        return f"{self.what}: {self.asked}, limit {self.limit}"


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
        """The limits that the settings name."""
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
        """Whether this host is on the list. A name is taken by its spelling: whoever lists it trusts where it leads."""
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            plain = host.lower().rstrip(".")
            return any(fnmatchcase(plain, entry.lower().rstrip(".")) for entry in self.targets)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any(_holds(entry, mapped or address) for entry in self.targets)

    def bounded(self, spec: Mapping[str, Any], plan: PlanView) -> dict[str, Any]:
        """The spec with an end for each dimension that has none: the limits of one call, as its own fields.

        A closed load without a total may start as many requests as the target answers: that must have an end too.
        """
        ends: dict[str, Any] = {}
        if plan.most_requests is None and "total_requests" not in spec:
            ends["total_requests"] = self.requests
        if plan.most_seconds is None and "duration" not in spec and "duration_seconds" not in spec:
            ends["duration"] = self.seconds
            if plan.total_requests is not None and "total_requests" not in spec:
                # The total that a spec gets by default, it gets only while it names no other end.
                ends["total_requests"] = plan.total_requests
        return {**spec, **ends}

    def excess_of_call(self, demand: Demand) -> list[Excess]:
        """Every limit of one call that the run would go beyond."""
        found = []
        if demand.rate is not None and demand.rate > self.rate:
            asked = f"{figures.rate(demand.rate)} requests/s"
            found.append(Excess("the rate", asked, f"{figures.rate(self.rate)} requests/s", "ATM_MCP_MAX_RATE"))
        if demand.users is not None and demand.users > self.users:
            asked = f"{figures.count(round(demand.users))} users"
            found.append(Excess("the users", asked, f"{figures.count(self.users)} users", "ATM_MCP_MAX_USERS"))
        if demand.seconds is None or demand.seconds > self.seconds:
            asked = "no end" if demand.seconds is None else figures.planned(demand.seconds)
            found.append(Excess("the duration", asked, figures.planned(self.seconds), "ATM_MCP_MAX_DURATION"))
        if demand.requests is None or demand.requests > self.requests:
            asked = "no end" if demand.requests is None else figures.count(demand.requests)
            found.append(Excess("the number of requests", asked, figures.count(self.requests), "ATM_MCP_MAX_REQUESTS"))
        return found

    def excess_of_hour(self, wanted: Demand | Repeated, used: Used) -> list[Excess]:
        """Every limit of an hour that the run, or its repetitions, would go beyond, after what was used of it."""
        demand, count = (wanted.demand, wanted.count) if isinstance(wanted, Repeated) else (wanted, 1)
        requests = used.requests + count * (demand.requests if demand.requests is not None else self.requests)
        seconds = used.seconds + count * (demand.seconds if demand.seconds is not None else self.seconds)
        found = []
        if used.runs + count > self.hourly_runs:
            asked = figures.count(used.runs + count)
            limit = figures.count(self.hourly_runs)
            found.append(Excess("the runs of an hour", asked, limit, "ATM_MCP_HOURLY_RUNS"))
        if requests > self.hourly_requests:
            asked, limit = figures.count(requests), figures.count(self.hourly_requests)
            found.append(Excess("the requests of an hour", asked, limit, "ATM_MCP_HOURLY_REQUESTS"))
        if seconds > self.hourly_seconds:
            asked, limit = figures.planned(seconds), figures.planned(self.hourly_seconds)
            found.append(Excess("the time under load in an hour", asked, limit, "ATM_MCP_HOURLY_DURATION"))
        return found

    def in_words(self) -> str:
        """The limits of one call and of an hour, for whoever plans a test."""
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
