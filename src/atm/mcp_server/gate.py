"""Admission control for agents: allowed targets, limits per call and per hour, and a person's approval beyond them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mcp.server.mcpserver import Context

from atm.client import ControlClient
from atm.dataclass import dataclass
from atm.errors import ApiRefusedError, Problem, SpecError
from atm.mcp_server.confirmation import Confirmation, can_ask
from atm.mcp_server.limits import Demand, Excess, Limits, Used
from atm.mcp_server.untrusted_text import quoted
from atm.models.control.errors import ErrorEntry
from atm.models.control.runs import RunSummaryView
from atm.models.control.specs import PlanView
from atm.models.outcome import RunStatus

TAG = "mcp"
"""Tag of every run that an agent starts; identifies the runs of the last hour."""
HOUR = 3600.0
ENDED = frozenset({RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.FAILED})


@dataclass(slots=True)
class _Reserved:
    """An admitted run with its upper bounds."""

    at: float
    requests: int
    seconds: float
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A spec admitted to run."""

    spec: dict[str, Any]
    plan: PlanView
    demand: Demand
    notes: tuple[str, ...]
    """Notes for the agent: limits that were added to the spec."""
    reservation: _Reserved


def _refuse_code(spec: Mapping[str, Any]) -> None:
    """Raise SpecError for a spec with Python code, wherever it would run."""
    if spec.get("hooks") is not None:
        what = "tools start no Python code, and this spec has hooks"
        raise SpecError(
            Problem(what, "code_not_allowed", path="hooks", hint="Remove `hooks` and the steps with `call`")
        )
    scenarios = spec.get("scenarios")
    for name, scenario in scenarios.items() if isinstance(scenarios, Mapping) else ():
        if isinstance(scenario, Mapping) and "code" in scenario:
            what = "tools start no Python code, and this scenario has some"
            raise SpecError(
                Problem(what, "code_not_allowed", path=f"scenarios.{name}.code", hint="Write it with `steps`")
            )


class Gate:
    """Admits or rejects runs; one per MCP server."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.confirmation = Confirmation()
        self._clock = clock
        self._reserved: list[_Reserved] = []

    async def planned(self, control: ControlClient, spec: Mapping[str, Any], test: str | None = None) -> PlanView:
        """Return the plan of a spec, which may name files of the stored `test`.

        Raises SpecError with every problem, including targets that are not allowed.
        """
        _refuse_code(spec)
        validation = await control.validate(spec, test=test)
        if validation.plan is None:
            raise SpecError([_problem(entry) for entry in validation.errors])
        self.check_targets(validation.plan)
        return validation.plan

    def check_targets(self, plan: PlanView) -> None:
        """Raise SpecError with every host of the plan that is not on the list of targets."""
        problems = [_not_listed(host) for host in plan.hosts if not self.limits.may_load(host)]
        if plan.redirects and "*" not in self.limits.targets:
            what = "the spec follows redirects, which may lead to hosts that are not on the list of targets"
            hint = "set redirects to 0: a 3xx is then a normal response (list it in expected_status_codes)"
            problems.append(Problem(what, "redirects_not_allowed", path="redirects", hint=hint))
        if problems:
            raise SpecError(problems)

    async def admit(
        self,
        context: Context[Any, Any],
        control: ControlClient,
        spec: Mapping[str, Any],
        *,
        may_bound: bool = True,
        test: str | None = None,
    ) -> Admitted:
        """Admit a run, or raise an error with the reason and a remedy.

        With `may_bound`, a spec without an end gets the limits of a call; `test` is as in `planned`. If it exceeds a
        limit, the user of the agent has to approve. Raises SpecError, ApiRefusedError `beyond_limits` or
        `not_approved`, and QuestionError (see `confirmation.py`).
        """
        plan = await self.planned(control, spec, test)
        bounded = self.limits.bounded(spec, plan) if may_bound else dict(spec)
        notes = []
        if bounded != dict(spec):
            added = [f"{name} {value:g}" for name, value in bounded.items() if name not in spec]
            missing = " nor ".join(name for name in bounded if name not in spec)
            notes.append(f"the spec has no {missing}, so this server's limit was added: {', '.join(added)}")
            plan = await self.planned(control, bounded, test)
        demand = Demand.of(plan)
        approved: list[Excess] = []
        while True:
            used = await self._used(control)
            excess = [*self.limits.excess_of_call(demand), *self.limits.excess_of_hour(demand, used)]
            # No await between here and the reservation, so that concurrent calls cannot exceed the limits together.
            if {limit.what for limit in excess} <= {limit.what for limit in approved}:
                break
            await self._confirm_excess(context, f"run the load test {_shown(plan)}", excess)
            approved = excess
        requests = self.limits.requests if demand.requests is None else demand.requests
        seconds = self.limits.seconds if demand.seconds is None else demand.seconds
        reservation = _Reserved(self._clock(), requests, seconds)
        self._reserved.append(reservation)
        return Admitted(bounded, plan, demand, tuple(notes), reservation)

    def started(self, admitted: Admitted, run_id: str) -> None:
        """Record the run that was started."""
        admitted.reservation.run_id = run_id

    def not_started(self, admitted: Admitted) -> None:
        """Release the reservation of a run that was not started."""
        self._reserved = [reservation for reservation in self._reserved if reservation is not admitted.reservation]

    async def allow(
        self,
        context: Context[Any, Any],
        control: ControlClient,
        spec: Mapping[str, Any],
        *,
        action: str,
        upcoming: Sequence[datetime] = (),
        replaces: str = "",
        test: str | None = None,
    ) -> dict[str, Any]:
        """Admit a spec to be stored or scheduled at `upcoming`; return it with limits where it has none.

        `action` describes it, with `{test}` as a placeholder; `replaces` is the id of a schedule to replace; `test`
        is as in `planned`. Raises as `admit`. Reserves nothing: runs of a schedule count when they start.
        """
        plan = await self.planned(control, spec, test)
        bounded = self.limits.bounded(spec, plan)
        if bounded != dict(spec):
            plan = await self.planned(control, bounded, test)
        demand = Demand.of(plan)
        excess = self.limits.excess_of_call(demand)
        if upcoming:
            excess += self.limits.excess_of_hour(
                demand.times(per_hour(upcoming)), await self._scheduled(control, replaces)
            )
        if excess:
            await self._confirm_excess(context, action.format(test=_shown(plan)), excess)
        return bounded

    async def _confirm_excess(self, context: Context[Any, Any], action: str, excess: list[Excess]) -> None:
        listed = "; ".join(str(limit) for limit in excess)
        settings = ", ".join(dict.fromkeys(limit.setting for limit in excess))
        await self.confirm(context, action, f"exceeds the limits for agents ({listed})", f"raise {settings}")

    async def confirm(self, context: Context[Any, Any], action: str, why: str, remedy: str) -> None:
        """Ask the user of the agent. Raises ApiRefusedError (`beyond_limits`, `not_approved`), QuestionError."""
        what = f"to {action} {why}"
        if not can_ask(context):
            hint = f"this client cannot ask a person: request less ({self.limits.in_words()}), or have the operator of "
            raise ApiRefusedError(Problem(what, "beyond_limits", hint=f"{hint}this MCP server {remedy}"))
        question = f"An agent wants to {action}. That {why}. Allow it this once?"
        if not await self.confirmation.approved(context, question):
            hint = f"a person did not approve; request less ({self.limits.in_words()})"
            raise ApiRefusedError(Problem(what, "not_approved", hint=hint))

    async def _scheduled(self, control: ControlClient, without: str) -> Used:
        """Return the hourly use by schedules of agents, except the one with id `without`."""
        runs, requests, seconds = 0, 0, 0.0
        for schedule in (await control.schedules.all()).schedules:
            if not schedule.enabled or TAG not in schedule.tags or schedule.id == without or not schedule.upcoming:
                continue
            spec = schedule.spec if schedule.test is None else (await control.test(schedule.test)).spec
            plan = (await control.validate(spec or {}, test=schedule.test)).plan
            if plan is not None:
                times = per_hour(schedule.upcoming)
                demand = Demand.of(plan)
                runs += times
                requests += times * (self.limits.requests if demand.requests is None else demand.requests)
                seconds += times * (self.limits.seconds if demand.seconds is None else demand.seconds)
        return Used(runs, requests, seconds)

    async def _used(self, control: ControlClient) -> Used:
        """Return the use of the last hour, from this process's reservations and from the history for other runs."""
        now = self._clock()
        self._reserved = [reservation for reservation in self._reserved if now - reservation.at < HOUR]
        since = datetime.now(UTC) - timedelta(seconds=HOUR)
        page = await control.runs(limit=200, tag=TAG, since=since)
        history = {run.id: run for run in page.runs}
        reserved_ids = {reservation.run_id for reservation in self._reserved}
        requests, seconds = 0, 0.0
        for reservation in self._reserved:
            run = history.get(reservation.run_id)
            ended = run is not None and run.status in ENDED
            requests += run.requests_completed if run is not None and ended else reservation.requests
            seconds += _seconds(run) if run is not None and ended else reservation.seconds
        for run_id, run in history.items():
            if run_id not in reserved_ids:
                in_progress = run.status not in ENDED
                requests += max(run.requests_completed, (run.total_requests or 0) if in_progress else 0)
                seconds += self.limits.seconds if in_progress else _seconds(run)
        others = sum(run_id not in reserved_ids for run_id in history)
        return Used(len(self._reserved) + others, requests, seconds)


def per_hour(upcoming: Sequence[datetime]) -> int:
    """Count the due times in the hour from the first one, extrapolated if `upcoming` covers less than an hour."""
    first, last = upcoming[0], upcoming[-1]
    within = sum((due - first).total_seconds() < HOUR for due in upcoming)
    span = (last - first).total_seconds()
    if within < len(upcoming) or span <= 0:
        return within
    return math.ceil(HOUR / (span / (len(upcoming) - 1)))


def _shown(plan: PlanView) -> str:
    return f"{quoted(plan.name, 80)} against {', '.join(quoted(host, 80) for host in plan.hosts)}"


def _seconds(run: RunSummaryView) -> float:
    if run.started_at is None or run.completed_at is None:
        return 0.0
    return max((run.completed_at - run.started_at).total_seconds(), 0.0)


def _not_listed(host: str) -> Problem:
    what = f'"{host}" is not among the targets that agents may test'
    hint = (
        "agents cannot change this: if the host may be load tested, the operator of this MCP server can add it to "
        f"ATM_MCP_ALLOWED_TARGETS (for example localhost,127.0.0.0/8,{host})"
    )
    return Problem(what, "target_not_allowed", path="url", hint=hint)


def _problem(entry: ErrorEntry) -> Problem:
    return Problem(entry.message, entry.code, path=entry.path, hint=entry.hint)
