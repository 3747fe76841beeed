"""The plots as vectors, with the scales of the HTML report: a gap where there is no data, straight lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from atm.dataclass import dataclass
from atm.models import figures
from atm.models.run import RunResult
from atm.models.run_figures import TimelinePoint
from atm.reports.facts import Curve, failure_kinds
from atm.reports.pdf.sheet import LEFT, RIGHT, SMALL, Sheet, tint
from atm.reports.scales import Scale, clock_step, linear_ticks, middle, per_second, time_axis, time_label, time_scale

_AXIS = 40.0
_BELOW = 18.0


@dataclass(frozen=True, slots=True)
class Area:
    """The drawing area of one plot."""

    x0: float
    x1: float
    top: float
    y0: float


def _area(sheet: Sheet, height: float, right: float = 34.0) -> Area:
    """Reserve space at the cursor."""
    area = Area(LEFT + _AXIS, RIGHT - right, sheet.y + 6, sheet.y + height - _BELOW)
    sheet.y += height
    return area


def legend(sheet: Sheet, entries: Sequence[tuple[str, str]]) -> None:
    """Draw names with their colours, in one line."""
    x = LEFT
    sheet.y += 8
    for name, colour in entries:
        sheet.box(x, sheet.y - 5.5, 6, 6, colour, radius=1)
        sheet.text(x + 9, sheet.y, name, SMALL, colour="muted")
        x += 9 + sheet.width_of(name, SMALL) + 12
    sheet.y += 4


def rate_chart(sheet: Sheet, result: RunResult, height: float = 120) -> None:
    """Draw completed requests per second and the offered rate as lines, failures as bars."""
    points = result.timeline
    area = _area(sheet, height)
    x = time_axis(points, area.x0, area.x1)
    # The last interval may be a few milliseconds long; its rate is meaningless.
    shown = [point for point in points if point.duration_seconds >= 0.5] or points
    completed = [(middle(point), per_second(point.completed, point)) for point in shown]
    arrivals = 0.0 if result.scenarios else 1.0
    offered = [(middle(point), arrivals * per_second(point.offered_rate, point) or None) for point in shown]
    ticks = linear_ticks(max([value for _, value in completed] + [value or 0.0 for _, value in offered]), 4)
    y = Scale(0.0, ticks[-1], area.y0, area.top)
    _warm_up(sheet, area, x, points)
    _grid(sheet, area, y, ticks, figures.rate)
    for point in shown:
        value = per_second(point.failed, point)
        left, right = x(point.second), x(point.second + point.duration_seconds)
        sheet.box(left, y(value), max(right - left - 0.4, 0.4), area.y0 - y(value), "fail")
    _paths(sheet, offered, x, y, "muted", 0.8, dash=3)
    _paths(sheet, completed, x, y, "info", 1.1)
    _clock_axis(sheet, area, x)


def time_chart(sheet: Sheet, result: RunResult, limit_ms: float | None, height: float = 160) -> None:
    """Draw p50, p95 and p99 of each second as lines, the maximum as dots, a threshold's limit as a labelled line."""
    points = result.timeline
    keys = ("p50", "p95", "p99")
    series = {key: [(middle(point), getattr(point, f"latency_{key}_ms")) for point in points] for key in keys}
    values = [point.latency_max_ms for point in points if point.latency_max_ms]
    values += [value for line in series.values() for _, value in line if value]
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return
    area = _area(sheet, height)
    x = time_axis(points, area.x0, area.x1)
    y, ticks = time_scale(values, result.metrics.latency_p50_ms, area.y0, area.top)
    _warm_up(sheet, area, x, points)
    is_shown = limit_ms is not None and y.low <= limit_ms <= y.high
    if limit_ms is not None and is_shown:
        sheet.box(area.x0, area.top, area.x1 - area.x0, y(limit_ms) - area.top, tint("fail", 0.06))
    _grid(sheet, area, y, ticks, time_label(ticks))
    if limit_ms is not None and is_shown:
        sheet.line([(area.x0, y(limit_ms)), (area.x1, y(limit_ms))], "fail", 0.7, dash=2)
        sheet.text(area.x1, y(limit_ms) - 3, f"limit {figures.time(limit_ms)}", SMALL, colour="fail", align="R")
    for point in points:
        if point.latency_max_ms and math.isfinite(point.latency_max_ms):
            sheet.dot(x(middle(point)), y(point.latency_max_ms), 0.8, "muted")
    for key, line in series.items():
        _paths(sheet, line, x, y, key, 1.1)
    ends = {
        key: y(last) + 2.5
        for key, line in series.items()
        if (last := next((value for _, value in reversed(line) if value is not None), None)) is not None
    }
    _labels(sheet, area, ends)
    _clock_axis(sheet, area, x)


def failure_chart(sheet: Sheet, result: RunResult, height: float = 90) -> None:
    """Draw the failures of each second as bars, stacked by kind."""
    points = result.timeline
    area = _area(sheet, height)
    x = time_axis(points, area.x0, area.x1)
    ticks = linear_ticks(max(sum(point.errors.values()) for point in points), 3)
    y = Scale(0.0, ticks[-1], area.y0, area.top)
    _grid(sheet, area, y, [tick for tick in ticks if tick == int(tick)], lambda tick: figures.count(int(tick)))
    for point in points:
        base = 0
        left, right = x(point.second), x(point.second + point.duration_seconds)
        for outcome, colour in failure_kinds(result):
            count = point.errors.get(outcome, 0)
            sheet.box(left, y(base + count), max(right - left - 0.4, 0.6), y(base) - y(base + count), colour)
            base += count
    _clock_axis(sheet, area, x)


def percentile_chart(sheet: Sheet, curves: Sequence[Curve], samples: int, height: float = 150) -> None:
    """Draw time by percentile, scaled as 1 / (1 - p), up to the percentile that ten samples exceed.

    A line that leaves the plot at the top goes to ∞.
    """
    last = max(samples / 10, 2.0)
    tails = [last ** (number / 60) for number in range(61)]
    lines = {name: [(tail, function(100 * (1 - 1 / tail))) for tail in tails] for name, _, function in curves}
    finite = [value for line in lines.values() for _, value in line if value is not None and math.isfinite(value)]
    if not finite:
        return
    area = _area(sheet, height, right=8)
    y, ticks = time_scale(finite, curves[0][2](50), area.y0, area.top)
    x = Scale(1.0, last, area.x0, area.x1, logarithmic=True)
    _grid(sheet, area, y, ticks, time_label(ticks))
    marks = ((2, "p50"), (10, "p90"), (100, "p99"), (1_000, "p99.9"), (10_000, "p99.99"), (100_000, "p99.999"))
    for tail, name in marks:
        if tail <= last:
            sheet.line([(x(tail), area.top), (x(tail), area.y0)], "border")
            sheet.text(x(tail), area.y0 + 11, name, SMALL, colour="muted", align="C")
    for name, colour, _ in curves:
        infinite = next((place for place, (_, value) in enumerate(lines[name]) if value == math.inf), len(tails))
        capped = [(tail, None if value is None else min(value, y.high)) for tail, value in lines[name][: infinite + 1]]
        _paths(sheet, capped, x, y, colour, 1.1)


def _grid(sheet: Sheet, area: Area, scale: Scale, ticks: Sequence[float], label: Callable[[float], str]) -> None:
    for tick in ticks:
        sheet.line([(area.x0, scale(tick)), (area.x1, scale(tick))], "border")
        sheet.text(area.x0 - 6, scale(tick) + 2.5, label(tick), SMALL, colour="muted", align="R")


def _clock_axis(sheet: Sheet, area: Area, x: Scale) -> None:
    step = clock_step(x.high, 9)
    for mark in range(0, int(x.high) + 1, step):
        sheet.text(x(mark), area.y0 + 11, figures.clock(mark), SMALL, colour="muted", align="C")


def _warm_up(sheet: Sheet, area: Area, x: Scale, points: Sequence[TimelinePoint]) -> None:
    end = max((point.second + point.duration_seconds for point in points if point.warm_up), default=0.0)
    if end:
        sheet.box(x(0), area.top, x(end) - x(0), area.y0 - area.top, "canvas")
        if x(end) - x(0) > sheet.width_of("warm-up", SMALL) + 6:
            sheet.text(x(0) + 3, area.top + 9, "warm-up", SMALL, colour="muted")


def _paths(
    sheet: Sheet,
    points: Sequence[tuple[float, float | None]],
    x: Scale,
    y: Scale,
    colour: str,
    width: float,
    dash: float = 0,
) -> None:
    """Draw straight segments, with a gap where there is no value."""
    parts: list[list[tuple[float, float]]] = [[]]
    for place, value in points:
        if value is None:
            parts.append([])
        else:
            parts[-1].append((x(place), y(value)))
    for part in parts:
        if len(part) == 1:
            sheet.dot(*part[0], 1.2, colour)
        elif part:
            sheet.line(part, colour, width, dash)


def _labels(sheet: Sheet, area: Area, ends: dict[str, float]) -> None:
    """Write the names of lines at their ends, apart from each other."""
    lowest = area.y0 + 9
    for name, y in sorted(ends.items(), key=lambda end: -end[1]):
        lowest = min(y, lowest - 9)
        sheet.text(area.x1 + 5, lowest, name, SMALL, colour=name, bold=True)
