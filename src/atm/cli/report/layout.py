"""The `Sheet` that report blocks render to: the result, the paper, and shared formatting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from atm.cli.text import Line, Paper, Style, short_id
from atm.dataclass import dataclass
from atm.models import figures
from atm.models.metric import Metric, Unit
from atm.models.outcome import Outcome
from atm.models.run import Measurement, RunResult, ThresholdResult

LABEL_END = 11
"""The column where the facts of a block start: ` REQUESTS  `."""
NARROW = 80
"""Below this width the report has one column and no bars."""

_TIME_ROWS = {
    Metric.LATENCY: "response",
    Metric.OK_LATENCY: "ok",
    Metric.ADJUSTED_LATENCY: "adjusted",
    Metric.SERVICE: "service",
    Metric.FIRST_BYTE: "first_byte",
}
"""Row of the time table by threshold metric."""


@dataclass
class Sheet:
    """A result and the paper that it is rendered on."""

    result: RunResult
    paper: Paper
    saved: bool = False
    """The run is in the history."""
    everything: bool = False
    """Show all rows."""
    verdicts_only: bool = False

    @property
    def run_id(self) -> str:
        """The short id of the run."""
        return short_id(self.result.run.id)

    @property
    def narrow(self) -> bool:
        return self.paper.width < NARROW

    @property
    def unanswered(self) -> bool:
        """Requests were sent and none got a response, not even an invalid one."""
        metrics = self.result.metrics
        unreadable = (Outcome.PROTOCOL_ERROR, Outcome.RESPONSE_TOO_LARGE)
        read = metrics.status_code_counts or any(metrics.errors_by_type.get(outcome) for outcome in unreadable)
        return metrics.total_requests > 0 and not read

    @property
    def doubtful(self) -> bool:
        """The measurement is invalid: each time is printed with a question mark."""
        return self.result.verdict.measurement == Measurement.INVALID

    @cached_property
    def unit(self) -> str:
        """The unit of all times in tables, chosen by the median response time."""
        metrics = self.result.metrics
        return figures.time_unit(metrics.latency_p50_ms)

    def in_unit(self, milliseconds: float | None) -> str:
        """Format a time for a table, in the sheet's unit."""
        return self.doubted(figures.time_in(milliseconds, self.unit), milliseconds)

    def time(self, milliseconds: float | None) -> str:
        """Format a time with its own unit."""
        return self.doubted(figures.time(milliseconds), milliseconds)

    def measured(self, threshold: ThresholdResult) -> str:
        """Format the measured value of a threshold; a time is marked like any other."""
        is_time = threshold.unit is Unit.MILLISECONDS
        return self.doubted(threshold.measured, threshold.actual) if is_time else threshold.measured

    def doubted(self, text: str, value: float | None) -> str:
        return f"{text}?" if self.doubtful and value is not None else text

    def facts(self, parts: Sequence[str], label: str = "", start: int = LABEL_END) -> list[Line]:
        """Lay out `LABEL  fact · fact · fact`, wrapped at the line's end and indented to `start`."""
        separator = self.paper.text(" · ")
        lines: list[Line] = []
        line = self.paper.line(f" {label}" if label else "", Style.BOLD).to(start)
        empty = True
        for part in parts:
            text = self.paper.text(part)
            if empty and start + len(text) > self.paper.width:
                first, *rest = self.paper.wrapped(text, start)
                lines += [line.add(first.plain.strip()), *rest[:-1]]
                line, empty = (rest[-1] if rest else self.paper.line().to(start)), not rest
                continue
            if not empty and line.width + len(separator) + len(text) > self.paper.width:
                lines.append(line)
                line, empty = self.paper.line().to(start), True
            line.add(text if empty else separator + text)
            empty = False
        return [*lines, line]

    @cached_property
    def judged_times(self) -> dict[tuple[str, str], Style]:
        """Cells of the time table that a threshold judged: (row, percentile) to the colour of the verdict."""
        cells: dict[tuple[str, str], Style] = {}
        for threshold in self.result.thresholds:
            row = _TIME_ROWS.get(threshold.metric)
            if threshold.is_time_limit and row:
                cell = (row, f"p{threshold.percentile:g}")
                if cells.get(cell) != Style.FAIL:
                    cells[cell] = verdict_style(threshold)
        return cells


Block = Callable[[Sheet], list[Line]]


def verdict_style(threshold: ThresholdResult) -> Style:
    """Return the colour of a threshold's verdict."""
    return Style.PASS if threshold.passed else Style.FAIL


def saved_as(sheet: Sheet) -> list[Line]:
    """` saved as 7f3a2c1d   again: atm show 7f3a2c1d`; empty if the run is not in the history."""
    if not sheet.saved:
        return []
    line = sheet.paper.line(" saved as ", Style.DIM).add(sheet.run_id)
    return [line.add("   again: ", Style.DIM).add(f"atm show {sheet.run_id}", Style.TYPE)]
