"""Run a test in this process in the foreground: progress view, Ctrl-C handling, and storing the run in the history."""

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
from atm.errors import AtmError, Problem
from atm.fleet.launch import execution_of
from atm.metrics.interval import Interval
from atm.metrics.live_status import LiveStatus, judged
from atm.models import figures
from atm.plan.compile import CompiledTest
from atm.plan.hooks import TEARDOWN, CompiledHook
from atm.plan.load_plan import CODE_STOP_NS
from atm.plan.outline import open_lanes_of

if TYPE_CHECKING:
    from atm.models.run import RunResult
    from atm.runs.local_history import LocalHistory

TICK_SECONDS = 0.25
SAVE_TICK_SECONDS = 1.0
SAVE_SECONDS = 15.0
"""Give up storing the history after this long without progress."""


class LocalRun:
    """One run of a compiled test in this process, controlled by signals."""

    def __init__(
        self,
        test: CompiledTest,
        output: Output,
        *,
        strict: bool = False,
        no_fail: bool = False,
        history: LocalHistory | None = None,
    ) -> None:
        """`history` receives the intervals. Raises CapabilityError if no engine can run the plan."""
        self._control = Control()
        self._execution = execution_of(test, control=self._control)
        graceful_ns = test.plan.graceful_stop_ns
        is_code = test.plan.hooks is not None or all(flow.code for flow in test.plan.flows)
        self._graceful_seconds = (min(graceful_ns, CODE_STOP_NS) if is_code else graceful_ns) / 1e9
        self._strict = strict
        self._no_fail = no_fail
        self._history = history
        self._output = output
        self._judge: Callable[[], LiveStatus] = self._plain_status
        self._view = self._choose_view(test)
        self._stopped_by = ""
        self._in_teardown = False

    def run(self) -> RunResult:
        """Send the load and judge it. Raises what `Execution.run` raises."""
        result = asyncio.run(self._run())
        if not self._stopped_by:
            return result
        return result.model_copy(update={"run": result.run.model_copy(update={"stopped_by": self._stopped_by})})

    def _choose_view(self, test: CompiledTest) -> ProgressView:
        if self._output.quiet:
            return NoView()
        course = course_of(
            test.plan, self._execution.engine.name, usable_cores(), test.spec.fleet.size if test.spec.fleet else 0
        )
        surface = self._output.err
        if not surface.interactive:
            from atm.cli.plain_progress import PlainView

            return PlainView(course, surface)
        from atm.cli.live_view import LiveView

        self._judge = self._judged_status
        return LiveView(course, surface)

    def _judged_status(self) -> LiveStatus:
        from atm.metrics.evidence import Circumstances

        execution, plan = self._execution, self._execution.test.plan
        lanes = open_lanes_of(plan)
        circumstances = Circumstances(execution.engine.name, usable_cores(), poisson=plan.is_poisson, open_lanes=lanes)
        return judged(execution.collector, execution.thresholds, circumstances)

    def _plain_status(self) -> LiveStatus:
        return LiveStatus(self._execution.collector.snapshot())

    async def _run(self) -> RunResult:
        loop = asyncio.get_running_loop()
        for number in ending_signals():
            # Windows has no such handlers: there, Ctrl-C raises KeyboardInterrupt.
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, self._interrupted, number)
        self._view.start()
        ticks = asyncio.create_task(self._tick())
        try:
            return await self._execution.run(
                self._second,
                on_start=self._started,
                on_hook=self._hook_begins,
                strict=self._strict,
                no_fail=self._no_fail,
            )
        finally:
            ticks.cancel()
            self._view.close()
            if self._stopped_by == "Ctrl-C":
                # Erase the ^C that the terminal echoed.
                self._output.err.passing()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._view.tick()

    def _started(self) -> None:
        if self._history:
            self._history.started(self._execution)

    def _hook_begins(self, hook: CompiledHook) -> None:
        self._in_teardown = hook.name == TEARDOWN
        steps = figures.counted(len(hook.plan.endpoints), "step")
        limit = "" if hook.timeout_ns is None else f", up to {figures.planned(hook.timeout_ns / 1e9)}"
        again = " · Ctrl-C skips it" if self._in_teardown else ""
        self._view.notice(f"{hook.name}: {steps}{limit}{again}")

    def _second(self, interval: Interval) -> None:
        if interval.second == 0:
            self._view.notice("")
        if self._history:
            self._history.second(interval)
        if not isinstance(self._view, NoView):
            self._view.update(self._judge())

    def _interrupted(self, number: signal.Signals) -> None:
        """The first signal stops, a second Ctrl-C cancels; during `teardown`, Ctrl-C skips the rest of it."""
        if self._in_teardown:
            if number == signal.SIGINT:
                self._control.skip_teardown("Ctrl-C")
                self._view.stopping("skipping the rest of teardown")
            return
        in_flight = self._execution.collector.last.generator.in_flight if self._execution.collector.last else 0
        if not self._stopped_by:
            self._stopped_by = "Ctrl-C" if number == signal.SIGINT else number.name
            self._control.stop()
            wait = figures.planned(self._graceful_seconds)
            noun = "request" if in_flight == 1 else "requests"
            requests = f"{figures.count(in_flight)} {noun}" if in_flight else noun
            self._view.stopping(f"stopping: up to {wait} for {requests} in flight · Ctrl-C again quits at once")
        elif number == signal.SIGINT:
            self._control.cancel()
            self._view.stopping("quitting: closing every connection")


def run_locally(
    test: CompiledTest, output: Output, *, strict: bool = False, no_fail: bool = False, history: bool = True
) -> tuple[RunResult, bool]:
    """Run a test in this process and, with `history`, store it; return the result and whether it was stored.

    A history that cannot be written is only a note: the result is returned all the same. Raises as `Execution.run`.
    """
    from atm.runs.local_history import LocalHistory, spool_directory, wait_until_stored

    local_history = None
    if history:
        try:
            # The process that stores the previous run would take CPU time from this one.
            wait_until_stored(spool_directory())
            local_history = LocalHistory()
        except AtmError as error:
            _note_not_stored(output, error.problems[0])
    try:
        result = LocalRun(test, output, strict=strict, no_fail=no_fail, history=local_history).run()
        return result, local_history is not None and _save(local_history, result, output)
    finally:
        if local_history:
            local_history.close()


def _save(history: LocalHistory, result: RunResult, output: Output) -> bool:
    async def save() -> None:
        from atm.config import load_settings

        saving = asyncio.create_task(history.save(result, load_settings()))
        before, still = -1, 0.0
        shown = output.err if not output.quiet else None
        while not (await asyncio.wait({saving}, timeout=SAVE_TICK_SECONDS))[0]:
            if shown:
                shown.passing(f"writing the history: {history.seconds_read:,} of {history.seconds:,} s")
            still = still + SAVE_TICK_SECONDS if history.seconds_read == before else 0.0
            before = history.seconds_read
            if still >= SAVE_SECONDS:
                saving.cancel()
                break
        if shown:
            shown.passing()
        if saving.cancelling():
            raise TimeoutError
        await saving

    try:
        if history.hand_over(result):
            return True
        asyncio.run(save())
    except AtmError as error:
        _note_not_stored(output, error.problems[0])
    except TimeoutError:
        _note_not_stored(output, Problem(f"the storage made no progress for {SAVE_SECONDS:.0f} s", "storage_slow"))
    except KeyboardInterrupt:
        _note_not_stored(output, Problem("interrupted while it was being written", "interrupted"))
    except Exception as error:  # noqa: BLE001 (no fault of the history may lose the report)
        _note_not_stored(output, Problem(f"unexpected {type(error).__name__}: {error}", "internal"))
    else:
        return True
    return False


def _note_not_stored(output: Output, problem: Problem) -> None:
    hint = problem.hint or "`--no-history` runs without a history"
    output.note(replace(problem, what=f"this run is not in the history: {problem.what}", hint=hint))
