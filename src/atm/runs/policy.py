"""Limits for runs started over the API: allowed environment variables, allowed targets, maximum load.

The command line, which users run themselves, has no such limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from atm.config import Settings
from atm.dataclass import dataclass
from atm.engine.environment import usable_cores
from atm.errors import Problem, SpecError
from atm.models import figures
from atm.plan.compile import CompiledTest, compile_plan
from atm.plan.files import ReadFile
from atm.plan.forecast import forecast, lane_forecast, leads_to
from atm.plan.hooks import CompiledHook
from atm.plan.load_plan import Lane, LoadPlan
from atm.plan.longest_path import most_in_iteration, most_requests
from atm.plan.targets import TargetRules
from atm.runs.code_directory import CodeDirectory
from atm.tables.table_request import OpenTable

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
    max_processes: int = field(default_factory=usable_cores)
    code_dir: Path | None = None
    """Where specs may have code; None: nowhere."""
    fleet_clusters: tuple[str, ...] = ()
    """As in a spec's `fleet.on`."""

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """Return the limits from the settings."""
        return cls(
            env_allow=settings.env_allow,
            targets=TargetRules.of(settings.allowed_targets),
            max_rate=settings.max_rate,
            max_users=settings.max_users,
            max_requests=settings.max_requests,
            max_processes=settings.max_processes or usable_cores(),
            fleet_clusters=settings.fleet_clusters,
            code_dir=settings.code_dir,
            max_seconds=settings.max_duration.total_seconds() if settings.max_duration else None,
        )

    def may_read(self, variable: str) -> bool:
        """Return whether `{{env:…}}` may read this variable; `{{target:…}}` reads only TARGET_…, always allowed."""
        return variable in self.env_allow or variable.startswith("TARGET_")

    def compile(
        self,
        spec: Mapping[str, Any],
        environment: Mapping[str, str],
        seed: int,
        *,
        read_file: ReadFile | None = None,
        open_table: OpenTable | None = None,
        files_may_be_missing: bool = False,
    ) -> CompiledTest:
        """Compile a spec under these limits, with files only from `read_file` and `open_table`, as `compile_plan`.

        Raises SpecError with all problems.
        """
        code = CodeDirectory(self.code_dir)
        test = compile_plan(
            spec,
            environment,
            default_seed=seed,
            read_file=read_file,
            open_table=open_table,
            open_code=code.open,
            open_hooks=code.open_hooks,
            may_read=self.may_read,
            files_may_be_missing=files_may_be_missing,
        )
        problems = [
            *self._beyond_caps(test),
            *self._beyond_fleet(test),
            *self._uncountable(test),
            *self._refused(test),
        ]
        if problems:
            raise SpecError(problems)
        return self._capped(
            replace(
                test,
                plan=self._with_target_rules(test.plan),
                setup=self._hook_with_target_rules(test.setup),
                teardown=self._hook_with_target_rules(test.teardown),
            )
        )

    def _hook_with_target_rules(self, hook: CompiledHook | None) -> CompiledHook | None:
        return None if hook is None else replace(hook, plan=self._with_target_rules(hook.plan))

    def _capped(self, test: CompiledTest) -> CompiledTest:
        """Apply the caps where the spec sets no limit: rate of a closed model, requests in flight, total requests."""
        lanes, notes = test.plan.lanes, list(test.notes)
        if self.max_rate is not None and any(_has_no_rate(lane) for lane in lanes):
            share = (self.max_rate - _fixed_rate(test.plan)) / sum(_has_no_rate(lane) for lane in lanes)
            lanes = tuple(_throttled_to(share, test.plan, lane) if _has_no_rate(lane) else lane for lane in lanes)
            notes.append(_throttled(f"{self.max_rate:g} requests per second", "ATM_MAX_RATE"))
        if self.max_users is not None and (opened := sum(lane.load.model == "open" for lane in lanes)):
            share_of_users = max(1, int(self.max_users - _users(lanes)) // opened)
            lanes = tuple(_limited(lane, share_of_users) if lane.load.model == "open" else lane for lane in lanes)
        if self.max_requests is not None and forecast(test.plan).most_requests is None:
            lanes = _with_totals(test.plan, lanes, self.max_requests - _hook_requests(test))
            notes.append(_throttled(f"{self.max_requests:,} requests", "ATM_MAX_REQUESTS"))
        return replace(test, plan=replace(test.plan, lanes=lanes), notes=tuple(notes))

    def _with_target_rules(self, plan: LoadPlan) -> LoadPlan:
        """Add the target rules to the plan, for engines that resolve or follow to new addresses themselves."""
        resolves_addresses = plan.connections.redirects > 0 or plan.connections.resolve_every_ns is not None
        return replace(
            plan,
            connections=replace(plan.connections, targets=self.targets),
            needs=(*plan.needs, "target_rules") if resolves_addresses else plan.needs,
        )

    def _beyond_caps(self, test: CompiledTest) -> list[Problem]:
        plan = test.plan
        lanes, planned = plan.lanes, forecast(plan)
        problems = []
        rate, users = _fixed_rate(plan), _users(lanes)
        if self.max_rate is not None:
            # Closed loads without a rate get what the others leave.
            needs_more = rate > 0 and any(_has_no_rate(lane) for lane in lanes)
            if rate > self.max_rate or (needs_more and rate == self.max_rate):
                name = "rate" if any(lane.load.model == "open" for lane in lanes) else "max_rate"
                what = f"{'more than ' if needs_more else ''}{rate:g} requests per second"
                problems.append(_cap(name, what, f"{self.max_rate:g}", "ATM_MAX_RATE"))
            prepared = max((lane.prepared.rate for lane in lanes if lane.prepared is not None), default=0.0)
            if prepared > self.max_rate:
                what = f"to prepare {prepared:g} users per second"
                problems.append(_cap("prepare_rate", what, f"{self.max_rate:g} requests", "ATM_MAX_RATE"))
        if self.max_requests is not None:
            of_hooks = _hook_requests(test)
            # A load without a number of requests ends with those that the hooks leave, at least one.
            most = (planned.most_requests or 1) + of_hooks
            if most > self.max_requests:
                of_them = f", {of_hooks:,} of them in setup and teardown" if of_hooks else ""
                what, limit = f"{figures.counted(most, 'request')}{of_them}", f"{self.max_requests:,}"
                problems.append(_cap("total_requests", what, limit, "ATM_MAX_REQUESTS"))
        if self.max_users is not None and users > self.max_users:
            problems.append(_cap("users", f"{users:g} users", str(self.max_users), "ATM_MAX_USERS"))
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

    def _beyond_fleet(self, test: CompiledTest) -> list[Problem]:
        fleet = test.spec.fleet
        if fleet is not None and fleet.on is not None and fleet.on not in self.fleet_clusters:
            allowed = ", ".join(self.fleet_clusters) or "none"
            what = f"runs on {fleet.on} are not allowed by this server"
            hint = f"Allowed: {allowed}; others have to be named in ATM_FLEET_CLUSTERS of the server"
            return [Problem(what, "cluster_not_allowed", path="fleet.on", hint=hint)]
        processes = fleet.processes if fleet else None
        if processes is None or processes <= self.max_processes:
            return []
        return [_cap("fleet.processes", f"{processes} processes", str(self.max_processes), "ATM_MAX_PROCESSES")]

    def _uncountable(self, test: CompiledTest) -> list[Problem]:
        if self.max_requests is None or not any(flow.code for flow in test.plan.flows):
            return []
        what = "this server limits the requests of a run (ATM_MAX_REQUESTS), and those of code cannot be counted before"
        return [Problem(what, "code_not_allowed", path="scenarios", hint="Write the scenario with `steps`")]

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


def _hook_requests(test: CompiledTest) -> int:
    """Return the most requests that `setup` and `teardown` send."""
    hooks = [hook for hook in (test.setup, test.teardown) if hook is not None]
    return sum(most_requests(flow.program) for hook in hooks for flow in hook.plan.flows)


def _has_no_rate(lane: Lane) -> bool:
    return lane.load.model == "closed" and lane.load.max_rate is None


def _fixed_rate(plan: LoadPlan) -> float:
    """Return the most requests per second of the lanes that have a rate."""
    return sum(
        (lane_forecast(lane).peak if lane.load.model == "open" else (lane.load.max_rate or 0.0))
        * most_in_iteration(plan.flows, lane)
        for lane in plan.lanes
    )


def _throttled_to(rate: float, plan: LoadPlan, lane: Lane) -> Lane:
    """Return the closed lane with a limit for its requests per second."""
    return replace(lane, load=replace(lane.load, max_rate=rate / most_in_iteration(plan.flows, lane)))


def _users(lanes: Sequence[Lane]) -> float:
    """Return the most users of the closed lanes."""
    return sum(lane_forecast(lane).peak for lane in lanes if lane.load.model == "closed")


def _limited(lane: Lane, users: int) -> Lane:
    load, prepared = lane.load, lane.prepared
    if prepared is not None:
        prepared = replace(prepared, users=min(prepared.users, users))
    return replace(lane, load=replace(load, max_in_flight=min(load.max_in_flight or users, users)), prepared=prepared)


def _with_totals(plan: LoadPlan, lanes: Sequence[Lane], most: int) -> tuple[Lane, ...]:
    """Divide the requests that the bounded lanes of a plan leave among the others, whose speed the target decides."""
    bounds = [lane_forecast(lane).most_requests for lane in plan.lanes]
    requests = [most_in_iteration(plan.flows, lane) for lane in plan.lanes]
    left = most - sum(bound * times for bound, times in zip(bounds, requests, strict=True) if bound is not None)
    share = left // bounds.count(None)
    return tuple(
        replace(lane, total=max(1, share // times)) if bound is None else lane
        for lane, bound, times in zip(lanes, bounds, requests, strict=True)
    )


def _throttled(limit: str, setting: str) -> Problem:
    return Problem(f"this server limits the test to {limit}", "throttled", hint=f"set by {setting}")


def _cap(path: str, planned: str, limit: str, setting: str = "") -> Problem:
    what = f"the test plans {planned}; this server allows {limit}"
    hint = f"lower it, or have {setting} raised" if setting else "lower it"
    return Problem(what, "beyond_cap", path=path, hint=hint)
