"""What the closed and the open model share: who decides which user sends which request when."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from atm.engine.asyncio_engine.legs import Leg, legs_of, selector_of
from atm.engine.asyncio_engine.timeouts import NEVER
from atm.engine.asyncio_engine.user import User
from atm.models.outcome import StopReason

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.job import Job
    from atm.engine.asyncio_engine.run import Run

UNLIMITED = 1 << 62


class LoadModel(ABC):
    """Called on the engine's loop only. All times are ns of the monotonic clock unless they say otherwise.

    A leg is over when it may start no further request; the next one begins when nothing is in flight any more. The
    time between the two is barrier time: by it all later moments of the plan are moved (`shift`).
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._jobs: Sequence[Job] = run.jobs
        self._select = selector_of(run.plan)
        self._legs = legs_of(run.plan)
        self._leg_index = 0
        self._leg: Leg = self._legs[0]
        self._job: Job | None = None if self._leg.flow is None else self._jobs[self._leg.flow]
        self._measured_in_leg = 0
        self._limit = UNLIMITED if self._leg.count is None else self._leg.count
        self._leg_over_at: int | None = None
        self._number = 0
        self.users: dict[User, None] = {}
        self.shift = 0
        """Barrier time so far."""
        self.is_sending = True

    def start(self, now: int) -> None:  # noqa: ARG002  # for those who count from it
        """Begin; the epoch of the run is set."""
        self._announce_end()

    @abstractmethod
    def on_time(self, now: int) -> int:
        """Do what is due, and say when to look again."""

    @abstractmethod
    def user_free(self, user: User, now: int) -> None:
        """A request of `user` has ended."""

    @abstractmethod
    def user_failed(self, user: User, now: int) -> None:
        """A request of `user` has ended by our own fault."""

    def stop(self, at: int | None) -> None:
        """Start nothing any more; sending has ended at `at`, or (None) ends with the last finish."""
        self.is_sending = False
        if at is not None and self._leg_over_at is not None:
            # The end has come while the next leg was waiting for its barrier.
            self.shift += max(0, at - self._leg_over_at)

    @property
    @abstractmethod
    def waiting(self) -> int:
        """Arrivals that wait for a user."""

    @property
    @abstractmethod
    def user_count(self) -> int:
        """Users that exist (closed), or the limit in flight (open)."""

    def offered_by(self, _now: int) -> float:
        """Arrivals that the plan has asked for up to a moment (open model)."""
        return 0.0

    @property
    def _leg_end(self) -> int:
        """When this leg's time is over; NEVER without an end."""
        end = self._leg.end_ns
        return NEVER if end is None else self._run.epoch + end + self.shift

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
        self._job = None if self._leg.flow is None else self._jobs[self._leg.flow]
        self._measured_in_leg = 0
        self._limit = UNLIMITED if self._leg.count is None else self._leg.count
        self._announce_end()

    def _announce_end(self) -> None:
        """Tell the end of sending as soon as it is known, so that what finishes right after it counts as drained."""
        if self._is_last_leg:
            self._run.sending_end = self._leg_end

    def _end(self, at: int | None, reason: StopReason) -> None:
        """Sending has ended by the plan: at a moment, or (None) with the last finish."""
        self.stop(at)
        self._run.end_sending(at, reason)
