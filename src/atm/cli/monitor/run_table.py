"""Rows and sort orders of the list of runs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from atm.cli.run_list import age, outcome_sign
from atm.cli.text import Line, Paper, Style, cells
from atm.dataclass import dataclass
from atm.models import figures
from atm.models.control.runs import RunSummaryView
from atm.models.outcome import Measurement, RunStatus

_COLUMNS = (("outcome", 11), ("rate /s", 9), ("p95", 9), ("failed", 8), ("started", 11), ("duration", 11))
_NARROW_COLUMNS = (("outcome", 11), ("p95", 9), ("failed", 8))
_LEAST_WIDTH = 76
"""Narrower terminals get the narrow columns."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order of the list: the column that it sorts by, and the key of a run, smallest first."""

    column: str
    key: Callable[[RunSummaryView], Any]


def _falling(value: float | None) -> float:
    return -value if value is not None else 1.0


def _since(run: RunSummaryView) -> float:
    return -(run.started_at or run.created_at).timestamp()


ORDERS = (
    Order("started", _since),
    Order("name", lambda run: (run.name.casefold(), _since(run))),
    Order("outcome", lambda run: (str(run.outcome), _since(run))),
    Order("rate /s", lambda run: _falling(run.requests_per_second)),
    Order("p95", lambda run: _falling(run.latency_p95_ms)),
    Order("failed", lambda run: _falling(run.error_rate)),
    Order("duration", lambda run: _falling(_seconds(run, None))),
)


def in_order(runs: Iterable[RunSummaryView], order: Order) -> list[RunSummaryView]:
    """Sort the runs."""
    return sorted(runs, key=order.key)


def head_line(paper: Paper, order: Order) -> Line:
    """Return the titles; the column of the order is marked."""
    line = paper.line("   ").add(*_titled("name", order))
    for name, end in _ends(paper):
        line.right(_titled(name, order)[0], end, _titled(name, order)[1])
    return line


def _titled(name: str, order: Order) -> tuple[str, Style]:
    return (f"{name}*", Style.BOLD) if name == order.column else (name, Style.DIM)


def run_line(run: RunSummaryView, paper: Paper, now: datetime) -> Line:
    """Return the row of one run."""
    sign, style = outcome_sign(run.outcome, paper, is_suspect=run.measurement is Measurement.SUSPECT)
    ends = _ends(paper)
    line = paper.line(" ").add(f"{sign} ", style)
    line.add(paper.fitted(run.name, max(ends[0][1] - _COLUMNS[0][1] - line.width, 4)))
    values = {
        "outcome": (str(run.outcome), style),
        "rate /s": (figures.rate(run.requests_per_second), Style.PLAIN),
        "p95": (figures.time(run.latency_p95_ms), Style.PLAIN),
        "failed": (figures.share(run.error_rate), Style.FAIL if run.error_rate else Style.PLAIN),
        "started": (age(run.started_at or run.created_at, now), Style.DIM),
        "duration": (figures.duration(_seconds(run, now)), Style.PLAIN),
    }
    if run.status is RunStatus.RUNNING and run.requests_per_second is None:
        # The list has no figures of runs in progress.
        for name in ("rate /s", "p95"):
            values[name] = ("", Style.PLAIN)
        values["failed"] = (f"{figures.counted(run.requests_completed, 'request')} so far", Style.DIM)
    for name, end in ends:
        if values[name][0]:
            line.right(values[name][0], end, values[name][1])
    return line


def _ends(paper: Paper) -> list[tuple[str, int]]:
    columns = _COLUMNS if paper.width >= _LEAST_WIDTH else _NARROW_COLUMNS
    ends: list[tuple[str, int]] = []
    end = paper.width
    for name, width in reversed(columns):
        ends.insert(0, (name, end))
        end -= width
    return ends


def _seconds(run: RunSummaryView, now: datetime | None) -> float | None:
    end = run.completed_at or now
    return max((end - run.started_at).total_seconds(), 0.0) if run.started_at and end else None


def count_line(shown: int, running: int, paper: Paper, place: str, lost: str) -> Line:
    """Return the top line: where the runs are, how many, and whether the connection is lost."""
    line = paper.line(" atm top  ", Style.BOLD)
    counts = figures.counted(shown, "run") + (f" · {running} running" if running else "")
    state = f"reconnecting: {lost}" if lost else counts
    if lost:
        return line.add(paper.fitted(state, paper.width - line.width), Style.WARN)
    line.add(paper.fitted(place, max(paper.width - line.width - cells(state) - 2, 8)))
    return line.right(state, paper.width, Style.DIM)
