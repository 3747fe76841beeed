"""Follow a run that another process executes, in the foreground: live view, Ctrl-C handling, and its result."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from atm.cli.event_status import LEAVES, EventStatus, course_of_events
from atm.cli.history import History, open_history
from atm.cli.history.server import ServerHistory
from atm.cli.output import Output
from atm.cli.progress import NoView, ProgressView
from atm.cli.signals import ending_signals
from atm.cli.text import Style, short_id
from atm.errors import AtmError, EngineError, Problem, SpecError
from atm.metrics.summary import exit_code
from atm.models import figures
from atm.models.events import AnyRunEvent, FinishedEvent, IntervalEvent, ProgressEvent, StartedEvent
from atm.models.exit_code import ExitCode
from atm.models.fields import Findings, path_text
from atm.models.outcome import RunStatus
from atm.models.spec import TestSpec
from atm.plan.document import SpecDocument

if TYPE_CHECKING:
    from atm.models.control.runs import RunView
    from atm.models.run import RunResult

TICK_SECONDS = 0.25
STOPS = "Ctrl-C stops and reports · again quits at once"


class RemoteRun:
    """Follows one run until it ends or Ctrl-C leaves it."""

    def __init__(self, history: History, run: RunView, output: Output, *, owned: bool) -> None:
        """`owned`: this command started the run, so Ctrl-C stops it; otherwise Ctrl-C only stops watching."""
        self._history = history
        self._run = run
        self._output = output
        self._owned = owned
        self._view: ProgressView = NoView()
        self._status = EventStatus()
        self._waiting: int | None = None
        self._interrupts = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self.left = False
        """Ctrl-C stopped watching before the end of the run."""
        self.end: FinishedEvent | None = None

    async def follow(self) -> None:
        """Follow the run until it ends. Raises the errors of `History.watch`."""
        loop = asyncio.get_running_loop()
        for number in ending_signals():
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, self._interrupted)
        ticks = asyncio.create_task(self._tick())
        self._watching = asyncio.create_task(self._watch(self._history.watch(self._run.id)))
        try:
            await self._watching
        except asyncio.CancelledError:
            if not self.left:
                raise
        finally:
            ticks.cancel()
            self._view.close()
            if self._interrupts:
                # Erase the ^C that the terminal echoed.
                self._output.err.passing()

    async def _watch(self, events: AsyncIterator[AnyRunEvent]) -> None:
        async for event in events:
            if isinstance(event, StartedEvent):
                self._begin(event)
            elif isinstance(event, IntervalEvent):
                self._view.update(self._status.after(event))
            elif isinstance(event, ProgressEvent):
                self._progress(event)
            elif isinstance(event, FinishedEvent):
                self.end = event

    def _begin(self, event: StartedEvent) -> None:
        if self._output.quiet:
            return
        course = course_of_events(self._run.name, self._run.spec, event, STOPS if self._owned else LEAVES)
        surface = self._output.err
        if surface.interactive:
            from atm.cli.live_view import LiveView

            self._view = LiveView(course, surface)
        else:
            from atm.cli.plain_progress import PlainView

            self._view = PlainView(course, surface)
        self._view.start()

    def _progress(self, event: ProgressEvent) -> None:
        waiting = event.queue_position if event.status is RunStatus.PENDING else None
        if waiting is not None and waiting != self._waiting and waiting > 0:
            runs = "1 run is" if waiting == 1 else f"{figures.count(waiting)} runs are"
            self._print(f" run {short_id(self._run.id)} is queued: {runs} ahead of it")
        self._waiting = waiting

    def _print(self, text: str) -> None:
        if not self._output.quiet:
            self._output.err.lines([self._output.err.paper.line(text, Style.DIM)])

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._view.tick()

    def _interrupted(self) -> None:
        """Stop an owned run at the first signal and cancel it at the second; stop watching any other run."""
        self._interrupts += 1
        if not self._owned:
            self.left = True
            if self._watching:
                self._watching.cancel()
            return
        graceful = self._interrupts == 1
        stopping = "stopping: waiting for requests in flight · Ctrl-C again quits at once"
        self._view.stopping(stopping if graceful else "quitting: closing every connection")
        self._spawn(self._cancel(graceful=graceful))

    async def _cancel(self, *, graceful: bool) -> None:
        try:
            await self._history.cancel(self._run.id, graceful=graceful)
        except AtmError as error:
            self._view.stopping(f"cannot stop the run: {error.problems[0].what}")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def judged_again(result: RunResult, *, strict: bool, no_fail: bool) -> RunResult:
    """Return the result with the exit code for these flags, which the server does not know."""
    verdict = result.verdict
    code = exit_code(
        result.run,
        passed=verdict.passed,
        measurement=verdict.measurement,
        unreachable=verdict.exit_code == ExitCode.UNREACHABLE,
        teardown_failed=result.teardown is not None and result.teardown.status == "failed",
        strict=strict,
        no_fail=no_fail,
    )
    return result.model_copy(update={"verdict": verdict.model_copy(update={"exit_code": int(code)})})


async def follow_run(history: History, run_id: str, output: Output, *, owned: bool) -> RunResult | None:
    """Follow a run to its end and return its result; None if Ctrl-C stopped watching.

    Raises AtmError for a run that ended without a measurement.
    """
    run = await history.run(run_id)
    result = await history.result(run_id)
    if result is not None:
        return result
    remote = RemoteRun(history, run, output, owned=owned)
    await remote.follow()
    if remote.left:
        again = f"`atm watch {short_id(run_id)}`"
        output.err.lines([output.err.paper.line(" the run continues: ", Style.DIM).hint(again)])
        return None
    result = await history.result(run_id)
    if result is None:
        raise no_report_error(await history.run(run_id))
    return result


def no_report_error(run: RunView) -> AtmError:
    """Return the error for a run without a report: not ended yet, or ended without a measurement."""
    shown = short_id(run.id)
    if run.status in (RunStatus.PENDING, RunStatus.RUNNING):
        what = f"run {shown} is {run.outcome}; it has no report yet"
        return EngineError(Problem(what, "run_not_finished", hint=f"`atm watch {shown}`"))
    if run.status is RunStatus.CANCELLED:
        what = f"run {shown} was cancelled before it measured anything"
        return EngineError(Problem(what, "no_result"))
    reason = run.error_message or "unknown reason"
    what = f"run {shown} ended in an error before it measured anything: {reason}"
    return EngineError(Problem(what, "no_result"))


def plain_spec(document: SpecDocument) -> dict[str, Any]:
    """Return the spec as plain data for the server, after the checks that do not need the server's environment.

    Raises SpecError with every problem and its line.
    """
    findings = Findings()
    spec = TestSpec.read(document.data, (), findings)
    if len(findings):
        raise SpecError(findings.problems(document.place))
    return spec.to_data()


def run_on_server(document: SpecDocument, output: Output, server: str, *, strict: bool, no_fail: bool) -> RunResult:
    """Run the spec on a server and follow it here. Raises SpecError and the errors of `ControlClient`."""
    return asyncio.run(_run(document, output, server, strict=strict, no_fail=no_fail))


async def _run(document: SpecDocument, output: Output, server: str, *, strict: bool, no_fail: bool) -> RunResult:
    spec = plain_spec(document)
    async with open_history(server) as history:
        assert isinstance(history, ServerHistory)
        try:
            accepted = await history.client.create_run(spec)
        except SpecError as error:
            raise SpecError([with_place(problem, document) for problem in error.problems]) from error
        if not output.quiet:
            line = output.err.paper.line(f" run {short_id(accepted.id)} on {history.place}", Style.DIM)
            output.err.lines([line])
        result = await follow_run(history, accepted.id, output, owned=True)
    assert result is not None
    return judged_again(result, strict=strict, no_fail=no_fail)


def with_place(problem: Problem, document: SpecDocument) -> Problem:
    """Add the line of the local file to a problem that the server reported."""
    path = re.sub(r"^(body\.)?spec\.", "", problem.path).partition(" character ")[0]
    places = {path_text(field): place for field, place in document.places.items()}
    while path and path not in places:
        path = path.rpartition("." if path.rfind(".") > path.rfind("[") else "[")[0]
    return replace(problem, place=places.get(path, document.name))
