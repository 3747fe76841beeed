"""Call `setup` or `teardown` of a file of hooks once: in a thread of its own, so that no call can hold up the run."""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any

from atm.code.hook_file import hooks_of
from atm.code.hooks import Context
from atm.code.module import load
from atm.dataclass import dataclass
from atm.engine.asyncio_engine.users.code_errors import described
from atm.errors import DataError, EngineError, Problem
from atm.models.figures import planned
from atm.models.run_figures import HookFigures
from atm.plan.load_plan import CodeHooks

_ASKED_SECONDS = 0.05
"""How often to check whether the function is to end."""
_ENDING_SECONDS = 1.0
"""How long a function that is cancelled may take to end."""


class FunctionAbandonedError(BaseException):
    """Raised in a function that has not ended when it was to; nothing but its thread's end catches it."""


@dataclass(slots=True)
class FunctionRun:
    """One call of a function of the file; can be used once."""

    hooks: CodeHooks
    name: str
    """`setup` or `teardown`."""
    traceback: str = ""
    """That of the exception that it raised."""
    _thread: threading.Thread | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _task: asyncio.Task[None] | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _error: BaseException | None = None

    async def run(self, context: Context, interrupted: Callable[[], str], limit: float | None) -> HookFigures:
        """Call the function. `interrupted` returns why it is to end now; `limit` is its time in seconds."""
        began = time.monotonic()
        try:
            function = self._function()
        except EngineError as error:
            problem = error.problems[0]
            return HookFigures(status="failed", steps=0, seconds=0.0, message=problem.what, hint=problem.hint)
        self._thread = threading.Thread(target=self._call, args=(function, context), name="atm-hook", daemon=True)
        self._thread.start()
        ended_by, is_late = "", False
        try:
            while not self._ended.is_set():
                ended_by = interrupted()
                is_late = limit is not None and time.monotonic() - began >= limit
                if ended_by or is_late:
                    break
                await asyncio.sleep(_ASKED_SECONDS if time.monotonic() - began > _ASKED_SECONDS else 0.001)
        finally:
            if not self._ended.is_set():
                await self._end()
        seconds = time.monotonic() - began
        if ended_by:
            return HookFigures(
                status="stopped" if self.name == "setup" else "skipped", steps=0, seconds=seconds, message=ended_by
            )
        if is_late:
            what = f"not finished within its time limit of {planned(limit or 0.0)}"
            hint = "Do less in the function, or raise `teardown_timeout`"
            return HookFigures(status="failed", steps=0, seconds=seconds, message=what, hint=hint)
        if self._error is None:
            return HookFigures(status="passed", steps=0, seconds=seconds)
        message, self.traceback = described(self._error, Path(self.hooks.file), lambda _message: True)
        hint = "The result has the traceback"
        return HookFigures(status="failed", steps=0, seconds=seconds, message=message, hint=hint)

    def _function(self) -> Callable[..., Any]:
        try:
            module = load(Path(self.hooks.file))
            functions = hooks_of(module)
        except DataError as error:
            problem = error.problems[0]
            raise EngineError(Problem(f"{problem.place}: {problem.what}", problem.code, hint=problem.hint)) from error
        if module.digest != self.hooks.digest:
            what = f"{module.path.name} has changed since the run was planned"
            raise EngineError(Problem(what, "code_changed", hint="Start the run again"))
        return functions[self.name]

    def _call(self, function: Callable[..., Any], context: Context) -> None:
        """Call the function, on its thread."""
        try:
            result = function(context)
            if inspect.isawaitable(result):
                asyncio.run(self._awaited(result))
        except BaseException as error:  # noqa: BLE001  # no frame above a thread: it is reported
            self._error = error
        finally:
            self._ended.set()

    async def _awaited(self, awaitable: Any) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        await awaitable

    async def _end(self) -> None:
        """End the function: cancel what it awaits, or let its next line raise. A call that blocks is given up."""
        loop, task = self._loop, self._task
        if loop is not None and task is not None and not loop.is_closed():
            with suppress(RuntimeError):  # it has ended, and its loop is closed
                loop.call_soon_threadsafe(task.cancel)
        await self._until_ended(_ENDING_SECONDS / 2)
        if not self._ended.is_set() and self._thread is not None and self._thread.ident is not None:
            thread = ctypes.c_ulong(self._thread.ident)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(FunctionAbandonedError))
            await self._until_ended(_ENDING_SECONDS / 2)

    async def _until_ended(self, seconds: float) -> None:
        for _ in range(int(seconds / _ASKED_SECONDS)):
            if self._ended.is_set():
                return
            await asyncio.sleep(_ASKED_SECONDS)
