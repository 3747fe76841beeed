"""A run that goes on elsewhere, in the foreground here: its events as the live view, and what Ctrl-C does to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from atm.cli.history import History
from atm.cli.output import Output
from atm.cli.progress import NoView, ProgressView
from atm.cli.signals import ending_signals
from atm.cli.text import Style, short_id
from atm.cli.watching import LEAVES, EventStanding, course_of_events
from atm.errors import AtmError
from atm.models import figures
from atm.models.events import AnyRunEvent, FinishedEvent, IntervalEvent, ProgressEvent, StartedEvent
from atm.models.outcome import RunStatus

if TYPE_CHECKING:
    from atm.models.control.runs import RunView

TICK_SECONDS = 0.25
STOPS = "Ctrl-C stops and reports · again quits at once"


class FollowedRun:
    """One run, watched until it ends or until whoever watches leaves."""

    def __init__(self, history: History, run: RunView, output: Output, *, ours: bool) -> None:
        """`ours`: it was started here, so that Ctrl-C stops it; else Ctrl-C only leaves."""
        self._history = history
        self._run = run
        self._output = output
        self._ours = ours
        self._view: ProgressView = NoView()
        self._standing = EventStanding()
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
            from atm.cli.live import LiveView

            self._view = LiveView(course, surface)
        else:
            from atm.cli.plain import PlainView

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
