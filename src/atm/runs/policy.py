"""What a server lets the runs of others do: which variables a spec may read, which hosts it may load, and how hard.

The command line, run by the user for the user, has no such limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from atm.config import Settings
from atm.errors import Problem, SpecError
from atm.plan.compile import CompiledTest, compile_plan
from atm.plan.forecast import forecast, leads_to
from atm.plan.load_plan import LoadPlan
from atm.plan.targets import TargetRules

_CODE = "target_not_allowed"
_OFTEN_NS = 100_000_000
"""Names are looked up again no more often than this: name servers are no target."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits of one installation."""

    env_allow: tuple[str, ...] = ()
    targets: TargetRules = field(default_factory=TargetRules)
    max_rate: float | None = None
    max_users: int | None = None
    max_seconds: float | None = None
    max_requests: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """The limits that the settings name."""
        return cls(
            env_allow=settings.env_allow,
            targets=TargetRules.of(settings.allowed_targets),
            max_rate=settings.max_rate,
            max_users=settings.max_users,
            max_requests=settings.max_requests,
            max_seconds=settings.max_duration.total_seconds() if settings.max_duration else None,
        )

    def may_read(self, variable: str) -> bool:
        """Whether `{{env:…}}` may read this variable; `{{target:…}}` reads TARGET_… only, and always may."""
        return variable in self.env_allow or variable.startswith("TARGET_")

    def compile(self, spec: Mapping[str, Any], environment: Mapping[str, str], seed: int) -> CompiledTest:
        """Compile a spec under these limits. Raises SpecError with every problem of it; files are not read."""
        test = compile_plan(spec, environment, default_seed=seed, may_read=self.may_read)
        problems = [*self._beyond_caps(test.plan), *self._refused(test)]
        if problems:
            raise SpecError(problems)
        return self._held_to_caps(replace(test, plan=self._held_to_targets(test.plan)))

    def _held_to_caps(self, test: CompiledTest) -> CompiledTest:
        """What a spec leaves open is bounded by the caps as well: the rate of users, requests in flight, requests."""
        plan, load = test.plan, test.plan.load
        notes = list(test.notes)
        if load.model == "closed" and self.max_rate is not None and load.max_rate is None:
            load = replace(load, max_rate=self.max_rate)
            notes.append(_throttled(f"{self.max_rate:g} requests per second", "ATM_MAX_RATE"))
        if load.model == "open" and self.max_users is not None:
            load = replace(load, max_in_flight=min(load.max_in_flight or self.max_users, self.max_users))
        total = plan.total_requests
        if self.max_requests is not None and forecast(plan).most_requests is None:
            total = self.max_requests
            notes.append(_throttled(f"{self.max_requests:,} requests", "ATM_MAX_REQUESTS"))
        return replace(test, plan=replace(plan, load=load, total_requests=total), notes=tuple(notes))

    def _held_to_targets(self, plan: LoadPlan) -> LoadPlan:
        """The plan with the rules in it; an engine that finds addresses by itself must judge them by these."""
        finds_addresses = plan.connections.redirects > 0 or plan.connections.resolve_every_ns is not None
        return replace(
            plan,
            connections=replace(plan.connections, targets=self.targets),
            needs=(*plan.needs, "target_rules") if finds_addresses else plan.needs,
        )

    def _beyond_caps(self, plan: LoadPlan) -> list[Problem]:
        load, asked = plan.load, forecast(plan)
        problems = []
        if load.model == "open" and self.max_rate is not None and asked.peak > self.max_rate:
            problems.append(_cap("rate", f"{asked.peak:g} requests per second", f"{self.max_rate:g}", "ATM_MAX_RATE"))
        if load.model == "closed" and self.max_rate is not None and (load.max_rate or 0) > self.max_rate:
            what = f"{load.max_rate:g} requests per second"
            problems.append(_cap("max_rate", what, f"{self.max_rate:g}", "ATM_MAX_RATE"))
        if (
            self.max_requests is not None
            and asked.most_requests is not None
            and asked.most_requests > self.max_requests
        ):
            what, limit = f"{asked.most_requests:,} requests", f"{self.max_requests:,}"
            problems.append(_cap("total_requests", what, limit, "ATM_MAX_REQUESTS"))
        if load.model == "closed" and self.max_users is not None and asked.peak > self.max_users:
            problems.append(_cap("users", f"{asked.peak:g} users", str(self.max_users), "ATM_MAX_USERS"))
        if self.max_seconds is not None and asked.most_seconds is not None and asked.most_seconds > self.max_seconds:
            limit = f"{self.max_seconds:g} s"
            problems.append(_cap("duration", f"{asked.most_seconds:g} s", limit, "ATM_MAX_DURATION"))
        every_ns = plan.connections.resolve_every_ns
        if every_ns is not None and every_ns < _OFTEN_NS:
            what = f"names to be looked up every {every_ns / 1e9:g} s"
            problems.append(_cap("resolve_every", what, f"every {_OFTEN_NS / 1e9:g} s"))
        return problems

    def _refused(self, test: CompiledTest) -> list[Problem]:
        connections = test.plan.connections
        problems = [
            self._refused_host(host, path, through_proxy=connections.proxy is not None and path != "proxy")
            for path, host in leads_to(test)
        ]
        if connections.proxy is not None and connections.redirects and self.targets.judge_addresses:
            what = "a redirect through a proxy leads to names whose addresses this server cannot judge"
            problems.append(Problem(what, _CODE, path="redirects", hint="leave out redirects, or the proxy"))
        return list(dict.fromkeys(problem for problem in problems if problem is not None))

    def _refused_host(self, host: str, path: str, *, through_proxy: bool) -> Problem | None:
        refusal = self.targets.refusal_through_proxy(host) if through_proxy else self.targets.refusal_of_name(host)
        hint = "whoever runs the server may add it to ATM_ALLOWED_TARGETS"
        return Problem(refusal, _CODE, path=path, hint=hint) if refusal else None


def _throttled(limit: str, setting: str) -> Problem:
    return Problem(f"this server holds the test to {limit}", "throttled", hint=f"{setting} is its limit")


def _cap(path: str, asked: str, limit: str, setting: str = "") -> Problem:
    what = f"the test asks for {asked}, and this server allows {limit}"
    hint = f"ask for less, or have {setting} raised" if setting else "ask for less"
    return Problem(what, "beyond_cap", path=path, hint=hint)
