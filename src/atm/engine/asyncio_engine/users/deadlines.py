"""When requests run out of time: one heap for the whole run, with one entry per user and none per request.

The `Request` of a user is used again and again, and its entry is set for some deadline of it; when that comes up and
the request has a later deadline by then, the entry moves there. So a request that ends in time costs one comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from atm.plan.pacer import NEVER


class Timed(Protocol):
    """What has a deadline."""

    deadline: int
    """NEVER while there is nothing to wait for."""
    armed_at: int
    """The moment of its entry; NEVER without one."""

    def time_out(self, now: int) -> None: ...


class Deadlines:
    """The deadlines of all requests in flight, in ns of the monotonic clock."""

    def __init__(self, ring_at: Callable[[int], None]) -> None:
        """`ring_at` asks for a call of `expired` at a moment."""
        self._ring_at = ring_at
        self._heap: list[tuple[int, int, Timed]] = []
        self._serials = count()

    def arm(self, timed: Timed, deadline: int) -> None:
        """Called where `deadline` is earlier than the entry."""
        self._push(timed, deadline)
        self._ring_at(deadline)

    def next_at(self) -> int:
        """When to look again; NEVER without entries."""
        return self._heap[0][0] if self._heap else NEVER

    def expired(self, now: int) -> list[Timed]:
        """The requests that have run out of time."""
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
