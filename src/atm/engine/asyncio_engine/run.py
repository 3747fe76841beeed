"""The loop of a run: owns schedule, users, transport and ledger, and wakes them when something is due.

None of the four knows the loop, which connects them: it carries out the schedule's `Decisions`, and returns users whose
iteration has ended to the schedule. Times: ns of the monotonic clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import monotonic_ns
from typing import Literal

from atm.engine.asyncio_engine.ledger.endpoint_figures import EndpointFigures
from atm.engine.asyncio_engine.ledger.ledger import Ledger, LoadState
from atm.engine.asyncio_engine.ledger.masker import Masker
from atm.engine.asyncio_engine.ledger.sampler import BEYOND_CUT
from atm.engine.asyncio_engine.schedule.closed_schedule import ClosedSchedule
from atm.engine.asyncio_engine.schedule.open_schedule import OpenSchedule
from atm.engine.asyncio_engine.schedule.phases import Phases
from atm.engine.asyncio_engine.schedule.schedule import Arrival, Schedule
from atm.engine.asyncio_engine.timer import open_timer
from atm.engine.asyncio_engine.transport.connection import ReadingLimits
from atm.engine.asyncio_engine.transport.dialer import Dialer
from atm.engine.asyncio_engine.transport.pool import Pool, connection_ceiling
from atm.engine.asyncio_engine.transport.redirects import Redirects
from atm.engine.asyncio_engine.users.deadlines import Deadlines
from atm.engine.asyncio_engine.users.prepared_program import PreparedProgram, needs_program
from atm.engine.asyncio_engine.users.prepared_step import PreparedStep
from atm.engine.asyncio_engine.users.scenario_user import ScenarioContext, ScenarioUser
from atm.engine.asyncio_engine.users.user import User, UserContext
from atm.engine.base import EngineReport
from atm.metrics.interval import Interval
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan
from atm.plan.pacer import NEVER

_BEAT_NS = 10_000_000
"""Longest sleep of the loop; without a regular wake-up it could not detect its own stalls."""


class Run:
    """One run; every method is called on the thread of its loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        plan: LoadPlan,
        secrets: Mapping[str, str],
        on_interval: Callable[[Interval], None],
    ) -> None:
        self._loop = loop
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
        self._flows = [tuple(PreparedStep(plan, step, self._secrets) for step in flow.steps) for flow in plan.flows]
        self._phases = Phases(plan.lanes[0])
        self._schedule = self._new_schedule(connection_ceiling())
        self._user_context = self._new_user_context()
        self._users_made = 0
        self._timer = open_timer(loop, self._wake)
        self._timer_at = NEVER
        self._give_up_at = NEVER
        self._stop_reason: StopReason | None = None
        self._done: asyncio.Future[EngineReport] = loop.create_future()
        self._started_at = datetime.now(UTC)

    def _new_schedule(self, ceiling: int) -> Schedule[User]:
        if self._plan.lanes[0].load.model == "closed":
            return ClosedSchedule(self._plan, 0, self, monotonic_ns)
        return OpenSchedule(self._plan, 0, self, monotonic_ns, ceiling)

    def _new_user_context(self) -> UserContext:
        """Return the context of all users: with programs only if a flow needs one."""
        shared = (self._flows, self._ledger, self._deadlines, Redirects(self._plan, self._dialer), self._dialer,
                  self._schedule.user_free, self._schedule.user_failed)  # fmt: skip
        programs = [
            PreparedProgram(flow, steps) if needs_program(flow) else None
            for flow, steps in zip(self._plan.flows, self._flows, strict=True)
        ]
        if not any(programs):
            return UserContext(*shared)
        return ScenarioContext(*shared, programs, self._plan.seed, self._schedule.user_stopped, self._stop_as_planned)

    async def until_done(self) -> EngineReport:
        """Run from start to end. Raises the error that made the run impossible to continue."""
        self._started_at = datetime.now(UTC)
        now = monotonic_ns()
        self._ledger.begin(now, self._roll)
        self._schedule.start(now)
        self._dialer.start(self.crash)
        self.wake_at(now)
        try:
            return await self._done
        finally:
            self._timer.close()

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
        if self._done.done():
            return
        if self._schedule.is_sending:
            now = monotonic_ns()
            self._schedule.stop(now)
            self.end_sending(now, reason)
        elif self._give_up_at == NEVER:
            # All iterations had started, and the last finish was awaited without a limit.
            self._give_up_at = monotonic_ns() + self._plan.graceful_stop_ns
        self.settle()

    def _stop_as_planned(self) -> None:
        """Stop because a step failed whose scenario demands it."""
        if self._schedule.is_sending:
            self.stop(StopReason.STOPPED)

    def cancel(self) -> None:
        """Start no more iterations and close every connection."""
        if self._done.done():
            return
        now = monotonic_ns()
        if self._schedule.is_sending or self._ledger.sending_end == NEVER:
            self._schedule.stop(now)
            self.end_sending(now, StopReason.CANCELLED)
        self._stop_reason = StopReason.CANCELLED
        self._ledger.last_finish = now
        self._leave_unfinished()

    def crash(self, error: BaseException) -> None:
        """End the run because of a defect of this engine."""
        if not self._done.done():
            self._close_all()
            self._done.set_exception(error)

    # `Decisions` of the schedule

    def new_user(self) -> User:
        """Create a user without connections."""
        pool = Pool(self._loop, self._dialer, self.crash)
        if not isinstance(self._user_context, ScenarioContext):
            return User(self._user_context, pool)
        self._users_made += 1
        return ScenarioUser(
            self._user_context, pool, self._users_made if self._plan.lanes[0].load.model == "closed" else 0
        )

    def retire(self, user: User) -> None:
        """Remove a user from the load."""
        user.close()

    def wake_at(self, at: int) -> None:
        """Run what is due at `at` (the latest)."""
        if at < self._timer_at:
            self._timer_at = at
            self._timer.set(at)

    def end_known(self, at: int) -> None:
        """Record that sending will end at `at`."""
        self._ledger.sending_end = at

    def end_sending(self, at: int | None, reason: StopReason) -> None:
        """Start no more iterations; sending has ended at a given time, or (None) ends with the last finish."""
        if self._stop_reason is None:
            self._stop_reason = reason
        if at is None:
            self._ledger.sending_end = NEVER
        else:
            self._ledger.sending_end = at
            self._give_up_at = at + self._plan.graceful_stop_ns
        self.wake_at(monotonic_ns())

    def settle(self) -> None:
        """End the run if nothing is in flight and nothing more may start."""
        if self._schedule.in_flight == 0 and not self._schedule.is_sending and not self._done.done():
            self._finish()

    def started_late(self, by: int) -> None:
        """Record an iteration that had a free user but starts `by` ns after its intended start."""
        self._ledger.health.started_late(by)

    def waited(self, arrival: Arrival, waited: int) -> None:
        """Record an arrival that starts after waiting for a free user."""
        self._figures_of(arrival).waited_for_user(waited)

    def missed(self, arrival: Arrival, kind: Literal["dropped", "skipped"]) -> None:
        """Record an arrival that will never start."""
        self._figures_of(arrival).missed(kind)

    def missed_at_end(self, arrival: Arrival, waited: int) -> None:
        """Record an arrival that was still waiting for a user when sending ended."""
        self._figures_of(arrival).missed_at_end(waited)

    def saturated(self) -> None:
        """Record that no user was free."""
        self._ledger.health.saturated = True

    def _figures_of(self, arrival: Arrival) -> EndpointFigures:
        """Return the figures for an arrival without a request: those of the first step of its flow."""
        figures = self._ledger.warm_up if arrival.is_warm_up else self._ledger.measured
        return figures[self._flows[arrival.flow][0].endpoint]

    # Wake-ups

    def _wake(self) -> None:
        now = monotonic_ns()
        self._ledger.health.late(now - self._timer_at)
        self._timer_at = NEVER
        if self._done.done():
            return
        if now >= self._ledger.second_end:
            self._roll(now)
        for request in self._deadlines.expired(now):
            request.time_out(now)
        # The last timeout may have ended the run.
        following = NEVER if self._done.done() else self._schedule.on_time(now)
        if now >= self._give_up_at and not self._done.done():
            self._leave_unfinished()
        self.settle()
        if not self._done.done():
            second_end = self._ledger.second_end
            self.wake_at(min(following, self._deadlines.next_at(), second_end, self._give_up_at, now + _BEAT_NS))
        else:
            self._timer.set(NEVER)

    def _roll(self, now: int) -> None:
        """Emit the second that has ended (and empty ones after it)."""
        ledger = self._ledger
        while now >= ledger.second_end:
            ledger.end_second(self._state_at(ledger.second_end))

    def _state_at(self, end: int) -> LoadState:
        schedule, ledger = self._schedule, self._ledger
        return LoadState(
            phase=self._phases.at(end - ledger.epoch, schedule.shift, end > ledger.sending_end),
            offered=schedule.offered_by(end),
            users=schedule.user_count,
            in_flight=schedule.in_flight - ledger.health.thinking,
            waiting=schedule.waiting,
        )

    # End of the run

    def _leave_unfinished(self) -> None:
        for user in self._schedule.users:
            if user.is_busy:
                user.leave_unfinished()
        self._schedule.leave_unfinished()
        self._finish()

    def _finish(self) -> None:
        self._close_all()
        ledger = self._ledger
        if ledger.sending_end == NEVER:
            ledger.sending_end = ledger.last_finish
        end = max(ledger.sending_end, ledger.last_finish)
        self._roll(end)
        ledger.end_last_second(end, self._state_at(end))
        epoch = ledger.epoch
        assert self._stop_reason is not None
        self._done.set_result(
            EngineReport(
                started_at=self._started_at,
                stop_reason=self._stop_reason,
                window_start_ns=min(self._plan.warm_up_ns, ledger.sending_end - epoch),
                window_end_ns=ledger.sending_end - epoch,
                last_finish_ns=ledger.last_finish - epoch,
                barrier_ns=self._schedule.shift,
            )
        )

    def _close_all(self) -> None:
        for user in self._schedule.users:
            user.close()
