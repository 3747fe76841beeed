"""The users of an open load who are not prepared: when each of them begins with `Flow.before_user`."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

from atm.plan.load_plan import RETRY_NS, PreparedUsers
from atm.plan.pacer import NEVER
from atm.plan.share import Share

UserT = TypeVar("UserT")


class UserPool(Generic[UserT]):
    """Users begin one after the other, at `PreparedUsers.rate` at most. Times: ns of one clock."""

    def __init__(self, prepared: PreparedUsers, share: Share, flow: int, new_user: Callable[[], UserT]) -> None:
        """`share` is the part of the users; `flow` the index of the flow with `before_user`."""
        self.flow = flow
        self.lead_ns = prepared.lead_ns
        self._new_user = new_user
        self._gap = round(1e9 / (prepared.rate * share.part))
        self._not_made = share.count(prepared.users)
        self._waiting: list[tuple[int, int, UserT]] = []
        """Heap of users who begin again, with a serial number."""
        self._serials = count()
        self._next_token = 0

    def open(self, at: int) -> None:
        """Let the first user begin at a time."""
        self._next_token = at

    def begin_again(self, user: UserT, now: int) -> None:
        """Let a user begin again, `RETRY_NS` after `now` at the earliest."""
        heappush(self._waiting, (now + RETRY_NS, next(self._serials), user))

    @property
    def next_at(self) -> int:
        """The time at which the next user begins; NEVER if none waits for it."""
        if self._not_made:
            return self._next_token
        return max(self._waiting[0][0], self._next_token) if self._waiting else NEVER

    def take(self) -> UserT:
        """Return the user who begins at `next_at`."""
        self._next_token = self.next_at + self._gap
        if self._not_made:
            self._not_made -= 1
            return self._new_user()
        return heappop(self._waiting)[2]
