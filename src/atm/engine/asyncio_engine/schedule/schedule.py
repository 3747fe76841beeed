"""What the closed and the open schedule share: legs, barriers, selection, and the end of sending."""

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
    """1-based, over the whole run."""
    flow: int
    intended: int
    """When it should start (ns of the clock that `start` was called with)."""
    is_warm_up: bool


class Starter(Protocol):
    """A user, as far as a schedule knows it."""

    def begin(self, number: int, flow: int, intended: int, now: int, is_warm_up: bool) -> None:
        """Start an iteration at `now`; the schedule hears of its end by `user_free` or `user_failed`, never within."""
        ...


UserT = TypeVar("UserT", bound=Starter)


class Decisions(Protocol[UserT]):
    """Carries out what a schedule decides. `now` is the moment of the decision."""

    def new_user(self) -> UserT: ...

    def retire(self, user: UserT) -> None:
        """The user has left the load."""
        ...

    def ring_at(self, at: int) -> None:
        """Call `on_time` at a moment, the latest."""
        ...

    def end_known(self, at: int) -> None:
        """Sending will end at a moment (NEVER: with the last finish)."""
        ...

    def end_sending(self, at: int | None, reason: StopReason) -> None:
        """Sending has ended at a moment, or (None) ends with the last finish."""
        ...

    def settle(self) -> None:
        """Sending has ended before, and a user has become free: the run may be over."""
        ...

    def started_late(self, by: int) -> None:
        """An iteration that had a free user starts `by` ns after its intended start."""
        ...

    def waited(self, arrival: Arrival, waited: int) -> None:
        """An arrival starts after it has waited for a free user."""
        ...

    def missed(self, arrival: Arrival, kind: Literal["dropped", "skipped"]) -> None:
        """An arrival will never start."""
        ...

    def missed_at_end(self, arrival: Arrival, waited: int) -> None:
        """An arrival was still waiting for a user when sending ended."""
        ...

    def saturated(self) -> None:
        """A free user is missing."""
        ...


class Schedule(ABC, Generic[UserT]):
    """Called on the engine's loop only. All times are ns of one clock unless they say otherwise.

    A leg is over when it may start no further iteration; the next one begins when nothing is in flight any more. The
    time between the two is barrier time: by it all later moments of the plan are moved (`shift`).
    """

    def __init__(self, plan: LoadPlan, decisions: Decisions[UserT]) -> None:
        self._decisions = decisions
        self._warm_up_ns = plan.load.warm_up_ns
        self._select = selector_of(plan)
        self._legs = legs_of(plan)
        self._leg_index = 0
        self._leg: Leg = self._legs[0]
        self._leg_end = NEVER
        """When this leg's time is over; NEVER without an end."""
        self._measured_in_leg = 0
        self._limit = UNLIMITED if self._leg.count is None else self._leg.count
        self._leg_over_at: int | None = None
        self._epoch = 0
        self.users: dict[UserT, None] = {}
        """Those that exist, in the order in which they came."""
        self.in_flight = 0
        """Iterations under way."""
        self.shift = 0
        """Barrier time so far."""
        self.is_sending = True
        self.sending_end = NEVER
        """NEVER while it is not known, and where the last finish is the end."""

    def start(self, epoch: int) -> None:
        """Begin: `epoch` is the start of the run."""
        self._epoch = epoch
        self._announce_end()

    @abstractmethod
    def on_time(self, now: int) -> int:
        """Do what is due, and return when to look again."""

    @abstractmethod
    def user_free(self, user: UserT, now: int) -> None:
        """An iteration of `user` has ended."""

    @abstractmethod
    def user_failed(self, user: UserT, now: int) -> None:
        """An iteration of `user` has ended by our own fault."""

    def stop(self, at: int | None) -> None:
        """Start nothing any more; sending has ended at `at`, or (None) ends with the last finish."""
        self.is_sending = False
        self.sending_end = NEVER if at is None else at
        if at is not None and self._leg_over_at is not None:
            # The end has come while the next leg was waiting for its barrier.
            self.shift += max(0, at - self._leg_over_at)

    def leave_unfinished(self) -> None:
        """The run ends; nothing is in flight any more."""
        self.in_flight = 0

    @property
    @abstractmethod
    def waiting(self) -> int:
        """Arrivals that wait for a user."""

    @property
    @abstractmethod
    def user_count(self) -> int:
        """Users that exist (closed), or the limit in flight (open)."""

    def offered_by(self, _now: int) -> float:
        """Arrivals that the plan has asked for up to a moment (open schedule)."""
        return 0.0

    @property
    def _is_last_leg(self) -> bool:
        return self._leg_index == len(self._legs) - 1

    def _next_leg(self, now: int) -> None:
        """The barrier opens."""
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
        """Make the end of sending known early, so that what finishes right after it counts as drained."""
        self._leg_end = self._end_of_leg()
        if self._is_last_leg:
            self.sending_end = self._leg_end
            self._decisions.end_known(self.sending_end)

    def _end(self, at: int | None, reason: StopReason) -> None:
        """Sending has ended by the plan: at a moment, or (None) with the last finish."""
        self.stop(at)
        self._decisions.end_sending(at, reason)
