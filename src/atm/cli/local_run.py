"""A run in the foreground: the execution, what is shown meanwhile, and what Ctrl-C does to it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from atm.cli.output import Output
from atm.cli.progress import NoView, ProgressView, course_of
from atm.cli.signals import ending_signals
from atm.engine.base import Control
from atm.engine.environment import usable_cores
from atm.engine.executor import Execution
from atm.errors import AtmError, Problem
from atm.metrics.interval import Interval
from atm.metrics.live_status import LiveStatus, judged
from atm.models import figures
from atm.plan.compile import CompiledTest

if TYPE_CHECKING:
    from atm.models.run import RunResult
    from atm.runs.local_history import LocalHistory

TICK_SECONDS = 0.25
SAVE_TICK_SECONDS = 1.0
SAVE_SECONDS = 15.0
"""How long a report waits for a storage that does not get on with the history."""


class LocalRun:
    """One run of a compiled test in this process, steered by signals."""

    def __init__(
        self,
        test: CompiledTest,
        output: Output,
        *,
        strict: bool = False,
        no_fail: bool = False,
        keeper: LocalHistory | None = None,
    ) -> None:
        """`keeper` is told what happens. Raises CapabilityError when no engine can run the plan."""
        self._control = Control()
        self._execution = Execution(test, control=self._control)
        self._graceful_seconds = test.plan.graceful_stop_ns / 1e9
        self._strict = strict
        self._no_fail = no_fail
        self._keeper = keeper
        self._output = output
        self._judge: Callable[[], LiveStatus] = self._plain_standing
        self._view = self._choose_view(test)
        self._stopped_by = ""

    def run(self) -> RunResult:
        """Send the load and judge it. Raises what `Execution.run` raises."""
        result = asyncio.run(self._run())
        if not self._stopped_by:
            return result
        return result.model_copy(update={"run": result.run.model_copy(update={"stopped_by": self._stopped_by})})

    def _choose_view(self, test: CompiledTest) -> ProgressView:
        if self._output.quiet:
            return NoView()
        course = course_of(test.plan, self._execution.engine.name, usable_cores())
        surface = self._output.err
        if not surface.interactive:
            from atm.cli.plain_progress import PlainView

            return PlainView(course, surface)
        from atm.cli.live_view import LiveView

        self._judge = self._judged_standing
        return LiveView(course, surface)

    def _judged_standing(self) -> LiveStatus:
        from atm.metrics.evidence import Circumstances

        execution = self._execution
        poisson = execution.test.plan.load.arrival == "poisson"
        circumstances = Circumstances(execution.engine.name, usable_cores(), poisson=poisson)
        return judged(execution.collector, execution.thresholds, circumstances)

    def _plain_standing(self) -> LiveStatus:
        return LiveStatus(self._execution.collector.snapshot())

    async def _run(self) -> RunResult:
        loop = asyncio.get_running_loop()
        for number in ending_signals():
            # Windows has no such handlers; Ctrl-C then ends the process as Python does it.
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, self._interrupted, number)
        self._view.start()
        ticks = asyncio.create_task(self._tick())
        try:
            return await self._execution.run(
                self._second, on_start=self._started, strict=self._strict, no_fail=self._no_fail
            )
        finally:
            ticks.cancel()
            self._view.close()
            if self._stopped_by == "Ctrl-C":
                # What the terminal itself wrote: ^C.
                self._output.err.passing()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._view.tick()

    def _started(self) -> None:
        if self._keeper:
            self._keeper.started(self._execution)

    def _second(self, interval: Interval) -> None:
        if self._keeper:
            self._keeper.second(interval)
        if not isinstance(self._view, NoView):
            self._view.update(self._judge())

    def _interrupted(self, number: signal.Signals) -> None:
        """The first signal stops, a second Ctrl-C cancels."""
        flying = self._execution.collector.last.generator.in_flight if self._execution.collector.last else 0
        if not self._stopped_by:
            self._stopped_by = "Ctrl-C" if number == signal.SIGINT else number.name
            self._control.stop()
            wait = figures.planned(self._graceful_seconds)
            requests = "what is" if not flying else f"{figures.count(flying)}"
            self._view.stopping(f"stopping: waiting up to {wait} for {requests} in flight · Ctrl-C again quits at once")
        elif number == signal.SIGINT:
            self._control.cancel()
            self._view.stopping("quitting: closing every connection")


def run_and_keep(
    test: CompiledTest, output: Output, *, strict: bool = False, no_fail: bool = False, history: bool = True
) -> tuple[RunResult, bool]:
    """Run a test here and, with `history`, store what it left; whether that worked. Raises as `Execution.run`.

    A history that cannot be written is a note, and no reason to lose a result.
    """
    keeper = None
    if history:
        from atm.runs.local_history import LocalHistory

        try:
            keeper = LocalHistory()
        except AtmError as error:
            _not_kept(output, error.problems[0])
    try:
        result = LocalRun(test, output, strict=strict, no_fail=no_fail, keeper=keeper).run()
        return result, keeper is not None and _saved(keeper, result, output)
    finally:
        if keeper:
            keeper.close()


def _saved(keeper: LocalHistory, result: RunResult, output: Output) -> bool:
    from atm.config import load_settings

    async def save() -> None:
        saving = asyncio.create_task(keeper.save(result, load_settings()))
        before, still = -1, 0.0
        shown = output.err if not output.quiet else None
        while not (await asyncio.wait({saving}, timeout=SAVE_TICK_SECONDS))[0]:
            if shown:
                shown.passing(f"writing the history: {keeper.seconds_read:,} of {keeper.seconds:,} s")
            still = still + SAVE_TICK_SECONDS if keeper.seconds_read == before else 0.0
            before = keeper.seconds_read
            if still >= SAVE_SECONDS:
                saving.cancel()
                break
        if shown:
            shown.passing()
        if saving.cancelling():
            raise TimeoutError
        await saving

    try:
        if keeper.hand_over(result):
            return True
        asyncio.run(save())
    except AtmError as error:
        _not_kept(output, error.problems[0])
    except TimeoutError:
        _not_kept(output, Problem(f"the storage did not answer within {SAVE_SECONDS:.0f} s", "storage_slow"))
    except KeyboardInterrupt:
        _not_kept(output, Problem("interrupted while it was written", "interrupted"))
    except Exception as error:  # noqa: BLE001 (whatever is wrong with the history, the report comes)
        _not_kept(output, Problem(f"unexpected {type(error).__name__}: {error}", "internal"))
    else:
        return True
    return False


def _not_kept(output: Output, problem: Problem) -> None:
    hint = problem.hint or "`--no-history` runs without it"
    output.note(replace(problem, what=f"this run is not in the history: {problem.what}", hint=hint))
