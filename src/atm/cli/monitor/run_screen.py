"""The screen of one run: charts above, the figures so far or the report below."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Static

from atm.cli.history import History
from atm.cli.monitor.content import content_of
from atm.cli.monitor.feed import RunFeed
from atm.cli.monitor.run_actions import RunActions
from atm.cli.monitor.run_state import RunState
from atm.cli.text import Paper
from atm.errors import AtmError, NotFoundError
from atm.models.control.runs import RunSummaryView
from atm.models.events import FinishedEvent

REDRAWS_PER_SECOND = 4
RETRY_SECONDS = 1.0
_ROWS_BESIDE_CHARTS = 19
"""Rows reserved for the figures before the charts grow."""
_LEAST_HEIGHT_WITH_CHARTS = 14
_LOWEST_CHART, _HIGHEST_CHART = 3, 10


class RunScreen(RunActions):
    """Follows one run until it ends, then shows its report."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,left", "app.pop_screen", "Back", key_display="Esc"),
        Binding("down,j", "scroll(1)", "Scroll", show=False),
        Binding("up,k", "scroll(-1)", "Scroll", show=False),
        Binding("q", "app.leave", "Quit"),
    ]

    def __init__(self, history: History, paper: Paper, run_id: str, feed: RunFeed) -> None:
        super().__init__(history, paper)
        self._feed = feed
        self.run_id = run_id
        self.state = RunState()
        self._lost = ""
        self._drawn: list[Content] = []

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Static(id="charts")
        with VerticalScroll(id="body"):
            yield Static(id="figures")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.run_worker(self._follow(), group="follow")
        self.set_interval(1 / REDRAWS_PER_SECOND, self.draw)
        self.query_one("#body").focus()

    def on_resize(self) -> None:
        self.draw()

    def chosen(self) -> RunSummaryView | None:
        return self.state.run

    def after_rerun(self, run_id: str) -> None:
        self.app.switch_screen(RunScreen(self.history, self.paper, run_id, self._feed))

    def action_scroll(self, rows: int) -> None:
        self.query_one("#body").scroll_relative(y=rows, animate=False)

    async def _follow(self) -> None:
        """Follow the run to its end, also across lost connections."""
        while True:
            try:
                await self._load()
                if self.state.has_ended:
                    return
                await self._watch()
            except NotFoundError:
                self.say("the run was deleted")
                self.state.run = None
                self._lost = "this run was deleted"
                return
            except AtmError as error:
                self._lost = error.problems[0].what
                await asyncio.sleep(RETRY_SECONDS)

    async def _load(self) -> None:
        run = await self.history.run(self.run_id)
        if run.completed_at is not None:
            self.state.result = await self.history.result(self.run_id)
        self.state.run = run
        self._lost = ""

    async def _watch(self) -> None:
        self.state.forget_events()
        async with aclosing(self.history.watch(self.run_id)) as events:  # type: ignore[type-var]
            async for event in events:
                self.state.add(event)
                if isinstance(event, FinishedEvent):
                    return

    def draw(self) -> None:
        """Draw what has changed."""
        width = max(self.size.width - 1, 20)
        paper = Paper(width, self.paper.unicode)
        height = min(max(self.size.height - _ROWS_BESIDE_CHARTS, _LOWEST_CHART), _HIGHEST_CHART)
        small = self.too_small()
        head = [paper.line(small)] if small else self.state.head(paper, self._lost or self._feed.lost)
        has_charts = self.size.height >= _LEAST_HEIGHT_WITH_CHARTS and not small
        parts = (
            ("#head", head),
            ("#charts", self.state.charts(paper, height) if has_charts else []),
            ("#figures", self.state.body(paper, datetime.now(UTC))),
        )
        drawn = [content_of(lines) for _, lines in parts]
        for number, (selector, _) in enumerate(parts):
            if not self._drawn or not _same(self._drawn[number], drawn[number]):
                self.query_one(selector, Static).update(drawn[number])
        self._drawn = drawn


def _same(before: Content, after: Content) -> bool:
    return before.plain == after.plain and before.spans == after.spans
