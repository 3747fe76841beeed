"""The open schedule: arrivals start at their planned times, whatever the target does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from atm.engine.asyncio_engine.schedule.schedule import Arrival, Decisions, Schedule, UserT
from atm.engine.asyncio_engine.schedule.user_pool import UserPool
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan
from atm.plan.pacer import NEVER, Pacer
from atm.plan.randomness import lane_seed

_LATE_NS = 10_000_000
"""With `catch_up: none`, an arrival noticed later than this is skipped."""

_STARTS_AT_ONCE = 32
"""Most arrivals, or users to prepare, in one turn of the loop, so that responses are read while catching up."""


class OpenSchedule(Schedule[UserT]):
    """The most recently freed user takes each arrival; if none is free, the arrival waits or is dropped.

    Of prepared users, the one takes it who has been free the longest, so that all of them have iterations.
    """

    def __init__(
        self, plan: LoadPlan, lane: int, decisions: Decisions[UserT], clock: Callable[[], int], ceiling: int
    ) -> None:
        """`clock` gives the time of each of several starts within one call; `ceiling` is the most users allowed."""
        super().__init__(plan, lane, decisions)
        load, total = plan.lanes[lane].load, plan.lanes[lane].total
        self._clock = clock
        self._pacer = Pacer(load, lane_seed(plan.seed, lane))
        self._arrivals = self._pacer.arrivals(plan.share, total)
        self._warm_up_arrivals = self._pacer.warm_up_arrivals
        self._last_number = self._warm_up_arrivals
        """The number of the last arrival, once the measured load has begun."""
        last = 0 if total is None else self._warm_up_arrivals + total
        self._end_number = last if last and not plan.share.has(last - 1) else 0
        """The number of an arrival of another share that is only taken to end the load; 0 if there is none."""
        self._from = max(plan.share.from_ns - plan.lanes[lane].start_ns, 0)
        """Since the start of the lane: arrivals before are those of another share."""
        self._next = self._first()
        self._limit_in_flight = load.max_in_flight or 0
        self._most_users = load.max_in_flight or ceiling
        self._is_poisson = load.arrival == "poisson"
        self._drops = load.on_saturation == "drop"
        self._latest = load.catch_up_max_ns if load.catch_up == "full" else _LATE_NS
        self._free: deque[UserT] = deque()
        self._pool = self._new_pool(plan, lane)
        self._take_free = self._free.pop if self._pool is None else self._free.popleft
        self._queue: deque[Arrival] = deque()
        self._count_end: int | None = None
        self._taken = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def user_count(self) -> int:
        return self._limit_in_flight

    def start(self, epoch: int) -> None:
        super().start(epoch)
        if self._pool is not None:
            self._pool.open(epoch - self._pool.lead_ns)

    def on_time(self, now: int) -> int:
        following = self._start_due(now)
        if self._pool is not None and self.is_sending:
            following = min(following, self._prepare_due(self._pool, now))
        return following

    def _first(self) -> tuple[int, int] | None:
        """Return the number and the intended start of the first arrival."""
        for number, moment in self._arrivals:
            if moment >= self._from or number == self._end_number:
                return number, moment
        return None

    def _new_pool(self, plan: LoadPlan, lane: int) -> UserPool[UserT] | None:
        prepared = plan.lanes[lane].prepared
        return None if prepared is None else UserPool(prepared, plan.share, plan.lanes[lane].flows[0], self._new_user)

    def _new_user(self) -> UserT:
        user = self._decisions.new_user()
        self.users[user] = None
        return user

    def _prepare_due(self, pool: UserPool[UserT], now: int) -> int:
        """Let the users begin to prepare who are due; return when the next one is."""
        for _ in range(_STARTS_AT_ONCE):
            if pool.next_at > now:
                break
            pool.take().prepare(pool.flow, self._clock(), is_warm_up=False)
            self.in_flight += 1
        return pool.next_at

    def _start_due(self, now: int) -> int:
        """Start the arrivals that are due; return when the next one is."""
        if not self.is_sending:
            return NEVER
        if self._leg_over_at is not None and not self._queue and self.in_flight == 0:
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
                return self._clock()
            served += 1
            self._arrive(at)
        return NEVER

    def user_failed(self, user: UserT, now: int) -> None:
        self.user_free(user, now)

    def user_free(self, user: UserT, now: int) -> None:
        self.in_flight -= 1
        if self._queue and self.is_sending:
            arrival = self._queue.popleft()
            self._decisions.waited(arrival, now - arrival.intended)
            user.begin(*arrival[:3], now, arrival.is_warm_up)
            self.in_flight += 1
            return
        self._free.append(user)
        if not self.is_sending:
            self._decisions.settle()
        elif self._leg_over_at is not None and self.in_flight == 0:
            self._decisions.wake_at(now)

    def user_not_prepared(self, user: UserT, now: int) -> None:
        self.in_flight -= 1
        self._begin_again(user, now)

    def user_stopped(self, user: UserT, now: int) -> None:
        if self._pool is None:
            self.user_free(user, now)
            return
        self.in_flight -= 1
        self._decisions.retire(user)
        self._begin_again(user, now)

    def _begin_again(self, user: UserT, now: int) -> None:
        """Let a user prepare again, unless sending has ended."""
        assert self._pool is not None
        self._pool.begin_again(user, now)
        if self.is_sending:
            self._decisions.wake_at(self._pool.next_at)
        else:
            self._decisions.settle()

    def stop(self, at: int | None) -> None:
        assert at is not None
        super().stop(at)
        for arrival in self._queue:
            self._decisions.missed_at_end(arrival, max(0, at - arrival.intended))
        self._queue.clear()

    def offered_by(self, now: int) -> float:
        if self._is_poisson:
            # The arrivals actually drawn, not their mean: a run must not look late because of a low draw.
            return self._taken
        now = min(now, self.sending_end)
        if self._leg_over_at is not None:
            now = min(now, self._leg_over_at)
        elapsed = max(now - self._epoch - self.shift, self._from)
        expected = self._pacer.expected_arrivals(elapsed) - self._pacer.expected_arrivals(self._from)
        return expected * self._share.part

    def _end_of_leg(self) -> int:
        end = super()._end_of_leg()
        return end if self._count_end is None else min(end, self._count_end)

    def _next_at(self) -> int:
        return NEVER if self._next is None else self._next[1] + self._epoch + self.shift

    def _arrive(self, intended: int) -> None:
        assert self._next is not None
        number, scheduled = self._next
        self._next = next(self._arrivals, None)
        if number > self._warm_up_arrivals:
            # Those of other shares count as well.
            self._measured_in_leg += number - self._last_number
            self._last_number = number
            if self._measured_in_leg == self._limit:
                self._count_end = intended + self._pacer.gap_ns(scheduled)
                if not self._is_last_leg:
                    # The next arrival belongs to the next leg, and a random one may be earlier than the end of the gap.
                    self._count_end = min(self._count_end, self._next_at())
                self._announce_end()
        if number == self._end_number:
            return
        self._taken += 1
        is_warm_up = number <= self._warm_up_arrivals
        flow = None if is_warm_up else self._leg.flow
        if flow is None:
            flow = self._select(number)
        now = self._clock()
        if not self._free and (self._pool is not None or len(self.users) >= self._most_users):
            self._decisions.saturated()
            if self._drops:
                self._decisions.missed(Arrival(number, flow, intended, is_warm_up), "dropped")
            else:
                self._queue.append(Arrival(number, flow, intended, is_warm_up))
            return
        lag = now - intended
        if lag > self._latest:
            self._decisions.missed(Arrival(number, flow, intended, is_warm_up), "skipped")
            return
        self._decisions.started_late(lag)
        user = self._take_free() if self._free else self._new_user()
        user.begin(number, flow, intended, now, is_warm_up)
        self.in_flight += 1

    def _leg_is_over(self, at: int, now: int) -> None:
        by_count = self._count_end is not None and at == self._count_end
        if not self._is_last_leg and (by_count or self._leg.count is None):
            self._leg_over_at = at
            self._count_end = None
            if self.in_flight == 0 and not self._queue:
                self._next_leg(now)
                self._decisions.wake_at(now)
            return
        self._end(at, StopReason.TOTAL if by_count else self._leg.time_reason)
