"""Base class of the closed and the open schedule: legs, barriers, flow selection, end of sending."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from atm.engine.asyncio_engine.schedule.legs import Leg, legs_of, selector_of
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan
from atm.plan.pacer import NEVER

UNLIMITED = 1 << 62


class Arrival(NamedTuple):
    """An iteration that waits for a user, or that will never start."""

    number: int
    """1-based, over the whole lane."""
    flow: int
    intended: int
    """Its intended start (ns of the clock used for `start`)."""
    is_warm_up: bool


class ScheduledUser(Protocol):
    """The interface of a user that a schedule needs."""

    @property
    def not_before(self) -> int:
        """The earliest intended start of its next iteration (the pace of its scenario); 0 without a pace."""
        ...

    @property
    def is_prepared(self) -> bool:
        """Whether it has done what `Flow.before_user` demands before its first iteration."""
        ...

    def prepare(self, flow: int, now: int, is_warm_up: bool) -> None:
        """Do it at `now`; its end is reported by `user_free` or `user_not_prepared`, never within this call."""
        ...

    def begin(self, number: int, flow: int, intended: int, now: int, is_warm_up: bool) -> None:
        """Start an iteration at `now`; its end is reported by `user_free` or `user_failed`, never within this call."""
        ...


UserT = TypeVar("UserT", bound=ScheduledUser)


class Decisions(Protocol[UserT]):
    """Carries out the decisions of a schedule. `now` is the time of the decision."""

    def new_user(self) -> UserT: ...

    def retire(self, user: UserT) -> None:
        """Close the connections of a user who leaves the load, or begins anew."""
        ...

    def wake_at(self, at: int) -> None:
        """Call `on_time` at the given time, the latest."""
        ...

    def end_known(self, at: int) -> None:
        """Record that sending will end at a given time (NEVER: with the last finish)."""
        ...

    def end_sending(self, at: int | None, reason: StopReason) -> None:
        """Record that sending has ended at a given time, or (None) ends with the last finish."""
        ...

    def settle(self) -> None:
        """End the run if it is over: sending has ended earlier, and a user has become free."""
        ...

    def started_late(self, by: int) -> None:
        """Record an iteration that had a free user but starts `by` ns after its intended start."""
        ...

    def waited(self, arrival: Arrival, waited: int) -> None:
        """Record an arrival that starts after waiting for a free user."""
        ...

    def missed(self, arrival: Arrival, kind: Literal["dropped", "skipped"]) -> None:
        """Record an arrival that will never start."""
        ...

    def missed_at_end(self, arrival: Arrival, waited: int) -> None:
        """Record an arrival that was still waiting for a user when sending ended."""
        ...

    def saturated(self) -> None:
        """Record that no user was free."""
        ...


class Schedule(ABC, Generic[UserT]):
    """Called on the engine's loop only. All times are ns of one clock unless documented otherwise.

    A leg is over when it may start no further iteration; the next one starts when nothing is in flight any more. The
    time between the two is barrier time; it shifts all later times of the plan (`shift`).
    """

    def __init__(self, plan: LoadPlan, lane: int, decisions: Decisions[UserT]) -> None:
        """`lane` is the index of the lane that this schedule starts."""
        self._decisions = decisions
        self._share = plan.share
        self._warm_up_ns = plan.lanes[lane].load.warm_up_ns
        self._select = selector_of(plan, lane)
        self._legs = legs_of(plan.lanes[lane])
        self._leg_index = 0
        self._leg: Leg = self._legs[0]
        self._leg_end = NEVER
        """The end of this leg's time; NEVER if it has none."""
        self._measured_in_leg = 0
        self._limit = UNLIMITED if self._leg.count is None else self._leg.count
        self._leg_over_at: int | None = None
        self._epoch = 0
        self.users: dict[UserT, None] = {}
        """Existing users, in the order of their creation."""
        self.in_flight = 0
        """Iterations in progress."""
        self.shift = 0
        """Barrier time so far."""
        self.is_sending = True
        self.sending_end = NEVER
        """NEVER while it is unknown, and where the last finish is the end."""

    def start(self, epoch: int) -> None:
        """Start the schedule; `epoch` is the time zero of the lane."""
        self._epoch = epoch
        self._announce_end()

    @abstractmethod
    def on_time(self, now: int) -> int:
        """Do what is due, and return the time of the next call."""

    @abstractmethod
    def user_free(self, user: UserT, now: int) -> None:
        """Handle the end of an iteration of `user`."""

    @abstractmethod
    def user_failed(self, user: UserT, now: int) -> None:
        """Handle an iteration of `user` that ended with a generator error."""

    @abstractmethod
    def user_not_prepared(self, user: UserT, now: int) -> None:
        """Handle a user that failed before its first iteration."""

    @abstractmethod
    def user_stopped(self, user: UserT, now: int) -> None:
        """Handle an iteration after which `user` is to start no other, or in an open load has to prepare again."""

    @property
    def has_started_all(self) -> bool:
        """Whether the last iteration of the total has started, and sending ends with the last finish."""
        return False

    def stop(self, at: int | None) -> None:
        """Start nothing more; sending has ended at `at`, or (None) ends with the last finish."""
        self.is_sending = False
        self.sending_end = NEVER if at is None else at
        if at is not None and self._leg_over_at is not None:
            # The end came while the next leg was waiting at its barrier.
            self.shift += max(0, at - self._leg_over_at)

    def leave_unfinished(self) -> None:
        """Note that the run ends and nothing is in flight any more."""
        self.in_flight = 0

    @property
    @abstractmethod
    def waiting(self) -> int:
        """Number of arrivals that wait for a user."""

    @property
    @abstractmethod
    def user_count(self) -> int:
        """Number of existing users (closed), or the limit of iterations in flight (open)."""

    def offered_by(self, _now: int) -> float:
        """Arrivals due up to a given time (open schedule)."""
        return 0.0

    @property
    def _is_last_leg(self) -> bool:
        return self._leg_index == len(self._legs) - 1

    def _next_leg(self, now: int) -> None:
        """Open the barrier and start the next leg."""
        assert self._leg_over_at is not None
        self.shift += max(0, now - self._leg_over_at)
        self._leg_over_at = None
        self._leg_index += 1
        self._leg = self._legs[self._leg_index]
        self._measured_in_leg = 0
        self._limit = UNLIMITED if self._leg.count is None else self._leg.count
        self._announce_end()

    def _end_of_leg(self) -> int:
        end = self._leg.end_ns
        return NEVER if end is None else self._epoch + end + self.shift

    def _announce_end(self) -> None:
        """Announce the end of sending early, so that what finishes right after it counts as drained."""
        self._leg_end = self._end_of_leg()
        if self._is_last_leg:
            self.sending_end = self._leg_end
            self._decisions.end_known(self.sending_end)

    def _end(self, at: int | None, reason: StopReason) -> None:
        """End sending as planned: at a given time, or (None) with the last finish."""
        self.stop(at)
        self._decisions.end_sending(at, reason)
