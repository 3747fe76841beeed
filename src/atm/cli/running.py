"""A run in the foreground: the execution, what is shown meanwhile, and what Ctrl-C does to it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from atm.cli.output import Output
from atm.cli.progress import NoView, ProgressView, Standing, course_of
from atm.engine.base import Control
from atm.engine.environment import usable_cores
from atm.engine.executor import Execution
from atm.metrics.interval import Interval
from atm.models import figures
from atm.plan.compile import CompiledTest

if TYPE_CHECKING:
    from atm.models.run import RunResult

TICK_SECONDS = 0.25


class ForegroundRun:
    """One run of a compiled test in this process, steered by signals."""

    def __init__(self, test: CompiledTest, output: Output, *, strict: bool = False) -> None:
        """Raises CapabilityError when no engine can run the plan."""
        self._control = Control()
        self._execution = Execution(test, control=self._control)
        self._graceful_seconds = test.plan.graceful_stop_ns / 1e9
        self._strict = strict
        self._output = output
        self._judge: Callable[[], Standing] = self._plain_standing
        self._view = self._choose_view(test)
        self.stopped_by = ""
        """`Ctrl-C` or `SIGTERM`, where one of them ended the run."""

    def run(self) -> RunResult:
        """Send the load and judge it. Raises what `Execution.run` raises."""
        return asyncio.run(self._run())

    def _choose_view(self, test: CompiledTest) -> ProgressView:
        if self._output.quiet:
            return NoView()
        course = course_of(test.plan, self._execution.engine.name, usable_cores())
        surface = self._output.err
        if not surface.interactive:
            from atm.cli.plain import PlainView

            return PlainView(course, surface)
        from atm.cli.live import LiveView
        from atm.cli.standing import judged_standing

        self._judge = lambda: judged_standing(self._execution)
        return LiveView(course, surface)

    def _plain_standing(self) -> Standing:
        return Standing(self._execution.collector.snapshot())

    async def _run(self) -> RunResult:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Windows has no such handlers; Ctrl-C then ends the process as Python does it.
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, self._interrupted, number)
        self._view.start()
        ticks = asyncio.create_task(self._tick())
        try:
            return await self._execution.run(self._second, strict=self._strict)
        finally:
            ticks.cancel()
            self._view.close()
            if self.stopped_by == "Ctrl-C" and self._output.err.interactive:
                # What the terminal itself wrote: ^C.
                self._output.err.write("\r\x1b[2K")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._view.tick()

    def _second(self, interval: Interval) -> None:
        del interval  # the collector has it
        if not isinstance(self._view, NoView):
            self._view.update(self._judge())

    def _interrupted(self, number: signal.Signals) -> None:
        """The first signal stops, a second Ctrl-C cancels."""
        flying = self._execution.collector.last.generator.in_flight if self._execution.collector.last else 0
        if not self.stopped_by:
            self.stopped_by = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
            self._control.stop()
            wait = figures.planned(self._graceful_seconds)
            requests = "what is" if not flying else f"{figures.count(flying)}"
            self._view.stopping(f"stopping: waiting up to {wait} for {requests} in flight · Ctrl-C again quits at once")
        elif number == signal.SIGINT:
            self._control.cancel()
            self._view.stopping("quitting: closing every connection")
