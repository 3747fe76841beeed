"""Charts of a run for a terminal: one column of blocks for each part of the time, scaled from 0. Pure.

Textual's Sparkline is not used: it scales from the minimum and has no gaps for seconds without data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from atm.cli.text import Line, Paper, Style
from atm.dataclass import dataclass
from atm.models import figures
from atm.models.run_figures import Stretch

LEAST_WIDTH = 22
_GAP = 2
_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = " .:-=+*##"
_MOST_CHARTS = 3

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: its values over time, and how to write one of them."""

    title: str
    values: Values
    """One per second or longer part, oldest first; None is a gap."""
    written: Callable[[float | None], str]
    worst: Callable[[Sequence[float]], float]
    """Chooses the value of a column that covers several."""
    style: Style = Style.PLAIN
    behind: Values = ()
    """Larger values, drawn shaded behind the others."""


def charts_of(points: Sequence[Stretch]) -> tuple[Chart, ...]:
    """Return the charts of a run: rate, response time and failures."""
    rates = [point.completed / point.duration_seconds if point.duration_seconds else None for point in points]
    failures = [point.failed / point.duration_seconds if point.duration_seconds else None for point in points]
    p95s = [point.latency_p95_ms for point in points]
    return (
        Chart("rate /s", rates, figures.rate, min),
        Chart("p95", [point.latency_p50_ms for point in points], figures.time, max, behind=p95s),
        Chart("failed /s", failures, lambda value: figures.rate(value) if value else "none", max, Style.FAIL),
    )


def chart_lines(points: Sequence[Stretch], height: int, paper: Paper) -> list[Line]:
    """Draw the charts beside each other, with a line of titles and a time axis; as many as the width has room for."""
    count = max(1, min(_MOST_CHARTS, (paper.width + _GAP) // (LEAST_WIDTH + _GAP)))
    width = (paper.width - 1 - _GAP * (count - 1)) // count
    end = figures.clock(points[-1].second + points[-1].duration_seconds) if points else figures.NO_DATA
    lines = [paper.line(" ") for _ in range(height + 2)]
    for number, chart in enumerate(charts_of(points)[:count]):
        start = 1 + number * (width + _GAP)
        drawn = [_title(chart, width, paper), *_rows(chart, width, height, paper), _axis(chart, end, width, paper)]
        for line, part in zip(lines, drawn, strict=True):
            if line.width < start:
                line.to(start)
            line.extend(part)
    return lines


def _title(chart: Chart, width: int, paper: Paper) -> Line:
    shown = chart.behind or chart.values
    peak = _highest(shown)
    line = paper.line(f"{chart.title} ", Style.DIM).add(chart.written(shown[-1] if shown else None))
    most = f"max {chart.written(peak)}"
    return line.right(most, width, Style.DIM) if peak and line.width + len(most) < width else line


def _axis(chart: Chart, end: str, width: int, paper: Paper) -> Line:
    line = paper.line(figures.clock(0), Style.DIM)
    if chart.behind:
        line.add("  " + ("█" if paper.unicode else "#") + " p50 " + ("░" if paper.unicode else "'") + " p95", Style.DIM)
    return line.right(end, width, Style.DIM)


def _rows(chart: Chart, width: int, height: int, paper: Paper) -> list[Line]:
    columns = _columns(chart.values, width, chart.worst)
    behind = _columns(chart.behind, width, max) if chart.behind else [None] * len(columns)
    peak = max(_highest(chart.values), _highest(chart.behind))
    blocks, shade = (_BLOCKS, "░") if paper.unicode else (_ASCII_BLOCKS, "'")
    rows = []
    for row in range(height - 1, -1, -1):
        cells = []
        for value, larger in zip(columns, behind, strict=True):
            level = _level(value, peak, height, row)
            is_shaded = not level and _level(larger, peak, height, row) >= len(_BLOCKS) // 2
            cells.append(shade if is_shaded else blocks[level])
        rows.append(paper.line("".join(cells), chart.style))
    return rows


def _columns(values: Values, width: int, worst: Callable[[Sequence[float]], float]) -> list[float | None]:
    count = min(width, len(values))
    columns: list[float | None] = []
    for column in range(count):
        part = values[column * len(values) // count : (column + 1) * len(values) // count]
        present = [value for value in part if value is not None]
        columns.append(worst(present) if present else None)
    return columns


def _highest(values: Values) -> float:
    return max((value for value in values if value is not None and math.isfinite(value)), default=0.0)


def _level(value: float | None, peak: float, height: int, row: int) -> int:
    """Return how much of the cell in `row`, from below, the value fills: 0 to 8. The lowest cell shows any value."""
    if value is None or value <= 0 or not (peak or math.isinf(value)):
        return 0
    filled = 1.0 if math.isinf(value) else value / peak
    level = min(max(int(filled * height * 8 + 0.5) - row * 8, 0), 8)
    return max(level, 1) if row == 0 else level
