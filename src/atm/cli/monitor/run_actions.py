"""Cancel, stop and rerun from both screens: confirm, call the history, show the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import Screen

from atm.cli.history import History
from atm.cli.monitor.confirmation import Confirmation
from atm.cli.monitor.content import content_of
from atm.cli.text import Paper, short_id
from atm.errors import AtmError
from atm.models.control.runs import RunSummaryView
from atm.models.outcome import RunStatus

_QUESTION_WIDTH = 56
LEAST_WIDTH, LEAST_HEIGHT = 40, 8


class RunActions(Screen[None]):
    """A screen with a run that keys act on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "stop", "Stop"),
        Binding("c", "cancel", "Cancel"),
        Binding("r", "rerun", "Rerun"),
    ]

    def __init__(self, history: History, paper: Paper) -> None:
        super().__init__()
        self.history = history
        self.paper = paper

    def too_small(self) -> str:
        """Return the sentence for a terminal that is too small for a screen; empty where it is large enough."""
        width, height = self.size
        return f"needs {LEAST_WIDTH} x {LEAST_HEIGHT}" if width < LEAST_WIDTH or height < LEAST_HEIGHT else ""

    def chosen(self) -> RunSummaryView | None:
        """Return the run that the keys act on."""
        raise NotImplementedError

    def after_rerun(self, run_id: str) -> None:
        """Called with the id of a run that was started."""

    def action_stop(self) -> None:
        self._ask_to_end("Stop {}? Requests in flight finish first, and the run is reported.", graceful=True)

    def action_cancel(self) -> None:
        self._ask_to_end("Cancel {}? Requests in flight are cut off.", graceful=False)

    def action_rerun(self) -> None:
        run = self.chosen()
        if run is not None:
            question = f"Run {self._named(run)} again? It sends load to {run.url}."
            self._ask(question, lambda: self._rerun(run.id))

    def _ask_to_end(self, question: str, *, graceful: bool) -> None:
        run = self.chosen()
        if run is None:
            return
        if run.completed_at is not None:
            self.say(f"run {short_id(run.id)} has already ended: {run.outcome}")
            return
        self._ask(question.format(self._named(run)), lambda: self._end(run.id, graceful=graceful))

    def _named(self, run: RunSummaryView) -> str:
        return self.paper.fitted(run.name, _QUESTION_WIDTH // 2)

    def _ask(self, question: str, act: Callable[[], object]) -> None:
        lines = list(Paper(_QUESTION_WIDTH, self.paper.unicode).wrapped(question, 0))

        def answered(answer: bool | None) -> None:
            if answer:
                act()

        self.app.push_screen(Confirmation(content_of(lines)), answered)

    def _end(self, run_id: str, *, graceful: bool) -> None:
        async def end() -> None:
            try:
                status = await self.history.cancel(run_id, graceful=graceful)
            except AtmError as error:
                self.say_problem(error)
                return
            if status is RunStatus.RUNNING:
                self.say(f"{'stopping' if graceful else 'cancelling'} run {short_id(run_id)}")
            else:
                self.say(f"run {short_id(run_id)} is {status}")

        self.run_worker(end(), group="action")

    def _rerun(self, run_id: str) -> None:
        async def rerun() -> None:
            try:
                started = await self.history.rerun(run_id)
            except AtmError as error:
                self.say_problem(error)
                return
            self.say(f"started run {short_id(started)}")
            self.after_rerun(started)

        self.run_worker(rerun(), group="action")

    def say(self, text: str) -> None:
        self.app.notify(self.paper.text(text), markup=False)

    def say_problem(self, error: AtmError) -> None:
        """Show the first problem of an error and its remedy."""
        problem = error.problems[0]
        hint = f"\n{self.paper.text(problem.hint)}" if problem.hint else ""
        self.app.notify(self.paper.text(problem.what) + hint, severity="error", markup=False, timeout=10)
