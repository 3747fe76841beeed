"""Between the thread that sends load and the event loop that awaits it: intervals, the report, and who went away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from atm.engine.base import EngineReport
from atm.errors import EngineError
from atm.metrics.interval import Interval


class ThreadBridge:
    """Made on the awaiting loop. `deliver`, `succeed` and `fail` may be called from any thread, in this order."""

    def __init__(self, on_interval: Callable[[Interval], None], cancel: Callable[[], None]) -> None:
        """`cancel` ends the load: when `on_interval` raises, and when whoever awaits goes away."""
        self._loop = asyncio.get_running_loop()
        self._outcome: asyncio.Future[EngineReport] = self._loop.create_future()
        self._on_interval = on_interval
        self._cancel = cancel
        self._complaint: Exception | None = None

    def deliver(self, interval: Interval) -> None:
        """Pass one second on."""
        self._loop.call_soon_threadsafe(self._take, interval)

    def succeed(self, report: EngineReport) -> None:
        """The load has ended."""
        self._loop.call_soon_threadsafe(self._settle, report)

    def fail(self, error: BaseException) -> None:
        """The load could not be sent, or broke."""
        self._loop.call_soon_threadsafe(self._settle, error)

    async def report(self) -> EngineReport:
        """The report, once every interval before it was passed on. Raises what `fail` or `on_interval` raised."""
        try:
            report = await asyncio.shield(self._outcome)
        except asyncio.CancelledError:
            # Whoever awaited the run has gone: no load may outlive it.
            self._cancel()
            with suppress(EngineError):
                await self._outcome
            raise
        if self._complaint:
            raise self._complaint
        return report

    def _take(self, interval: Interval) -> None:
        try:
            if self._complaint is None:
                self._on_interval(interval)
        except Exception as error:  # noqa: BLE001  # whatever the caller's function raises is raised by `report`
            self._complaint = error
            self._cancel()

    def _settle(self, outcome: EngineReport | BaseException) -> None:
        if self._outcome.done():
            return
        if isinstance(outcome, BaseException):
            self._outcome.set_exception(outcome)
        else:
            self._outcome.set_result(outcome)
