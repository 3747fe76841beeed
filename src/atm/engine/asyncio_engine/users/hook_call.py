"""One call of a hook: at once if its function is an ordinary one, as a task of the loop if it is a coroutine function.

The time that its code takes is measured apart from the engine's own.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from time import monotonic_ns
from typing import Any, Protocol

from atm.engine.asyncio_engine.ledger.health import Health
from atm.engine.asyncio_engine.users.hook_functions import HookFunction
from atm.engine.asyncio_engine.users.timed_code import TimedCode, runner_of

Then = Callable[[int, BaseException | None], None]
"""Called when a hook that took time has ended, with how long that was (ns), and what it raised."""


class Books(Protocol):
    """Where the time of code is counted."""

    code_ns: int


class HookCalls:
    """The calls of one user's hooks, one after the other."""

    __slots__ = ("_health", "_loop", "_roll", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, health: Health, roll: Callable[[], None]) -> None:
        """`roll` ends the seconds that are over."""
        self._loop = loop
        self._health = health
        self._roll = roll
        self._waiting: asyncio.Task[None] | asyncio.Handle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a call has not ended, or its end is to be dealt with in the loop's next turn."""
        return self._waiting is not None

    def call(self, hook: HookFunction, arguments: tuple[Any, ...], books: Books, then: Then) -> int | None:
        """Call a hook; return how long it took, or None: then `then` is called later."""
        began = monotonic_ns()
        if hook.is_async:
            self._start(hook.call(*arguments), began, books, then)
            return None
        try:
            result = hook.call(*arguments)
        except Exception as error:  # noqa: BLE001  # counted, with its traceback
            took = monotonic_ns() - began
            books.code_ns += took
            self.fail(then, took, error)
            return None
        took = monotonic_ns() - began
        books.code_ns += took
        if result is not None and inspect.isawaitable(result):
            self._start(result, began, books, then)
            return None
        return took

    def fail(self, then: Then, took: int, error: BaseException) -> None:
        """Call `then` with an error in the loop's next turn: an iteration must not end within its beginning."""
        self._health.thinking += 1
        self._waiting = self._loop.call_soon(lambda: self._ended(self._waiting, then, took, error))

    def abandon(self) -> None:
        """End the call that has not ended, because the run ends."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()
            self._health.thinking -= 1

    def _start(self, awaitable: Any, began: int, books: Books, then: Then) -> None:
        self._health.thinking += 1
        coroutine = awaitable if inspect.iscoroutine(awaitable) else _awaited(awaitable)
        timed = TimedCode(runner_of(self._loop), _Steps(books), coroutine)
        task: asyncio.Task[None] = self._loop.create_task(timed)
        self._waiting = task
        task.add_done_callback(lambda done: self._done(done, began, then))

    def _done(self, task: asyncio.Task[None], began: int, then: Then) -> None:
        if task is not self._waiting:
            if not task.cancelled():
                task.exception()
            return
        error: BaseException | None = (
            asyncio.CancelledError("the code cancelled its own task") if task.cancelled() else task.exception()
        )
        self._ended(task, then, monotonic_ns() - began, error)

    def _ended(
        self, waiting: asyncio.Task[None] | asyncio.Handle | None, then: Then, took: int, error: BaseException | None
    ) -> None:
        if waiting is None or waiting is not self._waiting:
            return
        self._waiting = None
        self._health.thinking -= 1
        self._roll()
        then(took, error)


async def _awaited(awaitable: Any) -> None:
    await awaitable


class _Steps:
    """Counts the time of a coroutine's steps, in which the engine does nothing of its own."""

    __slots__ = ("_books",)

    def __init__(self, books: Books) -> None:
        self._books = books

    def add_code_time(self, began: int, own_ns: int) -> None:
        """Record a step of the code, or of a task that it has started."""
        self._books.code_ns += monotonic_ns() - began - own_ns
