"""The border between the synchronous code of a locustfile and the event loop.

Each user runs in a greenlet of its own. Where its code waits, the greenlet hands an awaitable to the coroutine of its
iteration (`bridge.py`), which awaits it on the loop and switches back with the result: other users run meanwhile.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from atm.code.locust.user import User
    from atm.code.user import User as CodeUser

Result = TypeVar("Result")


class EndOfIteration:
    """Handed out at the end of an iteration."""

    __slots__ = ("error", "wait")

    def __init__(self, error: Exception | None, wait: float) -> None:
        self.error = error
        """The exception that made it fail."""
        self.wait = wait
        """Seconds until the next one."""


class UserGreenlet(greenlet):  # type: ignore[misc]  # it comes without types
    """The greenlet in which the code of one user runs."""

    def __init__(self, run: Callable[[], None], code_user: CodeUser) -> None:
        super().__init__(run)
        self.code_user = code_user
        """What sends the user's requests."""

    @property
    def random(self) -> random.Random:
        """The random numbers of the user."""
        return self.code_user.random


def wait_for(awaitable: Awaitable[Result]) -> Result:
    """Let the event loop await this, and return its result. Call it in a user's greenlet only."""
    result: Result = getcurrent().parent.switch(awaitable)
    return result


def pause(seconds: float) -> None:
    """Let other users run for this time. Call it in a user's greenlet only."""
    wait_for(current_user().think(seconds))


def end_iteration(user: User, wait: float = 0.0) -> None:
    """End the iteration of a user; returns when its next one begins, after a wait in seconds."""
    error, user.failure = user.failure, None
    getcurrent().parent.switch(EndOfIteration(error, wait))


def in_user() -> bool:
    """Return whether this is code of a user."""
    return isinstance(getcurrent(), UserGreenlet)


def current_user() -> CodeUser:
    """Return what sends requests for the user that runs."""
    current = getcurrent()
    assert isinstance(current, UserGreenlet), "clients and users are used inside a task"
    return current.code_user
