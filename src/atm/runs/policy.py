"""Limits for runs started over the API: allowed environment variables, allowed targets, maximum load.

The command line, which users run themselves, has no such limits.
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
"""Shortest interval for re-resolving names, so that a spec cannot load the name servers."""


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
        """Return the limits from the settings."""
        return cls(
            env_allow=settings.env_allow,
            targets=TargetRules.of(settings.allowed_targets),
            max_rate=settings.max_rate,
            max_users=settings.max_users,
            max_requests=settings.max_requests,
            max_seconds=settings.max_duration.total_seconds() if settings.max_duration else None,
        )

    def may_read(self, variable: str) -> bool:
        """Return whether `{{env:…}}` may read this variable; `{{target:…}}` reads only TARGET_…, always allowed."""
        return variable in self.env_allow or variable.startswith("TARGET_")

    def compile(self, spec: Mapping[str, Any], environment: Mapping[str, str], seed: int) -> CompiledTest:
        """Compile a spec under these limits, without reading files. Raises SpecError with all problems."""
        test = compile_plan(spec, environment, default_seed=seed, may_read=self.may_read)
        problems = [*self._beyond_caps(test.plan), *self._refused(test)]
        if problems:
            raise SpecError(problems)
        return self._capped(replace(test, plan=self._with_target_rules(test.plan)))

    def _capped(self, test: CompiledTest) -> CompiledTest:
        """Apply the caps where the spec sets no limit: rate of a closed model, requests in flight, total requests."""
        plan, lane = test.plan, test.plan.lanes[0]
        load, total = lane.load, lane.total
        notes = list(test.notes)
        if load.model == "closed" and self.max_rate is not None and load.max_rate is None:
            load = replace(load, max_rate=self.max_rate)
            notes.append(_throttled(f"{self.max_rate:g} requests per second", "ATM_MAX_RATE"))
        if load.model == "open" and self.max_users is not None:
            load = replace(load, max_in_flight=min(load.max_in_flight or self.max_users, self.max_users))
        if self.max_requests is not None and forecast(plan).most_requests is None:
            total = self.max_requests
            notes.append(_throttled(f"{self.max_requests:,} requests", "ATM_MAX_REQUESTS"))
        return replace(test, plan=replace(plan, lanes=(replace(lane, load=load, total=total),)), notes=tuple(notes))

    def _with_target_rules(self, plan: LoadPlan) -> LoadPlan:
        """Add the target rules to the plan, for engines that resolve or follow to new addresses themselves."""
        resolves_addresses = plan.connections.redirects > 0 or plan.connections.resolve_every_ns is not None
        return replace(
            plan,
            connections=replace(plan.connections, targets=self.targets),
            needs=(*plan.needs, "target_rules") if resolves_addresses else plan.needs,
        )

    def _beyond_caps(self, plan: LoadPlan) -> list[Problem]:
        load, planned = plan.lanes[0].load, forecast(plan)
        problems = []
        if load.model == "open" and self.max_rate is not None and planned.peak > self.max_rate:
            problems.append(_cap("rate", f"{planned.peak:g} requests per second", f"{self.max_rate:g}", "ATM_MAX_RATE"))
        if load.model == "closed" and self.max_rate is not None and (load.max_rate or 0) > self.max_rate:
            what = f"{load.max_rate:g} requests per second"
            problems.append(_cap("max_rate", what, f"{self.max_rate:g}", "ATM_MAX_RATE"))
        if (
            self.max_requests is not None
            and planned.most_requests is not None
            and planned.most_requests > self.max_requests
        ):
            what, limit = f"{planned.most_requests:,} requests", f"{self.max_requests:,}"
            problems.append(_cap("total_requests", what, limit, "ATM_MAX_REQUESTS"))
        if load.model == "closed" and self.max_users is not None and planned.peak > self.max_users:
            problems.append(_cap("users", f"{planned.peak:g} users", str(self.max_users), "ATM_MAX_USERS"))
        if (
            self.max_seconds is not None
            and planned.most_seconds is not None
            and planned.most_seconds > self.max_seconds
        ):
            limit = f"{self.max_seconds:g} s"
            problems.append(_cap("duration", f"{planned.most_seconds:g} s", limit, "ATM_MAX_DURATION"))
        every_ns = plan.connections.resolve_every_ns
        if every_ns is not None and every_ns < _OFTEN_NS:
            what = f"name lookups every {every_ns / 1e9:g} s"
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
        hint = "the operator of the server can add it to ATM_ALLOWED_TARGETS"
        return Problem(refusal, _CODE, path=path, hint=hint) if refusal else None


def _throttled(limit: str, setting: str) -> Problem:
    return Problem(f"this server limits the test to {limit}", "throttled", hint=f"set by {setting}")


def _cap(path: str, planned: str, limit: str, setting: str = "") -> Problem:
    what = f"the test plans {planned}; this server allows {limit}"
    hint = f"lower it, or have {setting} raised" if setting else "lower it"
    return Problem(what, "beyond_cap", path=path, hint=hint)
