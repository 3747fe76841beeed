"""The list of runs: kept current, filtered, sorted; Enter opens a run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from atm.cli.history import History
from atm.cli.monitor.content import content_of
from atm.cli.monitor.feed import Filter, RunFeed
from atm.cli.monitor.run_actions import RunActions
from atm.cli.monitor.run_screen import RunScreen
from atm.cli.monitor.run_table import ORDERS, count_line, head_line, in_order, run_line
from atm.cli.text import Paper
from atm.models.control.runs import RunSummaryView
from atm.models.outcome import RunStatus

REDRAWS_PER_SECOND = 2
_SCROLLBAR = 1
_SEARCH_SECONDS = 0.3
"""Pause in typing after which older runs are searched, in seconds."""


class RunTable(OptionList):
    """The rows of the list."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Open")]


class RunListScreen(RunActions):
    """All runs that match the filter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("o", "order", "Order"),
        Binding("escape", "all", "All runs", show=False),
        Binding("q", "app.leave", "Quit"),
    ]

    def __init__(self, history: History, paper: Paper) -> None:
        super().__init__(history, paper)
        self.feed = RunFeed(history, self._changed)
        self._filter = Filter()
        self._order = ORDERS[0]
        self._has_changed = True
        self._shown: dict[str, Content] = {}

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Static(id="titles")
        yield RunTable(id="runs", markup=False, compact=True)
        yield Static(id="empty")
        yield Input(id="filter", placeholder="text in name, URL or tag, or an outcome: failed", compact=True)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#filter").display = False
        self.query_one("#runs").focus()
        self.run_worker(self.feed.follow(), group="feed")
        # Ages and durations grow once a second, changes show sooner.
        self.set_interval(1.0, self.draw)
        self.set_interval(1 / REDRAWS_PER_SECOND, self._draw_changes)

    def on_resize(self) -> None:
        self.draw()

    def on_screen_resume(self) -> None:
        self.draw()

    def chosen(self) -> RunSummaryView | None:
        option = self.query_one("#runs", OptionList).highlighted_option
        return self.feed.runs.get(option.id or "") if option else None

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option.id:
            self.app.push_screen(RunScreen(self.history, self.paper, event.option.id, self.feed))

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_all(self) -> None:
        """Clear the filter."""
        field = self.query_one("#filter", Input)
        field.value = ""
        field.display = False
        self.query_one("#runs").focus()

    def action_order(self) -> None:
        self._order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        self.draw()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._filter = Filter.of(event.value)
        self.draw()
        if event.value.strip():
            wanted = self._filter
            self.set_timer(_SEARCH_SECONDS, lambda: self._search(wanted))

    def _search(self, wanted: Filter) -> None:
        if wanted == self._filter:
            self.run_worker(self.feed.search(wanted), group="search", exclusive=True)

    def on_input_submitted(self) -> None:
        """Keep the filter and go back to the list."""
        self.query_one("#filter").display = bool(self.query_one("#filter", Input).value)
        self.query_one("#runs").focus()

    def _changed(self) -> None:
        self._has_changed = True

    def _draw_changes(self) -> None:
        if self._has_changed:
            self.draw()

    def draw(self) -> None:
        """Draw the list as it is now."""
        if not self.is_current:
            return
        self._has_changed = False
        paper = Paper(max(self.size.width - _SCROLLBAR, 20), self.paper.unicode)
        runs = in_order((run for run in self.feed.runs.values() if self._filter.accepts(run)), self._order)
        running = sum(run.status is RunStatus.RUNNING for run in runs)
        small = self.too_small()
        head = paper.line(small) if small else count_line(len(runs), running, paper, self.history.place, self.feed.lost)
        self.query_one("#head", Static).update(content_of([head]))
        self.query_one("#titles", Static).update(content_of([head_line(paper, self._order)]))
        self._draw_rows(runs, paper)
        empty = "no run matches the filter" if self.feed.runs else "no runs yet: `atm run URL` starts one"
        self.query_one("#empty", Static).update(content_of([paper.line("   ").hint(empty)]))
        self.query_one("#empty").display = not runs

    def _draw_rows(self, runs: list[RunSummaryView], paper: Paper) -> None:
        """Replace the rows that differ; if runs came, went or moved, all of them, and the cursor stays on its run."""
        now = datetime.now(UTC)
        rows = {run.id: content_of([run_line(run, paper, now)]) for run in runs}
        table = self.query_one("#runs", OptionList)
        table.display = bool(runs)
        if list(rows) == list(self._shown):
            for run_id, row in rows.items():
                if row.plain != self._shown[run_id].plain or row.spans != self._shown[run_id].spans:
                    table.replace_option_prompt(run_id, row)
        else:
            chosen = table.highlighted_option.id if table.highlighted_option else None
            at = table.highlighted or 0
            table.set_options([Option(row, id=run_id) for run_id, row in rows.items()])
            ids = list(rows)
            # A new run moves the others down. The cursor on the first row stays there unless it was moved.
            table.highlighted = ids.index(chosen) if chosen in rows else min(at, len(ids) - 1) if ids else None
        self._shown = rows
