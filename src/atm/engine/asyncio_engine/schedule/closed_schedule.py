"""The closed schedule: each user starts its next iteration when the previous one has ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from atm.engine.asyncio_engine.schedule.schedule import UNLIMITED, Decisions, Schedule, UserT
from atm.models.outcome import StopReason
from atm.plan.load_plan import RETRY_NS, LoadPlan
from atm.plan.pacer import NEVER, peak_users, user_changes

_BACK_OFF_NS = 100_000_000
_STARTS_AT_ONCE = 32
"""Most users to start in one turn of the loop: a thousand dials in one turn would stall the generator."""


class ClosedSchedule(Schedule[UserT]):
    """The profile sets the number of users; a free one starts at once.

    With `max_rate` it starts when its token is due; with a pace, not earlier than `ScheduledUser.not_before`.
    """

    def __init__(self, plan: LoadPlan, lane: int, decisions: Decisions[UserT], clock: Callable[[], int]) -> None:
        """`clock` gives the time of each of several starts within one call."""
        super().__init__(plan, lane, decisions)
        load, share, last_number = plan.lanes[lane].load, plan.share, plan.lanes[lane].last_number
        self._clock = clock
        self._begun = 0
        self._is_whole = share.of == 1
        self._most = UNLIMITED if last_number is None else share.count(last_number)
        """The most iterations that may begin."""
        self._is_idle = share.of > 1 and (share.count(peak_users(load)) == 0 or plan.lanes[lane].total == 0)
        """Whether the share has nothing to send."""
        self._warm_up_end = 0
        self._changes = ((at, share.count(users)) for at, users in user_changes(load))
        self._next_change: tuple[int, int] | None = next(self._changes, None)
        self._target = 0
        self._gap = int(1e9 / load.max_rate) if load.max_rate else 0
        self._last_token = 0
        flows = [plan.flows[flow] for flow in plan.lanes[lane].flows]
        self._has_pace = any(flow.pace_ns or flow.code is not None for flow in flows)
        """Whether an iteration may leave a time before which its user begins no other (`ScheduledUser.not_before`)."""
        ends_itself = all(flow.code is not None and flow.code.on_exception != "stop_user" for flow in flows)
        self._reason_of_stopped = StopReason.TOTAL if ends_itself else StopReason.STOPPED
        """Why the load ends when every user has stopped: code may end its users as a part of the test."""
        self._to_prepare = next((flow for flow in plan.lanes[lane].flows if plan.flows[flow].before_user), None)
        """The flow, the only one of its lane, whose users do something before their first iteration."""
        self._is_unpaced = not self._gap and not self._has_pace
        self._starts_at_once = self._is_unpaced and self._to_prepare is None
        """Whether a user that is free waits for nothing of its own."""
        self._with_token: deque[tuple[int, UserT]] = deque()
        self._paced: list[tuple[int, int, UserT]] = []
        """Heap of users that wait for their pace, or to begin again before their first iteration, with a serial
        number."""
        self._serials = count()
        self._stopped: list[UserT] = []
        """Users that start no other iteration; the profile does not replace them."""
        self._backing_off: deque[tuple[int, UserT]] = deque()
        self._parked: list[UserT] = []
        self._starting: list[UserT] = []

    @property
    def waiting(self) -> int:
        return 0

    @property
    def user_count(self) -> int:
        return len(self.users) - len(self._stopped)

    def start(self, epoch: int) -> None:
        super().start(epoch)
        self._warm_up_end = epoch + self._warm_up_ns
        self._last_token = epoch - self._gap
        if self._is_idle:
            self._end(None, StopReason.TOTAL)

    def on_time(self, now: int) -> int:
        if not self.is_sending:
            return NEVER
        if self._leg_over_at is None and now >= self._leg_end:
            if self._is_last_leg or self._leg.count is not None:
                self._time_is_over()
                return NEVER
            self._leg_over_at = self._leg_end
            self._return_tokens()
        if self._leg_over_at is not None and self._is_at_barrier:
            self._next_leg(now)
            self._starting.extend(self._parked)
            self._parked.clear()
        change_at = self._follow_profile(now)
        while self._backing_off and self._backing_off[0][0] <= now:
            self._start(self._backing_off.popleft()[1], now)
        while self._paced and self._paced[0][0] <= now:
            due, _, user = heappop(self._paced)
            self._start(user, now, due)
        while self._with_token and self._with_token[0][0] <= now:
            intended, user = self._with_token.popleft()
            self._begin(user, intended, self._clock(), is_paced=True)
            self.in_flight += 1
        if self._parked and self._is_exhausted:
            self._leg_is_exhausted(now)
        for _ in range(min(_STARTS_AT_ONCE, len(self._starting))):
            self._start(self._starting.pop(), self._clock())
        if self._starting:
            return self._clock()
        if self._stopped:
            self._end_if_all_stopped(now)
        return min(
            change_at,
            self._leg_end if self._leg_over_at is None else NEVER,
            self._backing_off[0][0] if self._backing_off else NEVER,
            self._with_token[0][0] if self._with_token else NEVER,
            self._paced[0][0] if self._paced else NEVER,
        )

    def user_free(self, user: UserT, now: int, due: int = 0) -> None:
        """Handle the end of an iteration of `user`; `due`: the time that its pace demanded, which has come."""
        if (
            self._starts_at_once
            and now < self._leg_end
            and self._measured_in_leg < self._limit
            and self._begun < self._most
            and self.is_sending
            and len(self.users) <= self._target
        ):
            # The usual case: one iteration follows another.
            self._begin(user, now, now)
            return
        self.in_flight -= 1
        if not self.is_sending:
            self._parked.append(user)
            self._decisions.settle()
        elif len(self.users) > self._target:
            self._retire(user)
        elif now >= self._leg_end:
            self._parked.append(user)
            self._decisions.wake_at(now)
        elif self._is_exhausted:
            self._parked.append(user)
            self._leg_is_exhausted(now)
        elif self._to_prepare is not None and not user.is_prepared:
            user.prepare(self._to_prepare, now, now < self._warm_up_end)
            self.in_flight += 1
        elif self._is_unpaced:
            self._begin(user, now, now)
            self.in_flight += 1
        elif self._has_pace and not due and user.not_before > now:
            heappush(self._paced, (user.not_before, next(self._serials), user))
            self._decisions.wake_at(user.not_before)
        else:
            intended = due or now
            if self._gap:
                intended = self._last_token = max(intended, self._last_token + self._gap)
            if intended >= self._warm_up_end:
                self._measured_in_leg += 1
            if intended <= now:
                self._begin(user, intended, now, is_paced=True)
                self.in_flight += 1
            else:
                self._with_token.append((intended, user))
                self._decisions.wake_at(intended)

    def user_failed(self, user: UserT, now: int) -> None:
        self.in_flight -= 1
        self._backing_off.append((now + _BACK_OFF_NS, user))
        self._decisions.wake_at(now + _BACK_OFF_NS)
        if not self.is_sending:
            self._decisions.settle()

    def user_not_prepared(self, user: UserT, now: int) -> None:
        self.in_flight -= 1
        heappush(self._paced, (now + RETRY_NS, next(self._serials), user))
        self._decisions.wake_at(now + RETRY_NS)
        if not self.is_sending:
            self._decisions.settle()

    def user_stopped(self, user: UserT, now: int) -> None:
        self.in_flight -= 1
        self._stopped.append(user)
        if not self.is_sending:
            self._decisions.settle()
        elif self._measured_in_leg >= self._limit:
            self._leg_is_exhausted(now)
        else:
            self._end_if_all_stopped(now)

    @property
    def has_started_all(self) -> bool:
        return self._is_last_leg and self._measured_in_leg >= self._limit and not self._with_token

    def _end_if_all_stopped(self, now: int) -> None:
        """End sending if every user has stopped, and the profile adds no other."""
        if self.is_sending and self._next_change is None and len(self._stopped) == len(self.users) == self._target:
            self._end(now, self._reason_of_stopped)

    def _start(self, user: UserT, now: int, due: int = 0) -> None:
        """Start a user without an iteration as if its iteration had just ended."""
        self.in_flight += 1
        self.user_free(user, now, due)

    def _begin(self, user: UserT, intended: int, now: int, *, is_paced: bool = False) -> None:
        """Start an iteration of `user`; the caller counts it as in flight."""
        begun = self._begun
        number = begun + 1 if self._is_whole else self._share.index(begun) + 1
        self._begun = begun + 1
        is_warm_up = intended < self._warm_up_end
        if is_paced:
            self._decisions.started_late(now - intended)
        elif not is_warm_up:
            self._measured_in_leg += 1
        flow = None if is_warm_up else self._leg.flow
        if flow is None:
            flow = self._select(number)
        user.begin(number, flow, intended, now, is_warm_up)

    def _follow_profile(self, now: int) -> int:
        """Adjust the number of users to the profile; return the time of the next change."""
        elapsed = now - self._epoch - self.shift
        while self._next_change is not None and self._next_change[0] <= elapsed:
            self._target = self._next_change[1]
            self._next_change = next(self._changes, None)
        for _ in range(self._target - len(self.users)):
            user = self._decisions.new_user()
            self.users[user] = None
            self._starting.append(user)
        while len(self.users) > self._target and (idle := self._idle_user()) is not None:
            self._retire(idle)
        return NEVER if self._next_change is None else self._next_change[0] + self._epoch + self.shift

    def _idle_user(self) -> UserT | None:
        for users in (self._stopped, self._starting, self._parked):
            if users:
                return users.pop()
        if self._paced:
            return self._paced.pop()[2]
        for queue in (self._backing_off, self._with_token):
            if queue:
                # The token that the retired user was waiting for is lost.
                if queue is self._with_token and queue[-1][0] >= self._warm_up_end:
                    self._measured_in_leg -= 1
                return queue.pop()[1]
        return None

    def _retire(self, user: UserT) -> None:
        del self.users[user]
        self._decisions.retire(user)

    @property
    def _is_exhausted(self) -> bool:
        """Whether no further iteration may begin in this leg, because of the numbers given out."""
        if self._measured_in_leg >= self._limit:
            return True
        return self._begun + len(self._with_token) >= self._most

    def _leg_is_exhausted(self, now: int) -> None:
        """Handle the end of a leg by number: all its requests have started, or wait for their token."""
        if self._with_token:
            return
        if self._is_last_leg:
            self._end(None, StopReason.TOTAL)
            return
        if self._leg_over_at is None:
            self._leg_over_at = now
        if self._is_at_barrier:
            self._decisions.wake_at(now)

    def _time_is_over(self) -> None:
        self._return_tokens()
        self._end(self._leg_end, self._leg.time_reason)

    def _return_tokens(self) -> None:
        """Return the tokens of waiting users, which will start nothing in this leg."""
        self._parked.extend(user for _, user in self._with_token)
        self._with_token.clear()

    @property
    def _is_at_barrier(self) -> bool:
        return self.in_flight == 0 and not self._with_token
