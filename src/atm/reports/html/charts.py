"""The plots as inline SVG, each in two widths: one for a desktop and one that is readable on a phone.

Missing data is a gap, an isolated point a dot; the axis of the rate starts at 0; lines are straight, not smoothed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from atm.dataclass import dataclass
from atm.models import figures
from atm.models.run import RunResult
from atm.models.run_figures import TimelinePoint
from atm.reports.facts import Curve, failure_kinds
from atm.reports.html.markup import Markup, markup, tag
from atm.reports.scales import Scale, clock_step, linear_ticks, middle, per_second, time_axis, time_label, time_scale

WIDE, HALF, NARROW = 1016, 484, 360
HOVERS = 400
"""Draw hover areas only up to this many points; more are too narrow to point at."""


@dataclass(frozen=True, slots=True)
class Area:
    """The drawing area of one plot."""

    width: int
    height: int
    left: int = 64
    right: int = 48
    top: int = 10
    bottom: int = 24

    @property
    def x0(self) -> float:
        return self.left

    @property
    def x1(self) -> float:
        return self.width - self.right

    @property
    def y0(self) -> float:
        return self.height - self.bottom

    def svg(self, label: str, *children: Markup) -> Markup:
        kind = {WIDE: "wide", HALF: "wide half", NARROW: "narrow"}[self.width]
        view = f"0 0 {self.width} {self.height}"
        return tag("svg", *children, class_=kind, viewBox=view, role="img", aria_label=label)


def both(draw: Callable[[int], Markup], wide: int = WIDE) -> Markup:
    """Draw the plot for a desktop and for a phone; the style sheet shows one of them."""
    return markup(draw(wide), draw(NARROW))


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _text(x: float, y: float, text: str, class_: str = "") -> Markup:
    return tag("text", text, x=_n(x), y=_n(y), class_=class_ or None)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return tag("line", x1=_n(x1), y1=_n(y1), x2=_n(x2), y2=_n(y2), class_=class_)


def _rect(x: float, y: float, width: float, height: float, class_: str, title: str = "") -> Markup:
    children = (tag("title", title),) if title else ()
    place = {"x": _n(x), "y": _n(y), "width": _n(max(width, 0)), "height": _n(max(height, 0))}
    return tag("rect", *children, **place, class_=class_)


def _grid(area: Area, scale: Scale, ticks: Sequence[float], label: Callable[[float], str]) -> Markup:
    lines = []
    for tick in ticks:
        y = scale(tick)
        lines += [_line(area.x0, y, area.x1, y, "grid"), _text(area.x0 - 8, y + 4, label(tick), "end")]
    return markup(*lines)


def _clock_axis(area: Area, x: Scale) -> Markup:
    step = clock_step(x.high, 10 if area.width == WIDE else 4)
    marks = range(0, int(x.high) + 1, step)
    return markup(*(_text(x(mark), area.height - 6, figures.clock(mark), "mid") for mark in marks))


def _warm_up(area: Area, x: Scale, points: Sequence[TimelinePoint]) -> Markup:
    end = max((point.second + point.duration_seconds for point in points if point.warm_up), default=0.0)
    if not end:
        return Markup("")
    box = _rect(x(0), area.top, x(end) - x(0), area.y0 - area.top, "warmup", "warm-up: excluded from all results")
    return markup(box, _text(x(0) + 4, area.top + 12, "warm-up"))


def _paths(points: Sequence[tuple[float, float | None]], x: Scale, y: Scale, class_: str) -> Markup:
    """Draw straight segments, with a gap where there is no value."""
    runs: list[list[tuple[float, float]]] = [[]]
    for place, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((x(place), y(value)))
    drawn = []
    for run in runs:
        if len(run) == 1:
            fill = class_.replace("k-", "f-").replace("line", "").strip()
            drawn.append(tag("circle", cx=_n(run[0][0]), cy=_n(run[0][1]), r="2", class_=fill))
        elif run:
            steps = " ".join(f"{_n(px)},{_n(py)}" for px, py in run)
            drawn.append(tag("polyline", points=steps, class_=class_))
    return markup(*drawn)


def _hover(area: Area, x: Scale, points: Sequence[TimelinePoint], text: Callable[[TimelinePoint], str]) -> Markup:
    if len(points) > HOVERS or area.width != WIDE:
        return Markup("")
    height = area.y0 - area.top
    return markup(
        *(
            _rect(x(p.second), area.top, x(p.second + p.duration_seconds) - x(p.second), height, "hover", text(p))
            for p in points
        )
    )


def _spread(labels: list[tuple[float, str, str]], low: float, high: float) -> list[tuple[float, str, str]]:
    """Move labels at the ends of lines apart so that they do not overlap; `low` is the lower edge."""
    placed: list[tuple[float, str, str]] = []
    for y, name, key in sorted(labels, key=lambda label: -label[0]):
        y = min(y, low if not placed else placed[-1][0] - 14)
        placed.append((max(y, high), name, key))
    return placed


def rate_chart(result: RunResult, width: int) -> Markup:
    """Draw completed requests per second and the offered rate as lines, failures as bars."""
    points = result.timeline
    area = Area(width, 180)
    x = time_axis(points, area.x0, area.x1)
    # The last interval may be a few milliseconds long; its rate is meaningless.
    shown = [point for point in points if point.duration_seconds >= 0.5] or points
    completed = [(middle(point), per_second(point.completed, point)) for point in shown]
    # Arrivals of scenarios are iterations, and the plot is of requests.
    arrivals = 0.0 if result.scenarios else 1.0
    offered = [(middle(point), arrivals * per_second(point.offered_rate, point) or None) for point in shown]
    failed = [(point, per_second(point.failed, point)) for point in shown]
    high = max([value for _, value in completed] + [value or 0.0 for _, value in offered])
    ticks = linear_ticks(high, 4)
    y = Scale(0.0, ticks[-1], area.y0, area.top)
    bars = [
        _rect(x(p.second), y(value), x(p.second + p.duration_seconds) - x(p.second) - 0.5, area.y0 - y(value), "f-fail")
        for p, value in failed
        if value
    ]

    def hover_text(point: TimelinePoint) -> str:
        offered = f" of {figures.rate(per_second(point.offered_rate, point))}" if arrivals * point.offered_rate else ""
        rate = figures.rate(per_second(point.completed, point))
        return f"{figures.clock(point.second)}  {rate}{offered} /s, {figures.count(point.failed)} failed"

    mean = figures.rate(result.metrics.requests_per_second)
    return area.svg(
        f"Requests completed per second over time, mean {mean} /s",
        _warm_up(area, x, points),
        _grid(area, y, ticks, figures.rate),
        *bars,
        _paths(offered, x, y, "line dash k-muted"),
        _paths(list(completed), x, y, "line k-info"),
        _clock_axis(area, x),
        _hover(area, x, points, hover_text),
    )


def time_chart(result: RunResult, width: int, limit_ms: float | None) -> Markup:
    """Draw p50, p95 and p99 of each second as lines, the maximum as dots, a threshold's limit as a labelled line."""
    points = result.timeline
    area = Area(width, 250)
    x = time_axis(points, area.x0, area.x1)
    keys = ("p50", "p95", "p99")
    series = {key: [(middle(point), getattr(point, f"latency_{key}_ms")) for point in points] for key in keys}
    highs = [point.latency_max_ms for point in points if point.latency_max_ms]
    values = highs + [value for line in series.values() for _, value in line if value]
    if not values:
        return Markup("")
    y, ticks = time_scale(values, result.metrics.latency_p50_ms, area.y0, area.top)
    parts = [_warm_up(area, x, points), _grid(area, y, ticks, time_label(ticks))]
    if limit_ms is not None and y.low <= limit_ms <= y.high:
        edge = y(limit_ms)
        parts.append(_rect(area.x0, area.top, area.x1 - area.x0, edge - area.top, "over"))
        parts.append(_line(area.x0, edge, area.x1, edge, "limit"))
        parts.append(_text(area.x1, edge - 5, f"limit {figures.time(limit_ms)}", "end"))
    parts += [
        tag("circle", cx=_n(x(middle(p))), cy=_n(y(p.latency_max_ms)), r="1.4", class_="f-muted")
        for p in points
        if p.latency_max_ms
    ]
    parts += [_paths(line, x, y, f"line k-{key}") for key, line in series.items()]
    ends = [
        (y(last) + 4, key, key)
        for key, line in series.items()
        if (last := next((value for _, value in reversed(line) if value is not None), None)) is not None
    ]
    parts += [_text(area.x1 + 6, place, name, "strong") for place, name, _ in _spread(ends, area.y0, area.top + 8)]

    def hover_text(point: TimelinePoint) -> str:
        shown = ", ".join(f"{key} {figures.time(getattr(point, f'latency_{key}_ms'))}" for key in (*keys, "max"))
        return f"{figures.clock(point.second)}  {shown}"

    label = "Percentiles of the response time in each second, over time"
    return area.svg(label, *parts, _clock_axis(area, x), _hover(area, x, points, hover_text))


def failure_chart(result: RunResult, width: int) -> Markup:
    """Draw the failures of each second as bars, stacked by kind."""
    points = result.timeline
    area = Area(width, 120)
    x = time_axis(points, area.x0, area.x1)
    kinds = failure_kinds(result)
    ticks = linear_ticks(max(sum(point.errors.values()) for point in points), 3)
    y = Scale(0.0, ticks[-1], area.y0, area.top)
    bars = []
    for point in points:
        base = 0
        for outcome, colour in kinds:
            count = point.errors.get(outcome, 0)
            if count:
                left, right = x(point.second), x(point.second + point.duration_seconds)
                bars.append(
                    _rect(left, y(base + count), max(right - left - 1, 1), y(base) - y(base + count), f"f-{colour}")
                )
                base += count

    def hover_text(point: TimelinePoint) -> str:
        kinds_here = ", ".join(f"{figures.count(count)} {outcome}" for outcome, count in point.errors.items())
        return f"{figures.clock(point.second)}  {kinds_here or 'none'}"

    grid = _grid(area, y, [tick for tick in ticks if tick == int(tick)], lambda tick: figures.count(int(tick)))
    label = "Failures in each second by kind, over time"
    return area.svg(label, grid, *bars, _clock_axis(area, x), _hover(area, x, points, hover_text))


def percentile_chart(curves: Sequence[Curve], samples: int, width: int) -> Markup:
    """Draw time by percentile, scaled as 1 / (1 - p), up to the percentile that ten samples exceed.

    A line that leaves the plot at the top goes to ∞.
    """
    area = Area(width, 250, right=80)
    last = max(samples / 10, 2.0)
    steps = 60
    tails = [last ** (number / steps) for number in range(steps + 1)]
    lines = {name: [(tail, function(100 * (1 - 1 / tail))) for tail in tails] for name, _, function in curves}
    finite = [value for line in lines.values() for _, value in line if value is not None and math.isfinite(value)]
    if not finite:
        return Markup("")
    middle = curves[0][2](50)
    y, ticks = time_scale(finite, middle, area.y0, area.top)
    x = Scale(1.0, last, area.x0, area.x1, logarithmic=True)
    parts = [_grid(area, y, ticks, time_label(ticks))]
    marks = [(2, "p50"), (10, "p90"), (100, "p99"), (1_000, "p99.9"), (10_000, "p99.99"), (100_000, "p99.999")]
    for tail, name in marks:
        if tail <= last:
            parts += [_line(x(tail), area.top, x(tail), area.y0, "grid"), _text(x(tail), area.height - 6, name, "mid")]
    ends = []
    for name, colour, _ in curves:
        capped = [(tail, None if value is None else min(value, y.high)) for tail, value in lines[name]]
        parts.append(_paths(_until_infinite(lines[name], capped), x, y, f"line k-{colour}"))
        end = next((value for _, value in reversed(capped) if value is not None), None)
        if end is not None:
            ends.append((y(end) + 4, name, colour))
    parts += [
        tag("text", name, x=_n(area.x1 + 6), y=_n(place), class_="strong")
        for place, name, _ in _spread(ends, area.y0, area.top + 8)
    ]
    return area.svg("Response, service and first-byte time by percentile", *parts)


def _until_infinite(
    line: Sequence[tuple[float, float | None]], capped: Sequence[tuple[float, float | None]]
) -> list[tuple[float, float | None]]:
    """Return the capped line up to and including its first infinite point."""
    finite = []
    for (_, value), point in zip(line, capped, strict=True):
        finite.append(point)
        if value is not None and math.isinf(value):
            break
    return finite
