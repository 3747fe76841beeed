"""Follow a run that another process carries out: live view, Ctrl-C, and its report at the end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from atm.cli.event_status import LEAVES, EventStatus, course_of_events
from atm.cli.history import History, opened
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
    """One run, watched until it ends or until whoever watches leaves."""

    def __init__(self, history: History, run: RunView, output: Output, *, ours: bool) -> None:
        """`ours`: it was started here, so that Ctrl-C stops it; else Ctrl-C only leaves."""
        self._history = history
        self._run = run
        self._output = output
        self._ours = ours
        self._view: ProgressView = NoView()
        self._standing = EventStatus()
        self._waiting: int | None = None
        self._interrupts = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self.left = False
        """Whoever watched has gone before the end."""
        self.end: FinishedEvent | None = None

    async def follow(self) -> None:
        """Until the end. Raises what `History.watch` raises."""
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
                # What the terminal itself wrote: ^C.
                self._output.err.passing()

    async def _watch(self, told: AsyncIterator[AnyRunEvent]) -> None:
        async for event in told:
            if isinstance(event, StartedEvent):
                self._begin(event)
            elif isinstance(event, IntervalEvent):
                self._view.update(self._standing.after(event))
            elif isinstance(event, ProgressEvent):
                self._progress(event)
            elif isinstance(event, FinishedEvent):
                self.end = event

    def _begin(self, event: StartedEvent) -> None:
        if self._output.quiet:
            return
        course = course_of_events(self._run.name, self._run.spec, event, STOPS if self._ours else LEAVES)
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
            runs = "1 run comes" if waiting == 1 else f"{figures.count(waiting)} runs come"
            self._say(f" run {short_id(self._run.id)} waits: {runs} before it")
        self._waiting = waiting

    def _say(self, text: str) -> None:
        if not self._output.quiet:
            self._output.err.lines([self._output.err.paper.line(text, Style.DIM)])

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._view.tick()

    def _interrupted(self) -> None:
        """Of a run of ours the first signal stops it and the second cancels it; from another's one leaves."""
        self._interrupts += 1
        if not self._ours:
            self.left = True
            if self._watching:
                self._watching.cancel()
            return
        graceful = self._interrupts == 1
        said = "stopping: waiting for what is in flight · Ctrl-C again quits at once"
        self._view.stopping(said if graceful else "quitting: closing every connection")
        self._spawn(self._cancel(graceful=graceful))

    async def _cancel(self, *, graceful: bool) -> None:
        try:
            await self._history.cancel(self._run.id, graceful=graceful)
        except AtmError as error:
            self._view.stopping(f"it could not be asked to stop: {error.problems[0].what}")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def judged_again(result: RunResult, *, strict: bool, no_fail: bool) -> RunResult:
    """The result with the exit code that these flags give it here; the server knew nothing of them."""
    verdict = result.verdict
    code = exit_code(
        result.run,
        passed=verdict.passed,
        measurement=verdict.measurement,
        unreachable=verdict.exit_code == ExitCode.UNREACHABLE,
        strict=strict,
        no_fail=no_fail,
    )
    return result.model_copy(update={"verdict": verdict.model_copy(update={"exit_code": int(code)})})


async def followed(history: History, run_id: str, output: Output, *, ours: bool) -> RunResult | None:
    """Watch a run to its end; its result, or None where whoever watched has left.

    Raises AtmError for a run that ended before it had measured anything.
    """
    run = await history.run(run_id)
    result = await history.result(run_id)
    if result is not None:
        return result
    watched = RemoteRun(history, run, output, ours=ours)
    await watched.follow()
    if watched.left:
        again = f"`atm watch {short_id(run_id)}`"
        output.err.lines([output.err.paper.line(" the run goes on: ", Style.DIM).hint(again)])
        return None
    result = await history.result(run_id)
    if result is None:
        raise nothing_measured(await history.run(run_id))
    return result


def nothing_measured(run: RunView) -> AtmError:
    """Why a run that has ended, or not yet, has no report."""
    shown = short_id(run.id)
    if run.status in (RunStatus.PENDING, RunStatus.RUNNING):
        what = f"run {shown} is {run.status}; its report comes with its end"
        return EngineError(Problem(what, "run_not_finished", hint=f"`atm watch {shown}`"))
    if run.status is RunStatus.CANCELLED:
        what = f"run {shown} was cancelled before it had measured anything"
        return EngineError(Problem(what, "no_result"))
    said = run.error_message or "nobody knows why"
    return EngineError(Problem(f"run {shown} failed before it had measured anything: {said}", "no_result"))


def plain_spec(document: SpecDocument) -> dict[str, Any]:
    """The spec as plain data, checked as far as that is possible away from where it will run.

    Raises SpecError with every problem of it, each with its line.
    """
    findings = Findings()
    spec = TestSpec.read(document.data, (), findings)
    if len(findings):
        raise SpecError(findings.problems(document.place))
    return spec.to_data()


def run_there(document: SpecDocument, output: Output, server: str, *, strict: bool, no_fail: bool) -> RunResult:
    """Run the spec on a server and watch it here. Raises SpecError, and what `ControlClient` raises."""
    return asyncio.run(_run(document, output, server, strict=strict, no_fail=no_fail))


async def _run(document: SpecDocument, output: Output, server: str, *, strict: bool, no_fail: bool) -> RunResult:
    spec = plain_spec(document)
    async with opened(server) as history:
        assert isinstance(history, ServerHistory)
        try:
            accepted = await history.client.create_run(spec)
        except SpecError as error:
            raise SpecError([placed(problem, document) for problem in error.problems]) from error
        if not output.quiet:
            line = output.err.paper.line(f" run {short_id(accepted.id)} on {history.place}", Style.DIM)
            output.err.lines([line])
        result = await followed(history, accepted.id, output, ours=True)
    assert result is not None
    return judged_again(result, strict=strict, no_fail=no_fail)


def placed(problem: Problem, document: SpecDocument) -> Problem:
    """The server's problem with the line of our file that it is about."""
    path = re.sub(r"^(body\.)?spec\.", "", problem.path).partition(" character ")[0]
    places = {path_text(known): place for known, place in document.places.items()}
    while path and path not in places:
        path = path.rpartition("." if path.rfind(".") > path.rfind("[") else "[")[0]
    return replace(problem, place=places.get(path, document.name))
