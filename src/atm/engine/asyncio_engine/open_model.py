"""The open model: arrivals come when the plan says, whatever the target does."""

from __future__ import annotations

from collections import deque
from itertools import count
from time import monotonic_ns
from typing import TYPE_CHECKING

from atm.engine.asyncio_engine.load_model import LoadModel
from atm.engine.asyncio_engine.timeouts import NEVER
from atm.engine.asyncio_engine.user import User
from atm.models.outcome import StopReason
from atm.plan.pacing import Schedule

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.job import Job
    from atm.engine.asyncio_engine.run import Run
    from atm.metrics.recorder import Cell

_LATE_NS = 10_000_000
"""With `catch_up: none`, an arrival that is noticed later than this is skipped."""

_STARTS_AT_ONCE = 32
"""Arrivals that are served in one turn of the loop, so that answers are read in between while catching up."""


class OpenModel(LoadModel):
    """A free user takes each arrival, the one that was busy last first; without one it waits or is dropped."""

    def __init__(self, run: Run, ceiling: int) -> None:
        super().__init__(run)
        load = run.plan.load
        self._schedule = Schedule(load, run.plan.seed)
        self._arrivals = zip(count(1), self._schedule.starts(), strict=False)
        self._next: tuple[int, int] | None = next(self._arrivals, None)
        self._warm_up_arrivals = self._schedule.warm_up_arrivals
        self._most_users = load.max_in_flight or ceiling
        self._drops = load.on_saturation == "drop"
        self._latest = load.catch_up_max_ns if load.catch_up == "full" else _LATE_NS
        self._free: list[User] = []
        self._queue: deque[tuple[int, int]] = deque()
        self._count_end: int | None = None
        self._taken = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def user_count(self) -> int:
        return self._run.plan.load.max_in_flight or 0

    def on_time(self, now: int) -> int:
        if not self.is_sending:
            return NEVER
        if self._leg_over_at is not None and not self._queue and self._run.in_flight == 0:
            self._next_leg(now)
        served = 0
        while self._leg_over_at is None:
            at = NEVER if self._measured_in_leg >= self._limit else self._next_at()
            if at > now and self._leg_end > now:
                return min(at, self._leg_end)
            if at >= self._leg_end:
                self._leg_is_over(self._leg_end, now)
                break
            if served == _STARTS_AT_ONCE:
                return monotonic_ns()
            served += 1
            self._arrive(at)
        return NEVER

    def user_free(self, user: User, now: int) -> None:
        if self._queue and self.is_sending:
            number, intended = self._queue.popleft()
            job, cell = self._place(number)
            cell.waited_for_user(now - intended)
            user.begin(number, job, cell, intended, now)
            return
        self._free.append(user)
        if not self.is_sending:
            self._run.settle()
        elif self._leg_over_at is not None and self._run.in_flight == 0:
            self._run.ring_soon()

    def user_failed(self, user: User, now: int) -> None:
        self.user_free(user, now)

    def stop(self, at: int | None) -> None:
        assert at is not None
        super().stop(at)
        for number, intended in self._queue:
            self._place(number)[1].missed_at_end(max(0, at - intended))
        self._queue.clear()

    def offered_by(self, now: int) -> float:
        if self._run.plan.load.arrival == "poisson":
            # What chance asked for, not its mean: a run must not look late because the dice fell low.
            return self._taken
        run = self._run
        now = min(now, run.sending_end)
        if self._leg_over_at is not None:
            now = min(now, self._leg_over_at)
        return self._schedule.expected_arrivals(now - run.epoch - self.shift)

    @property
    def _leg_end(self) -> int:
        end = super()._leg_end
        return end if self._count_end is None else min(end, self._count_end)

    def _next_at(self) -> int:
        return NEVER if self._next is None else self._next[1] + self._run.epoch + self.shift

    def _arrive(self, intended: int) -> None:
        assert self._next is not None
        number, scheduled = self._next
        self._next = next(self._arrivals, None)
        self._taken += 1
        if number > self._warm_up_arrivals:
            self._measured_in_leg += 1
            if self._measured_in_leg == self._limit:
                self._count_end = intended + self._schedule.gap_ns(scheduled)
                if not self._is_last_leg:
                    # The next arrival is the next leg's, and chance may have put it before the end of the gap.
                    self._count_end = min(self._count_end, self._next_at())
                self._announce_end()
        job, cell = self._place(number)
        now = monotonic_ns()
        if not self._free and len(self.users) >= self._most_users:
            self._run.health.saturated = True
            if self._drops:
                cell.missed("dropped")
            else:
                self._queue.append((number, intended))
            return
        lag = now - intended
        if lag > self._latest:
            cell.missed("skipped")
            return
        self._run.health.started_late(lag)
        if self._free:
            user = self._free.pop()
        else:
            user = User(self._run)
            self.users[user] = None
        user.begin(number, job, cell, intended, now)

    def _place(self, number: int) -> tuple[Job, Cell]:
        """What arrival `number` sends, and where it counts."""
        if number <= self._warm_up_arrivals:
            job = self._jobs[self._select(number)]
            return job, job.warm_up
        job = self._job or self._jobs[self._select(number)]
        return job, job.measured

    def _leg_is_over(self, at: int, now: int) -> None:
        by_count = self._count_end is not None and at == self._count_end
        if not self._is_last_leg and (by_count or self._leg.count is None):
            self._leg_over_at = at
            self._count_end = None
            if self._run.in_flight == 0 and not self._queue:
                self._next_leg(now)
                self._run.ring_soon()
            return
        self._end(at, StopReason.TOTAL if by_count else self._leg.time_reason)
