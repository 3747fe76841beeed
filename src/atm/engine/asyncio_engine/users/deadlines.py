"""Request timeouts: one heap for the whole run, with one entry per user instead of one per request.

A user's `Request` is reused, and its heap entry may hold the deadline of an earlier request; when that time comes and
the current deadline is later, the entry moves there. A request that ends in time thus costs one comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from atm.plan.pacer import NEVER


class Timed(Protocol):
    """An object with a deadline."""

    deadline: int
    """NEVER while nothing is in flight."""
    armed_at: int
    """The time of its heap entry; NEVER without one."""

    def time_out(self, now: int) -> None: ...


class Deadlines:
    """The deadlines of all requests in flight, in ns of the monotonic clock."""

    def __init__(self, wake_at: Callable[[int], None]) -> None:
        """`wake_at` schedules a call of `expired`."""
        self._wake_at = wake_at
        self._heap: list[tuple[int, int, Timed]] = []
        self._serials = count()

    def arm(self, timed: Timed, deadline: int) -> None:
        """Add an entry; to be called if `deadline` is earlier than the current entry."""
        self._push(timed, deadline)
        self._wake_at(deadline)

    def next_at(self) -> int:
        """Return when to call `expired`; NEVER without entries."""
        return self._heap[0][0] if self._heap else NEVER

    def expired(self, now: int) -> list[Timed]:
        """Return the requests whose deadline has passed."""
        late: list[Timed] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            deadline, _, timed = heappop(heap)
            if timed.armed_at != deadline:
                continue
            timed.armed_at = NEVER
            if timed.deadline <= now:
                late.append(timed)
            elif timed.deadline < NEVER:
                self._push(timed, timed.deadline)
        return late

    def _push(self, timed: Timed, deadline: int) -> None:
        timed.armed_at = deadline
        heappush(self._heap, (deadline, next(self._serials), timed))
