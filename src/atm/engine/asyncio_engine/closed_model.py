"""The closed model: each user starts its next request when the last one has ended."""

from __future__ import annotations

from collections import deque
from time import monotonic_ns
from typing import TYPE_CHECKING

from atm.engine.asyncio_engine.load_model import LoadModel
from atm.engine.asyncio_engine.timeouts import NEVER
from atm.engine.asyncio_engine.user import User
from atm.models.outcome import StopReason
from atm.plan.pacing import user_changes

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.run import Run

_BACK_OFF_NS = 100_000_000
_STARTS_AT_ONCE = 32
"""Users that start in one turn of the loop: a thousand dials in one turn would be a stall of our own making."""


class ClosedModel(LoadModel):
    """Users come and go with the profile; a free one starts at once, or with `max_rate` when its token comes."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        load = run.plan.load
        self._warm_up_end = 0
        self._changes = user_changes(load)
        self._next_change: tuple[int, int] | None = next(self._changes, None)
        self._target = 0
        self._gap = int(1e9 / load.max_rate) if load.max_rate else 0
        self._last_token = 0
        self._with_token: deque[tuple[int, User]] = deque()
        self._backing_off: deque[tuple[int, User]] = deque()
        self._parked: list[User] = []
        self._starting: list[User] = []

    @property
    def waiting(self) -> int:
        return 0

    @property
    def user_count(self) -> int:
        return len(self.users)

    def start(self, now: int) -> None:
        super().start(now)
        self._warm_up_end = now + self._run.plan.load.warm_up_ns
        self._last_token = now - self._gap

    def on_time(self, now: int) -> int:
        if not self.is_sending:
            return NEVER
        if self._leg_over_at is None and now >= self._leg_end:
            if self._is_last_leg or self._leg.count is not None:
                self._time_is_over()
                return NEVER
            self._leg_over_at = self._leg_end
            self._give_tokens_back()
        if self._leg_over_at is not None and self._is_at_barrier:
            self._next_leg(now)
            self._starting.extend(self._parked)
            self._parked.clear()
        change_at = self._follow_profile(now)
        while self._backing_off and self._backing_off[0][0] <= now:
            self.user_free(self._backing_off.popleft()[1], now)
        while self._with_token and self._with_token[0][0] <= now:
            intended, user = self._with_token.popleft()
            self._begin(user, intended, monotonic_ns(), is_paced=True)
        if self._parked and self._measured_in_leg >= self._limit:
            self._leg_is_exhausted(now)
        for _ in range(min(_STARTS_AT_ONCE, len(self._starting))):
            self.user_free(self._starting.pop(), monotonic_ns())
        if self._starting:
            return monotonic_ns()
        return min(
            change_at,
            self._leg_end if self._leg_over_at is None else NEVER,
            self._backing_off[0][0] if self._backing_off else NEVER,
            self._with_token[0][0] if self._with_token else NEVER,
        )

    def user_free(self, user: User, now: int) -> None:
        if not self.is_sending:
            self._parked.append(user)
            self._run.settle()
        elif len(self.users) > self._target:
            self._retire(user)
        elif now >= self._leg_end:
            self._parked.append(user)
            self._run.ring_soon()
        elif self._measured_in_leg >= self._limit:
            self._parked.append(user)
            self._leg_is_exhausted(now)
        elif not self._gap:
            self._begin(user, now, now)
        else:
            intended = max(now, self._last_token + self._gap)
            self._last_token = intended
            if intended >= self._warm_up_end:
                self._measured_in_leg += 1
            if intended <= now:
                self._begin(user, intended, now, is_paced=True)
            else:
                self._with_token.append((intended, user))
                self._run.ring_at(intended)

    def user_failed(self, user: User, now: int) -> None:
        self._backing_off.append((now + _BACK_OFF_NS, user))
        self._run.ring_at(now + _BACK_OFF_NS)
        if not self.is_sending:
            self._run.settle()

    def _begin(self, user: User, intended: int, now: int, *, is_paced: bool = False) -> None:
        self._number = number = self._number + 1
        if intended < self._warm_up_end:
            job = self._jobs[self._select(number)]
            cell = job.warm_up
        else:
            job = self._job or self._jobs[self._select(number)]
            cell = job.measured
            if not is_paced:
                self._measured_in_leg += 1
        if is_paced:
            self._run.health.started_late(now - intended)
        user.begin(number, job, cell, intended, now)

    def _follow_profile(self, now: int) -> int:
        """Take the number of users from the profile; returns when it changes next."""
        elapsed = now - self._run.epoch - self.shift
        while self._next_change is not None and self._next_change[0] <= elapsed:
            self._target = self._next_change[1]
            self._next_change = next(self._changes, None)
        for _ in range(self._target - len(self.users)):
            user = User(self._run)
            self.users[user] = None
            self._starting.append(user)
        while len(self.users) > self._target and (idle := self._idle_user()) is not None:
            self._retire(idle)
        return NEVER if self._next_change is None else self._next_change[0] + self._run.epoch + self.shift

    def _idle_user(self) -> User | None:
        for users in (self._starting, self._parked):
            if users:
                return users.pop()
        for queue in (self._backing_off, self._with_token):
            if queue:
                # The token that the last one had waited for goes with it.
                if queue is self._with_token and queue[-1][0] >= self._warm_up_end:
                    self._measured_in_leg -= 1
                return queue.pop()[1]
        return None

    def _retire(self, user: User) -> None:
        del self.users[user]
        user.close()

    def _leg_is_exhausted(self, now: int) -> None:
        """All requests of the leg are started, or wait for their token."""
        if self._with_token:
            return
        if self._is_last_leg:
            self._end(None, StopReason.TOTAL)
            return
        if self._leg_over_at is None:
            self._leg_over_at = now
        if self._is_at_barrier:
            self._run.ring_soon()

    def _time_is_over(self) -> None:
        self._give_tokens_back()
        self._end(self._leg_end, self._leg.time_reason)

    def _give_tokens_back(self) -> None:
        """The users that waited for a token will start nothing in this leg."""
        self._parked.extend(user for _, user in self._with_token)
        self._with_token.clear()

    @property
    def _is_at_barrier(self) -> bool:
        return self._run.in_flight == 0 and not self._with_token
