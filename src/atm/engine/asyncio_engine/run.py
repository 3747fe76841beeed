"""The loop of a run: owns lanes, transport and ledger, and wakes them when something is due.

Each lane (`lane_run.py`) connects its schedule with its users: it carries out the schedule's `Decisions`, and returns
users whose iteration has ended to the schedule. Times: ns of the monotonic clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from time import monotonic_ns
from typing import TYPE_CHECKING

from atm.engine.asyncio_engine.lane_run import LaneRun, RunParts, ceilings
from atm.engine.asyncio_engine.ledger.ledger import Ledger, LoadState
from atm.engine.asyncio_engine.ledger.masker import Masker
from atm.engine.asyncio_engine.ledger.sampler import BEYOND_CUT
from atm.engine.asyncio_engine.timer import open_timer
from atm.engine.asyncio_engine.transport.dialer import Dialer
from atm.engine.asyncio_engine.transport.pool import connection_ceiling
from atm.engine.asyncio_engine.transport.reading_limits import ReadingLimits
from atm.engine.asyncio_engine.transport.redirects import Redirects
from atm.engine.asyncio_engine.users.deadlines import Deadlines
from atm.engine.asyncio_engine.users.prepared_step import PreparedStep, needs_session
from atm.engine.base import EngineReport, LaneReport
from atm.metrics.interval import Interval
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan
from atm.plan.pacer import NEVER, SECOND

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.users.code_flows import CodeFlows
    from atm.engine.asyncio_engine.users.scenarios import Scenarios
    from atm.engine.asyncio_engine.users.session import Session

_BEAT_NS = 10_000_000
"""Longest sleep of the loop; without a regular wake-up it could not detect its own stalls."""
_AWAKE_NS = 2_000_000
"""How long before the start of the run the loop stops sleeping; its own timers are exact to a millisecond."""

_PLANNED = (StopReason.TOTAL, StopReason.DURATION, StopReason.STAGES)


class Run:
    """One run; every method is called on the thread of its loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        plan: LoadPlan,
        secrets: Mapping[str, str],
        on_interval: Callable[[Interval], None],
        on_session_end: Callable[[Session], None] | None = None,
        starts_at_ns: int | None = None,
    ) -> None:
        """`on_session_end` gets the variables at the end of each iteration of a scenario.

        `starts_at_ns`: the time zero of the run; None for at once.
        """
        self._loop = loop
        self._on_session_end = on_session_end
        self._plan = plan
        self._secrets = dict(secrets)
        self._masker = Masker(plan, self._secrets)
        self._ledger = Ledger(plan, self._masker, on_interval)
        limits = ReadingLimits(
            response_bytes=plan.connections.max_response_bytes,
            kept_body_bytes=plan.sampling.body_bytes + BEYOND_CUT,
        )
        self._dialer = Dialer(loop, plan, self._secrets, self._ledger.health, limits)
        self._deadlines = Deadlines(self.wake_at)
        scenarios = self._new_scenarios()
        self._flows: list[tuple[PreparedStep, ...]] = (
            scenarios.flows
            if scenarios
            else [tuple(PreparedStep(plan, step, self._secrets) for step in flow.steps) for flow in plan.flows]
        )
        code = self._code = self._new_code()
        if code is not None:
            self._flows = [
                (code.models[flow],) if flow in code.models else steps for flow, steps in enumerate(self._flows)
            ]
        parts = RunParts(
            loop,
            plan,
            self._ledger,
            self._dialer,
            self._deadlines,
            Redirects(plan, self._dialer),
            self._flows,
            scenarios,
            code,
            self.wake_at,
            self._settle,
            self._stop_as_planned,
            self.crash,
        )
        shares = ceilings(plan, connection_ceiling())
        self._lanes = [LaneRun(parts, lane, ceiling) for lane, ceiling in enumerate(shares)]
        self._longest_first = sorted(self._lanes, key=_planned_end, reverse=True)
        self._timer = open_timer(loop, self._wake)
        self._timer_at = NEVER
        self.turned_at = 0
        """When the loop was awake last; 0 before the start."""
        self._done: asyncio.Future[EngineReport] = loop.create_future()
        self._starts_at = starts_at_ns
        self._started_at = datetime.now(UTC)

    def _new_scenarios(self) -> Scenarios | None:
        """Prepare the scenarios of the plan; None if it has none, which then does not import them."""
        hooks = self._plan.hooks
        if hooks is None and not any(needs_session(flow) for flow in self._plan.flows):
            return None
        from atm.engine.asyncio_engine.users.data_rows import TableRows
        from atm.engine.asyncio_engine.users.scenarios import Scenarios

        functions = None
        if hooks is not None:
            from atm.engine.asyncio_engine.users.hook_functions import load_hooks

            functions = load_hooks(hooks, self._plan)
        rows = [TableRows(table) for table in self._plan.data]
        return Scenarios(self._plan, self._secrets, rows, self._on_session_end, functions)

    def _new_code(self) -> CodeFlows | None:
        """Load the code of the plan; None if it has none, which then does not import what that needs."""
        if not any(flow.code for flow in self._plan.flows):
            return None
        from atm.engine.asyncio_engine.users.code_flows import CodeFlows

        return CodeFlows(self._loop, self._plan, self._secrets)

    async def until_done(self) -> EngineReport:
        """Run from start to end. Raises the error that made the run impossible to continue."""
        now = monotonic_ns()
        epoch = now if self._starts_at is None else self._starts_at
        self._started_at = datetime.now(UTC) + timedelta(microseconds=(epoch - now) / 1000)
        self._ledger.begin(epoch, self._roll)
        for lane in self._lanes:
            lane.start(epoch)
        self._dialer.start(self.crash)
        self.wake_at(max(epoch, now))
        if epoch - now > _AWAKE_NS:
            self._loop.call_at(self._loop.time() + (epoch - now - _AWAKE_NS) / 1e9, self._begin_awake, epoch)
        own = self._ledger.own
        try:
            with nullcontext() if own is None else own.recording:
                return await self._done
        finally:
            self._timer.close()
            if self._code is not None:
                self._code.close()

    def _begin_awake(self, epoch: int) -> None:
        """Begin at the start of the run without sleeping before it: a core that slept is slow at first."""
        while monotonic_ns() < epoch:
            pass
        if self._timer_at == epoch:
            self._wake()

    # Commands

    def set_secret(self, slot: str, value: str) -> None:
        """Use `value` for requests rendered from now on."""
        self._secrets[slot] = value
        self._masker.learn(slot, value)
        for steps in self._flows:
            for step in steps:
                if slot in step.slots:
                    step.prepare(self._secrets)

    def stop(self, reason: StopReason) -> None:
        """Start no more iterations; those in progress may finish within the plan's graceful stop."""
        now = self._now()
        for lane in self._active_lanes():
            lane.stop(now, reason)
            lane.settle()

    def _stop_as_planned(self, reason: StopReason = StopReason.STOPPED) -> None:
        """Stop because a step failed whose scenario demands it, or because code has ended the run."""
        now = monotonic_ns()
        for lane in self._active_lanes():
            if lane.schedule.is_sending and not lane.schedule.has_started_all:
                lane.stop(now, reason)
                lane.settle()

    def blocked(self, function: str, place: str, length: int) -> None:
        """Record a call of code that blocked the loop, by the function of its scenario."""
        flows = [index for index, flow in enumerate(self._plan.flows) if flow.code and flow.code.function == function]
        if self._ledger.code is not None and not self._done.done():
            self._ledger.code.blocked(flows[0] if flows else -1, place, length)

    def cancel(self) -> None:
        """Start no more iterations and close every connection."""
        now = self._now()
        for lane in self._active_lanes():
            lane.cancel(now)

    def _now(self) -> int:
        """Return the time; before the start of the run, that of its start."""
        return max(monotonic_ns(), self._ledger.epoch)

    def _active_lanes(self) -> list[LaneRun]:
        """Return the lanes to stop: those that have not ended, and none after a crash."""
        return [] if self._done.done() else [lane for lane in self._lanes if not lane.has_ended]

    def give_up(self) -> None:
        """Emit what was counted up to now, because code blocks the loop for good; called from another thread.

        The loop does not turn meanwhile. What is in progress counts as unfinished.
        """
        now = monotonic_ns()
        self._roll(now)
        for lane in self._active_lanes():
            lane.leave_all_unfinished()
        self._ledger.end_last_second(now, self._state_at(now))

    def crash(self, error: BaseException) -> None:
        """End the run because of a defect of this engine."""
        if not self._done.done():
            for lane in self._lanes:
                lane.close()
            self._done.set_exception(error)

    # Wake-ups

    def wake_at(self, at: int) -> None:
        """Run what is due at `at` (the latest)."""
        if at < self._timer_at:
            self._timer_at = at
            self._timer.set(at)

    def _wake(self) -> None:
        self.turned_at = now = monotonic_ns()
        self._ledger.health.late(now - self._timer_at)
        self._timer_at = NEVER
        if self._done.done():
            return
        if now >= self._ledger.second_end:
            self._roll(now)
        for request in self._deadlines.expired(now):
            request.time_out(now)
        following = min((lane.on_time(now) for lane in self._active_lanes()), default=NEVER)
        if not self._done.done():
            self.wake_at(min(following, self._deadlines.next_at(), self._ledger.second_end, now + _BEAT_NS))
        else:
            self._timer.set(NEVER)

    def _roll(self, now: int) -> None:
        """Emit the second that has ended (and empty ones after it)."""
        ledger = self._ledger
        while now >= ledger.second_end:
            ledger.end_second(self._state_at(ledger.second_end))

    def _state_at(self, end: int) -> LoadState:
        ledger = self._ledger
        # A lane that ended before this second has no users any more.
        lanes = [lane for lane in self._lanes if lane.ended_at is None or lane.ended_at > end - SECOND]
        in_flight = sum(lane.schedule.in_flight for lane in lanes)
        return LoadState(
            phase=self._phase_at(end),
            offered=sum(lane.schedule.offered_by(end) for lane in self._lanes),
            users=sum(lane.schedule.user_count for lane in lanes),
            in_flight=in_flight - ledger.health.thinking,
            waiting=sum(lane.schedule.waiting for lane in lanes),
        )

    def _phase_at(self, end: int) -> str:
        """Return the phase of a second that ends at `end`: that of the longest lane, of those in measured load.

        Between the loads of two lanes it is `load`, as that time belongs to the measured window.
        """
        if len(self._lanes) == 1:
            return self._lanes[0].phase_at(end)
        sending = [lane for lane in self._longest_first if end <= lane.sending.end]
        if not sending:
            return "drain"
        measured = (phase for lane in sending if (phase := lane.phase_at(end)) != "warm_up")
        is_warm_up = end - self._ledger.epoch <= self._plan.warm_up_ns
        return next(measured, "warm_up" if is_warm_up else "load")

    # End of the run

    def _settle(self) -> None:
        """End the run if every lane has ended."""
        if not self._done.done() and all(lane.has_ended for lane in self._lanes):
            self._finish()

    def _finish(self) -> None:
        ledger = self._ledger
        sending_end = max(lane.sending.end for lane in self._lanes)
        last_finish = max(lane.sending.last_finish for lane in self._lanes)
        end = max(sending_end, last_finish)
        self._roll(end)
        ledger.end_last_second(end, self._state_at(end))
        lanes = tuple(lane.report() for lane in self._lanes)
        self._done.set_result(
            EngineReport(
                started_at=self._started_at,
                stop_reason=_stop_reason(lanes),
                window_start_ns=min(self._plan.warm_up_ns, sending_end - ledger.epoch),
                window_end_ns=sending_end - ledger.epoch,
                last_finish_ns=last_finish - ledger.epoch,
                lanes=lanes,
                barrier_ns=lanes[0].barrier_ns if len(lanes) == 1 else 0,
            )
        )


def _planned_end(lane: LaneRun) -> int:
    end = lane.lane.planned_end_ns
    return NEVER if end is None else end


def _stop_reason(lanes: tuple[LaneReport, ...]) -> StopReason:
    """Return the reason of the lane that ended last; a cancel or another command ends the whole run."""
    unplanned = [lane.stop_reason for lane in lanes if lane.stop_reason not in _PLANNED]
    if StopReason.CANCELLED in unplanned:
        return StopReason.CANCELLED
    return unplanned[0] if unplanned else max(lanes, key=lambda lane: lane.window_end_ns).stop_reason
