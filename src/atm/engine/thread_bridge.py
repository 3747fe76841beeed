"""Pass intervals and the report from the thread that sends load to the event loop that awaits them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from atm.engine.base import EngineReport
from atm.errors import EngineError

_IntervalT = TypeVar("_IntervalT")


class ThreadBridge(Generic[_IntervalT]):
    """Create it on the awaiting loop. `deliver`, `succeed` and `fail` may be called from any thread, in this order."""

    def __init__(self, on_interval: Callable[[_IntervalT], None], cancel: Callable[[], None]) -> None:
        """`cancel` ends the load: when `on_interval` raises, and when the awaiting task is cancelled."""
        self._loop = asyncio.get_running_loop()
        self._outcome: asyncio.Future[EngineReport] = self._loop.create_future()
        self._on_interval = on_interval
        self._cancel = cancel
        self._interval_error: Exception | None = None

    def deliver(self, interval: _IntervalT) -> None:
        """Pass one interval on."""
        self._loop.call_soon_threadsafe(self._take, interval)

    def succeed(self, report: EngineReport) -> None:
        """Report that the load has ended."""
        self._loop.call_soon_threadsafe(self._settle, report)

    def fail(self, error: BaseException) -> None:
        """Report that the load could not be sent, or broke."""
        self._loop.call_soon_threadsafe(self._settle, error)

    async def report(self) -> EngineReport:
        """Return the report after delivering every interval. Raises what `fail` was given or `on_interval` raised."""
        try:
            report = await asyncio.shield(self._outcome)
        except asyncio.CancelledError:
            # The awaiting task was cancelled: the load must not outlive it.
            self._cancel()
            with suppress(EngineError):
                await self._outcome
            raise
        if self._interval_error:
            raise self._interval_error
        return report

    def _take(self, interval: _IntervalT) -> None:
        try:
            if self._interval_error is None:
                self._on_interval(interval)
        except Exception as error:  # noqa: BLE001  # whatever the caller's function raises is raised by `report`
            self._interval_error = error
            self._cancel()

    def _settle(self, outcome: EngineReport | BaseException) -> None:
        if self._outcome.done():
            return
        if isinstance(outcome, BaseException):
            self._outcome.set_exception(outcome)
        else:
            self._outcome.set_result(outcome)
