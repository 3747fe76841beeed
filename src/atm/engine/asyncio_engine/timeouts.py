"""When requests run out of time: one heap for the whole run, with one entry per user and none per request.

A user's entry is set for the deadline of some request; when it comes up and the user is at a later one by then, the
entry moves on to that one's deadline. So a request that ends in time costs one comparison.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.user import User

NEVER = 1 << 62
"""Later than any moment of the monotonic clock, in nanoseconds."""


class Timeouts:
    """The deadlines of all requests in flight, in ns of the monotonic clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, User]] = []
        self._serials = count()

    def arm(self, user: User, deadline: int) -> None:
        """Called where `deadline` is earlier than the user's entry."""
        user.armed_at = deadline
        heappush(self._heap, (deadline, next(self._serials), user))

    def next_at(self) -> int:
        """When to look again; NEVER without entries."""
        return self._heap[0][0] if self._heap else NEVER

    def expired(self, now: int) -> list[User]:
        """The users whose request has run out of time."""
        late: list[User] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            deadline, _, user = heappop(heap)
            if user.armed_at != deadline:
                continue
            user.armed_at = NEVER
            if user.deadline <= now:
                late.append(user)
            elif user.deadline < NEVER:
                self.arm(user, user.deadline)
        return late
