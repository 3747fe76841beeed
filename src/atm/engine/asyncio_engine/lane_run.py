"""One lane of a run: carries out what its schedule decides, owns its users, and knows when its sending has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import TYPE_CHECKING, Literal

from atm.dataclass import dataclass
from atm.engine.asyncio_engine.ledger.endpoint_figures import EndpointFigures
from atm.engine.asyncio_engine.ledger.lane_end import LaneEnd
from atm.engine.asyncio_engine.ledger.ledger import Ledger
from atm.engine.asyncio_engine.schedule.closed_schedule import ClosedSchedule
from atm.engine.asyncio_engine.schedule.open_schedule import OpenSchedule
from atm.engine.asyncio_engine.schedule.phases import Phases
from atm.engine.asyncio_engine.schedule.schedule import Arrival, Schedule
from atm.engine.asyncio_engine.transport.dialer import Dialer
from atm.engine.asyncio_engine.transport.pool import Pool
from atm.engine.asyncio_engine.transport.redirects import Redirects
from atm.engine.asyncio_engine.users.deadlines import Deadlines
from atm.engine.asyncio_engine.users.prepared_step import PreparedStep
from atm.engine.asyncio_engine.users.user import User, UserContext
from atm.engine.base import LaneReport
from atm.models.outcome import StopReason
from atm.plan.load_plan import CODE_STOP_NS, LoadPlan
from atm.plan.pacer import NEVER, peak_users

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.users.code_flows import CodeFlows
    from atm.engine.asyncio_engine.users.scenarios import Scenarios


@dataclass(frozen=True, slots=True)
class RunParts:
    """The parts of a run that all its lanes share."""

    loop: asyncio.AbstractEventLoop
    plan: LoadPlan
    ledger: Ledger
    dialer: Dialer
    deadlines: Deadlines
    redirects: Redirects
    flows: Sequence[Sequence[PreparedStep]]
    scenarios: Scenarios | None
    """None if no flow needs a session."""
    code: CodeFlows | None
    """None if no flow is code."""
    wake_at: Callable[[int], None]
    """Wake the loop at a time, the latest."""
    lane_ended: Callable[[], None]
    """Called when a lane has ended: nothing is in flight, and nothing more may start."""
    stop_as_planned: Callable[..., None]
    """Stop the run because a step failed whose scenario demands it."""
    crash: Callable[[BaseException], None]
    """End the run because of a defect of this engine."""


class LaneRun:
    """Implements the `Decisions` of its schedule; every method is called on the thread of the loop."""

    def __init__(self, parts: RunParts, lane: int, ceiling: int) -> None:
        """`lane` is the index of the lane; `ceiling` the most users of an open load without a limit."""
        self._parts = parts
        self._plan = parts.plan
        self._ledger = parts.ledger
        self.lane = parts.plan.lanes[lane]
        self._is_closed = self.lane.load.model == "closed"
        self._phases = Phases(self.lane)
        self.schedule: Schedule[User] = (
            ClosedSchedule(self._plan, lane, self, monotonic_ns)
            if self._is_closed
            else OpenSchedule(self._plan, lane, self, monotonic_ns, ceiling)
        )
        self.sending = LaneEnd()
        self._make_user = self._new_user()
        self._users_made = 0
        self._are_leaving = False
        self.give_up_at = NEVER
        """When requests in flight are left unfinished."""
        self.stop_reason: StopReason | None = None
        self.ended_at: int | None = None
        """When the lane ended; None before."""

    def _new_user(self) -> Callable[[Pool, int], User]:
        """Return the function that creates a user of the lane with a number."""
        parts, schedule, scenarios = self._parts, self.schedule, self._parts.scenarios
        context = UserContext(
            parts.flows,
            parts.ledger,
            self.sending,
            parts.deadlines,
            parts.redirects,
            parts.dialer,
            schedule.user_free,
            schedule.user_failed,
        )
        if parts.code is not None and self.lane.flows[0] in parts.code.models:
            return parts.code.users(
                self.lane.flows[0],
                context,
                parts.dialer.origin_of,
                self._new_pool,
                schedule.user_stopped,
                parts.stop_as_planned,
            )
        if scenarios is None:
            return lambda pool, _number: User(context, pool)
        from atm.engine.asyncio_engine.users.scenarios import HookParts

        scenario_context = scenarios.context(
            context, schedule.user_stopped, schedule.user_not_prepared, parts.stop_as_planned
        )
        return scenarios.users(scenario_context, HookParts(parts.loop, parts.dialer.origin_of, parts.stop_as_planned))

    @property
    def has_ended(self) -> bool:
        """Whether nothing is in flight, and nothing more may start."""
        return self.ended_at is not None

    def start(self, epoch: int) -> None:
        """Start the schedule; `epoch` is the start of the run."""
        self.sending.last_finish = epoch
        self.schedule.start(epoch + self.lane.start_ns)

    # Commands

    def stop(self, now: int, reason: StopReason) -> None:
        """Start no more iterations; those in progress may finish within the plan's graceful stop."""
        if self.schedule.is_sending:
            self.schedule.stop(now)
            self.end_sending(now, reason)
        elif self.give_up_at == NEVER:
            # All iterations had started, and the last finish was awaited without a limit.
            self.give_up_at = now + self._plan.graceful_stop_ns
        has_code = self._plan.hooks is not None or self._plan.flows[self.lane.flows[0]].code is not None
        if reason is StopReason.STOPPED and has_code:
            # Code may wait for anything.
            self.give_up_at = min(self.give_up_at, now + CODE_STOP_NS)
            self.wake_at(self.give_up_at)

    def cancel(self, now: int) -> None:
        """Start no more iterations and close every connection."""
        if self.schedule.is_sending or self.sending.end == NEVER:
            self.schedule.stop(now)
            self.end_sending(now, StopReason.CANCELLED)
        self.stop_reason = StopReason.CANCELLED
        self.sending.last_finish = now
        self.leave_unfinished()

    # `Decisions` of the schedule

    def new_user(self) -> User:
        """Create a user without connections."""
        pool = self._new_pool()
        is_lasting = self._is_closed or self.lane.prepared is not None
        number = self._plan.share.index(self._users_made) + 1 if is_lasting else 0
        self._users_made += 1
        return self._make_user(pool, number)

    def _new_pool(self) -> Pool:
        return Pool(self._parts.loop, self._parts.dialer, self._parts.crash)

    def retire(self, user: User) -> None:
        """Close the connections of a user who leaves the load, or begins anew."""
        user.close()

    def wake_at(self, at: int) -> None:
        """Run what is due at `at` (the latest)."""
        self._parts.wake_at(at)

    def end_known(self, at: int) -> None:
        """Record that sending will end at `at`."""
        self.sending.end = at

    def end_sending(self, at: int | None, reason: StopReason) -> None:
        """Start no more iterations; sending has ended at a given time, or (None) ends with the last finish."""
        if self.stop_reason is None:
            self.stop_reason = reason
        if at is None:
            self.sending.end = NEVER
        else:
            self.sending.end = at
            self.give_up_at = at + self._plan.graceful_stop_ns
        self.wake_at(monotonic_ns())

    def settle(self) -> None:
        """End the lane if nothing is in flight and nothing more may start."""
        if not self.has_ended and self.schedule.in_flight == 0 and not self.schedule.is_sending:
            if not self._are_leaving:
                # What the users do at the end ends as iterations do, which settles again.
                self._are_leaving = True
                now = monotonic_ns()
                self.schedule.in_flight += sum([user.leave(now) for user in self.schedule.users])
                self.settle()
                return
            self._end()

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
        return figures[self._parts.flows[arrival.flow][0].endpoint]

    # Wake-ups

    def on_time(self, now: int) -> int:
        """Do what is due in a lane that has not ended, and return the time of the next call."""
        following = self.schedule.on_time(now)
        if now >= self.give_up_at:
            self.leave_unfinished()
        self.settle()
        return NEVER if self.has_ended else min(following, self.give_up_at)

    def phase_at(self, end: int) -> str:
        """Return the phase of a second that ends at `end`."""
        elapsed = end - self._ledger.epoch - self.lane.start_ns
        return self._phases.at(elapsed, self.schedule.shift, end > self.sending.end)

    # The end

    def leave_unfinished(self) -> None:
        """Leave the requests in flight unfinished, and end."""
        if self.has_ended:
            return
        self.leave_all_unfinished()
        self._end()

    def leave_all_unfinished(self) -> None:
        """Leave what is in progress unfinished."""
        for user in self.schedule.users:
            if user.is_busy:
                user.leave_unfinished()
        self.schedule.leave_unfinished()

    def _end(self) -> None:
        self.close()
        if self.sending.end == NEVER:
            self.sending.end = self.sending.last_finish
        self.ended_at = monotonic_ns()
        self._parts.lane_ended()

    def close(self) -> None:
        """Close every connection."""
        for user in self.schedule.users:
            user.close()

    def report(self) -> LaneReport:
        """Return how the lane ended."""
        assert self.stop_reason is not None
        end = self.sending.end - self._ledger.epoch
        return LaneReport(
            name=self.lane.name,
            window_start_ns=min(self.lane.measured_from_ns, end),
            window_end_ns=end,
            stop_reason=self.stop_reason,
            barrier_ns=self.schedule.shift,
        )


def ceilings(plan: LoadPlan, ceiling: int) -> list[int]:
    """Return the most users of each lane: open loads without a limit share what the others leave of `ceiling`."""
    taken, unlimited = 0, 0
    for lane in plan.lanes:
        load = lane.load
        if load.model == "closed":
            taken += plan.share.count(peak_users(load))
        elif load.max_in_flight is not None:
            taken += load.max_in_flight
        else:
            unlimited += 1
    return [max(1, (ceiling - taken) // max(unlimited, 1))] * len(plan.lanes)
