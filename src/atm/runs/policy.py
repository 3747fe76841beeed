"""What a server lets the runs of others do: which variables a spec may read, which hosts it may load, and how hard.

The command line, run by the user for the user, has no such limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from atm.config import Settings
from atm.errors import Problem, SpecError
from atm.models.auth import OAuth2ClientCredentials, OAuth2PasswordGrant
from atm.plan.compile import CompiledTest, compile_plan
from atm.plan.load_plan import LoadPlan, Origin
from atm.plan.targets import TargetRules

_CODE = "target_not_allowed"


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits of one installation."""

    env_allow: tuple[str, ...] = ()
    targets: TargetRules = field(default_factory=TargetRules)
    max_rate: float | None = None
    max_users: int | None = None
    max_seconds: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """The limits that the settings name."""
        return cls(
            env_allow=settings.env_allow,
            targets=TargetRules(settings.allowed_targets),
            max_rate=settings.max_rate,
            max_users=settings.max_users,
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
        return replace(test, plan=self._held_to_targets(test.plan))

    def _held_to_targets(self, plan: LoadPlan) -> LoadPlan:
        """The plan with the rules in it; an engine that finds addresses by itself must know them."""
        finds_addresses = plan.connections.redirects > 0 or plan.connections.resolve_every_ns is not None
        return replace(
            plan,
            connections=replace(plan.connections, targets=self.targets),
            needs=(*plan.needs, "target_rules") if finds_addresses else plan.needs,
        )

    def _beyond_caps(self, plan: LoadPlan) -> list[Problem]:
        load = plan.load
        highest = max([load.warm_up_level, *(level for each in load.segments for level in (each.start, each.end))])
        problems = []
        if load.model == "open" and self.max_rate is not None and highest > self.max_rate:
            problems.append(_cap("rate", f"{highest:g} requests per second", f"{self.max_rate:g}", "ATM_MAX_RATE"))
        if load.model == "closed" and self.max_users is not None and highest > self.max_users:
            problems.append(_cap("users", f"{highest:g} users", str(self.max_users), "ATM_MAX_USERS"))
        lengths = [each.duration_ns for each in load.segments if each.duration_ns is not None]
        seconds = (load.warm_up_ns + (plan.duration_ns if plan.duration_ns is not None else sum(lengths))) / 1e9
        if self.max_seconds is not None and seconds > self.max_seconds:
            problems.append(_cap("duration", f"{seconds:g} s", f"{self.max_seconds:g} s", "ATM_MAX_DURATION"))
        return problems

    def _refused(self, test: CompiledTest) -> list[Problem]:
        problems = []
        proxy = test.plan.connections.proxy
        origins: list[tuple[str, Origin]] = [("url", origin) for origin in test.plan.origins]
        if proxy:
            origins.append(("proxy", proxy.origin))
        for path, origin in origins:
            for host in dict.fromkeys((origin.host, origin.connect_host or origin.host)):
                problems.append(self._refused_host(host, "connect_to" if host != origin.host else path))
        for credential in test.credentials.values():
            if isinstance(credential, OAuth2ClientCredentials | OAuth2PasswordGrant):
                problems.append(self._refused_host(urlsplit(credential.token_url).hostname or "", "auth.token_url"))
        return list(dict.fromkeys(problem for problem in problems if problem is not None))

    def _refused_host(self, host: str, path: str) -> Problem | None:
        refusal = self.targets.refusal_of_name(host)
        hint = "whoever runs the server may add it to ATM_ALLOWED_TARGETS"
        return Problem(refusal, _CODE, path=path, hint=hint) if refusal else None


def _cap(path: str, asked: str, limit: str, setting: str) -> Problem:
    what = f"the test asks for {asked}, and this server allows {limit}"
    return Problem(what, "beyond_cap", path=path, hint=f"ask for less, or have {setting} raised")
