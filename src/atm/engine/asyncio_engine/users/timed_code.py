"""Coroutines of code, driven through objects that measure the code's own time, apart from the engine's."""

from __future__ import annotations

import asyncio
from asyncio.tasks import _enter_task, _leave_task  # for drivers of tasks other than the loop
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from time import monotonic_ns
from typing import Any, Protocol


class CodeTimes(Protocol):
    """Whose code it is."""

    def add_code_time(self, began: int, own_ns: int) -> None:
        """Record a step of a task of the code that began at a time, of which the engine took `own_ns`."""
        ...


class IterationTimes(CodeTimes, Protocol):
    """Whose iteration it is."""

    def step_ended(self, began: int, own_ns: int) -> None:
        """Record a step of the iteration's own coroutine."""
        ...


class CodeRunner:
    """Resumes the code of all users of a run, and knows whose is running.

    As the task factory of the loop, it measures the tasks of code as that code.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ready: list[tuple[IterationCode, object]] = []
        self.running: TimedCode | None = None
        """The code that is running now; None while the engine is."""
        self.own_ns = 0
        """Time that the engine took within this step of the code."""
        loop.set_task_factory(self)

    def resume(self, code: IterationCode, value: object) -> None:
        """Resume code that awaits a value of the engine, after what the loop has read in this turn."""
        if not self._ready:
            self.loop.call_soon(self._resume_all)
        self._ready.append((code, value))

    def _resume_all(self) -> None:
        ready, self._ready = self._ready, []
        for code, value in ready:
            code.resume(value)

    def __call__(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        """Create a task for the loop."""
        running = self.running
        if running is not None and asyncio.iscoroutine(coroutine):
            coroutine = TimedCode(self, running.times, coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)


def runner_of(loop: asyncio.AbstractEventLoop) -> CodeRunner:
    """Return the runner of a loop, which has one."""
    factory = loop.get_task_factory()
    return factory if isinstance(factory, CodeRunner) else CodeRunner(loop)


class TimedCode(Coroutine[Any, Any, Any]):
    """A coroutine that code runs as a task of its own, with the time that it takes."""

    __slots__ = ("_coroutine", "_ended", "_runner", "_send", "times")

    def __init__(self, runner: CodeRunner, times: CodeTimes, coroutine: Coroutine[Any, Any, object]) -> None:
        self._runner = runner
        self._coroutine = coroutine
        self._send = coroutine.send
        self.times = times
        self._ended = times.add_code_time

    def send(self, value: Any) -> Any:
        return self._step(self._send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._coroutine.throw, *error)

    def _step(self, step: Callable[..., Any], *values: Any) -> Any:
        runner = self._runner
        runner.running = self
        runner.own_ns = 0
        began = monotonic_ns()
        try:
            return step(*values)
        finally:
            runner.running = None
            self._ended(began, runner.own_ns)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, None]:
        raise TypeError("driven by its task")


class IterationCode(TimedCode):
    """The coroutine of an iteration.

    Where it awaits a response, its task waits for one future, while the runner resumes the code with one response after
    the other. For anything else, the task wakes, and waits for that.
    """

    __slots__ = ("_context", "_outcome", "_parked", "_yielded", "awaited", "task")

    def __init__(self, runner: CodeRunner, times: IterationTimes, coroutine: Coroutine[Any, Any, object]) -> None:
        super().__init__(runner, times, coroutine)
        self._ended = times.step_ended
        self.awaited: object = None
        """The request whose response the code awaits."""
        self._parked: asyncio.Future[None] | None = None
        """What the task waits for while `awaited` is set."""
        self._yielded: asyncio.Future[Any] | None = None
        """What the code awaits, for the task to wait for."""
        self._outcome: BaseException | None = None
        """How the code has ended, for the task to end."""
        self._context: Context = copy_context()
        self.task: asyncio.Task[Any] = asyncio.Task(self, loop=runner.loop, context=self._context)

    def send(self, value: Any) -> Any:
        if self._outcome is not None:
            raise self._outcome
        if self._yielded is not None:
            yielded, self._yielded = self._yielded, None
            return yielded
        return self._waiting(self._step(self._send, value))

    def throw(self, *error: Any) -> Any:
        if self._outcome is not None:
            # As in any task, a cancel in its last step wins.
            raise error[0] if isinstance(self._outcome, StopIteration) else self._outcome
        if self._yielded is not None:
            self._yielded.cancel()
            self._yielded = None
        self._parked = self.awaited = None
        return self._waiting(self._step(self._coroutine.throw, *error))

    def release(self) -> None:
        """Refer no more to the task, which refers to this object."""
        del self.task
        self._outcome = self._yielded = self._parked = None

    def _waiting(self, yielded: Any) -> Any:
        """Return what the task waits for."""
        if yielded is None and self.awaited is not None:
            yielded = self._parked = self._runner.loop.create_future()
            yielded._asyncio_future_blocking = True
        return yielded

    def resume(self, value: object) -> None:
        """Resume the code with the value that it awaits, unless its task was cancelled meanwhile."""
        parked, runner, task = self._parked, self._runner, self.task
        if parked is None or parked.done():
            return
        loop = runner.loop
        runner.running = self
        runner.own_ns = 0
        _enter_task(loop, task)
        began = monotonic_ns()
        try:
            yielded = self._context.run(self._send, value)
        except BaseException as outcome:  # noqa: BLE001  # the task raises it
            self._outcome = outcome
        else:
            if yielded is None and self.awaited is not None:
                return
            self._yielded = yielded
        finally:
            _leave_task(loop, task)
            runner.running = None
            self._ended(began, runner.own_ns)
        self._parked = None
        if not parked.done():
            parked.set_result(None)
