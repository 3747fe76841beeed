"""What stands between an agent and a run: the list of targets, the limits of a call and an hour, a person's word."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mcp.server.mcpserver import Context

from atm.client import ControlClient
from atm.errors import ApiRefusedError, Problem, SpecError
from atm.mcp_server.confirmation import Confirmation, can_ask
from atm.mcp_server.limits import Demand, Excess, Limits, Used
from atm.mcp_server.untrusted import quoted
from atm.models.control.errors import ErrorEntry
from atm.models.control.runs import RunSummaryView
from atm.models.control.specs import PlanView
from atm.models.outcome import RunStatus

TAG = "mcp"
"""Every run that an agent starts carries it: by it the runs of the last hour are found again."""
HOUR = 3600.0
ENDED = frozenset({RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.FAILED})


@dataclass(slots=True)
class _Reserved:
    """A run that was let through, with what it may come to."""

    at: float
    requests: int
    seconds: float
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A spec that may be run."""

    spec: dict[str, Any]
    plan: PlanView
    demand: Demand
    notes: tuple[str, ...]
    """What the spec does not say and the agent should know: ends that were added, what the server remarked."""
    reservation: _Reserved


class Gate:
    """One per MCP server: whoever starts a run through it asks here first."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.asking = Confirmation()
        self._clock = clock
        self._reserved: list[_Reserved] = []

    async def planned(self, control: ControlClient, spec: Mapping[str, Any]) -> PlanView:
        """What the spec would do. Raises SpecError with every problem, a target that is not on the list among them."""
        found = await control.validate(spec)
        if found.plan is None:
            raise SpecError([_problem(each) for each in found.errors])
        self.check_targets(found.plan)
        return found.plan

    def check_targets(self, plan: PlanView) -> None:
        """Raises SpecError naming every host that the spec leads to and that is not on the list."""
        problems = [_not_listed(host) for host in plan.hosts if not self.limits.may_load(host)]
        if plan.redirects and "*" not in self.limits.targets:
            what = "the spec follows redirects, which may lead to hosts that are not on the list of targets"
            hint = "set redirects to 0: a 3xx is then an answer like any other (list it in expected_status_codes)"
            problems.append(Problem(what, "redirects_not_allowed", path="redirects", hint=hint))
        if problems:
            raise SpecError(problems)

    async def admit(
        self, context: Context[Any, Any], control: ControlClient, spec: Mapping[str, Any], *, may_bound: bool = True
    ) -> Admitted:
        """Let a run through, or raise what says why not and what would be right.

        With `may_bound`, a spec without an end gets one: the limits of a call. Where it goes beyond a limit, the
        person behind the agent is asked. Raises SpecError, ApiRefusedError `beyond_limits` or `not_approved`, and
        QuestionError (see `confirmation.py`).
        """
        plan = await self.planned(control, spec)
        bounded = self.limits.bounded(spec, plan) if may_bound else dict(spec)
        notes = []
        if bounded != dict(spec):
            added = [f"{name} {value:g}" for name, value in bounded.items() if name not in spec]
            missing = " nor ".join(name for name in bounded if name not in spec)
            notes.append(f"the spec has no {missing}, so this server's limit was added: {', '.join(added)}")
            plan = await self.planned(control, bounded)
        demand = Demand.of(plan)
        approved: list[Excess] = []
        while True:
            used = await self._used(control)
            excess = [*self.limits.excess_of_call(demand), *self.limits.excess_of_hour(demand, used)]
            # No await between here and the reservation: two calls at once cannot both take what is left.
            if {each.what for each in excess} <= {each.what for each in approved}:
                break
            await self._ask(context, f"run the load test {_shown(plan)}", excess)
            approved = excess
        requests = self.limits.requests if demand.requests is None else demand.requests
        seconds = self.limits.seconds if demand.seconds is None else demand.seconds
        reservation = _Reserved(self._clock(), requests, seconds)
        self._reserved.append(reservation)
        return Admitted(bounded, plan, demand, tuple(notes), reservation)

    def started(self, admitted: Admitted, run_id: str) -> None:
        """The run that came of it."""
        admitted.reservation.run_id = run_id

    def not_started(self, admitted: Admitted) -> None:
        """Nothing came of it."""
        self._reserved = [each for each in self._reserved if each is not admitted.reservation]

    async def allow(
        self,
        context: Context[Any, Any],
        control: ControlClient,
        spec: Mapping[str, Any],
        *,
        wish: str,
        upcoming: Sequence[datetime] = (),
        replaces: str = "",
    ) -> dict[str, Any]:
        """Let a spec be kept, or be run again and again at `upcoming`; the spec with an end in each dimension.

        `wish` says what for, with `{test}` in it; `replaces` is the id of a schedule that this one takes the place of.
        Raises as `admit`. Nothing is reserved: what a schedule starts counts when it has been started.
        """
        plan = await self.planned(control, spec)
        bounded = self.limits.bounded(spec, plan)
        if bounded != dict(spec):
            plan = await self.planned(control, bounded)
        demand = Demand.of(plan)
        excess = self.limits.excess_of_call(demand)
        if upcoming:
            excess += self.limits.excess_of_hour(
                demand.times(per_hour(upcoming)), await self._scheduled(control, replaces)
            )
        if excess:
            await self._ask(context, wish.format(test=_shown(plan)), excess)
        return bounded

    async def _ask(self, context: Context[Any, Any], wish: str, excess: list[Excess]) -> None:
        listed = "; ".join(str(each) for each in excess)
        settings = ", ".join(dict.fromkeys(each.setting for each in excess))
        await self.confirm(context, wish, f"goes beyond the limits for agents ({listed})", f"have {settings} raised")

    async def confirm(self, context: Context[Any, Any], wish: str, why: str, remedy: str) -> None:
        """Ask the person behind the agent. Raises ApiRefusedError (`beyond_limits`, `not_approved`), QuestionError."""
        what = f"to {wish} {why}"
        if not can_ask(context):
            hint = f"nobody can be asked here: ask for less ({self.limits.in_words()}), or have whoever set up this "
            raise ApiRefusedError(Problem(what, "beyond_limits", hint=f"{hint}MCP server {remedy}"))
        question = f"An agent wants to {wish}. That {why}. Allow it this once?"
        if not await self.asking.approved(context, question):
            hint = f"the person was asked and did not approve; ask for less ({self.limits.in_words()})"
            raise ApiRefusedError(Problem(what, "not_approved", hint=hint))

    async def _scheduled(self, control: ControlClient, without: str) -> Used:
        """What the schedules of agents come to in an hour, but for one of them."""
        runs, requests, seconds = 0, 0, 0.0
        for each in (await control.schedules.all()).schedules:
            if not each.enabled or TAG not in each.tags or each.id == without or not each.upcoming:
                continue
            spec = each.spec if each.test is None else (await control.test(each.test)).spec
            plan = (await control.validate(spec or {})).plan
            if plan is not None:
                times = per_hour(each.upcoming)
                demand = Demand.of(plan)
                runs += times
                requests += times * (self.limits.requests if demand.requests is None else demand.requests)
                seconds += times * (self.limits.seconds if demand.seconds is None else demand.seconds)
        return Used(runs, requests, seconds)

    async def _used(self, control: ControlClient) -> Used:
        """What was started within the last hour: by this process as it is known, by others as the history has it."""
        now = self._clock()
        self._reserved = [each for each in self._reserved if now - each.at < HOUR]
        since = datetime.now(UTC) - timedelta(seconds=HOUR)
        page = await control.runs(limit=200, tag=TAG, since=since)
        history = {run.id: run for run in page.runs}
        known = {each.run_id for each in self._reserved}
        requests, seconds = 0, 0.0
        for each in self._reserved:
            run = history.get(each.run_id)
            ended = run is not None and run.status in ENDED
            requests += run.requests_completed if run is not None and ended else each.requests
            seconds += _seconds(run) if run is not None and ended else each.seconds
        for run_id, run in history.items():
            if run_id not in known:
                going = run.status not in ENDED
                requests += max(run.requests_completed, (run.total_requests or 0) if going else 0)
                seconds += self.limits.seconds if going else _seconds(run)
        others = sum(run_id not in known for run_id in history)
        return Used(len(self._reserved) + others, requests, seconds)


def per_hour(upcoming: Sequence[datetime]) -> int:
    """How many of the due times fall into the hour that begins with the first; the last ones known go on as they do."""
    first, last = upcoming[0], upcoming[-1]
    within = sum((each - first).total_seconds() < HOUR for each in upcoming)
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
    what = f'"{host}" is not among the targets that agents may load here'
    hint = (
        "agents cannot change that: have whoever set up this MCP server add it to ATM_MCP_ALLOWED_TARGETS "
        f"(for example localhost,127.0.0.0/8,{host}), if that host may be load tested"
    )
    return Problem(what, "target_not_allowed", path="url", hint=hint)


def _problem(each: ErrorEntry) -> Problem:
    return Problem(each.message, each.code, path=each.path, hint=each.hint)
