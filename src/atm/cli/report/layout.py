"""What every block of the report is written from: the result, the paper, and how a judged time looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from atm.cli.text import Line, Paper, Style, short_id
from atm.models import figures
from atm.models.metric import Metric, Unit
from atm.models.outcome import Outcome
from atm.models.run import Measurement, RunResult, ThresholdResult

LABEL_END = 11
"""The column in which the facts of a block begin: ` REQUESTS  `."""
NARROW = 80
"""Below this width everything stands in one column, without bars."""

_TIME_ROWS = {
    Metric.LATENCY: "response",
    Metric.OK_LATENCY: "ok",
    Metric.ADJUSTED_LATENCY: "adjusted",
    Metric.SERVICE: "service",
    Metric.FIRST_BYTE: "first_byte",
}
"""The rows of the time table."""


@dataclass
class Sheet:
    """One result on one kind of paper."""

    result: RunResult
    paper: Paper
    saved: bool = False
    """The history has this run."""
    everything: bool = False
    """No row is left out for being one of many."""
    verdicts_only: bool = False

    @property
    def run_id(self) -> str:
        """What people see and type of the run's id."""
        return short_id(self.result.run.id)

    @property
    def narrow(self) -> bool:
        return self.paper.width < NARROW

    @property
    def unanswered(self) -> bool:
        """Requests were sent, and not one got an answer, be it one that cannot be read."""
        metrics = self.result.metrics
        unreadable = (Outcome.PROTOCOL_ERROR, Outcome.RESPONSE_TOO_LARGE)
        read = metrics.status_code_counts or any(metrics.errors_by_type.get(outcome) for outcome in unreadable)
        return metrics.total_requests > 0 and not read

    @property
    def doubtful(self) -> bool:
        """The measurement is invalid: every time is printed with a question mark."""
        return self.result.verdict.measurement == Measurement.INVALID

    @cached_property
    def unit(self) -> str:
        """The unit of all times in tables, chosen by the median."""
        metrics = self.result.metrics
        return figures.time_unit(metrics.latency_p50_ms)

    def in_unit(self, milliseconds: float | None) -> str:
        """A time for a table, in the sheet's unit."""
        return self.doubted(figures.time_in(milliseconds, self.unit), milliseconds)

    def time(self, milliseconds: float | None) -> str:
        """A time with the unit that fits it."""
        return self.doubted(figures.time(milliseconds), milliseconds)

    def measured(self, threshold: ThresholdResult) -> str:
        """What a threshold measured; a time is doubted as every time is."""
        is_time = threshold.unit is Unit.MILLISECONDS
        return self.doubted(threshold.measured, threshold.actual) if is_time else threshold.measured

    def doubted(self, text: str, value: float | None) -> str:
        return f"{text}?" if self.doubtful and value is not None else text

    def facts(self, parts: Sequence[str], label: str = "", start: int = LABEL_END) -> list[Line]:
        """`LABEL  fact · fact · fact`, continued below `start` where the line is full."""
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
        """Which cells of the time table a threshold judged: (row, percentile) to the colour of its verdict."""
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
    """The colour of a threshold's verdict."""
    return Style.PASS if threshold.passed else Style.FAIL


def saved(sheet: Sheet) -> list[Line]:
    """` saved as 7f3a2c1d   again: atm show 7f3a2c1d`; nothing where the history has not got the run."""
    if not sheet.saved:
        return []
    line = sheet.paper.line(" saved as ", Style.DIM).add(sheet.run_id)
    return [line.add("   again: ", Style.DIM).add(f"atm show {sheet.run_id}", Style.TYPE)]
