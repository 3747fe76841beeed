"""Linear and logarithmic scales from values to positions, with ticks at 1, 2 and 5, for the plots of all reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from atm.dataclass import dataclass
from atm.models import figures
from atm.models.run_figures import TimelinePoint

LOGARITHMIC_ABOVE = 100.0
"""Use a logarithmic scale for times if the maximum exceeds the median by more than this factor (two decades)."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps [low, high] to [start, end]."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of `value`, clamped to the range."""
        value = min(max(value, self.low), self.high)
        if self.high == self.low:
            return self.start
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def linear_ticks(high: float, count: int = 5) -> list[float]:
    """Return about `count` ticks from 0 in steps of 1, 2 or 5 up to the first that reaches `high`."""
    if high <= 0:
        return [0.0, 1.0]
    raw = high / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw * 0.999999)
    steps = math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(steps + 1)]


def logarithmic_ticks(low: float, high: float) -> list[float]:
    """Return ticks at 1, 2 and 5 of each decade around [low, high]; only powers of ten if that were more than ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks: list[float] = []
    for factors in ((1.0, 2.0, 5.0), (1.0,)):
        ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
        below = [tick for tick in ticks if tick <= low * 1.000001]
        above = [tick for tick in ticks if tick >= high * 0.999999]
        ticks = [tick for tick in ticks if (below[-1] if below else 0) <= tick <= (above[0] if above else math.inf)]
        if len(ticks) <= 10:
            break
    return ticks


def time_scale(values: Sequence[float], middle: float | None, start: float, end: float) -> tuple[Scale, list[float]]:
    """Return a scale for times in ms and its ticks: linear from 0, or logarithmic above `LOGARITHMIC_ABOVE`."""
    high = max(values, default=1.0) or 1.0
    if middle and high / middle > LOGARITHMIC_ABOVE:
        low = min(value for value in values if value > 0)
        ticks = logarithmic_ticks(low, high)
        return Scale(ticks[0], max(ticks[-1], high), start, end, logarithmic=True), ticks
    ticks = linear_ticks(high)
    return Scale(0.0, ticks[-1], start, end), ticks


def clock_step(seconds: float, most: int) -> int:
    """Return the whole seconds between marks of a time axis for at most `most` marks."""
    for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400):
        if seconds / step <= most:
            return step
    return 86_400


def time_axis(points: Sequence[TimelinePoint], start: float, end: float) -> Scale:
    """Return the scale from seconds of the run to positions; `points` is not empty."""
    last = max(point.second + point.duration_seconds for point in points)
    return Scale(0.0, max(last, 1.0), start, end)


def middle(point: TimelinePoint) -> float:
    """Return the middle of a point's span, in seconds of the run."""
    return point.second + point.duration_seconds / 2


def per_second(count: float, point: TimelinePoint) -> float:
    """Return a count of a point as a rate; 0 for a point without length."""
    return count / point.duration_seconds if point.duration_seconds else 0.0


def time_label(ticks: Sequence[float]) -> Callable[[float], str]:
    """Return a label function with one unit for all ticks, shown at the highest one."""
    unit = figures.time_unit(ticks[len(ticks) // 2])
    length = {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3}[unit]
    return lambda tick: f"{tick / length:,.10g}" + (f" {unit}" if tick == ticks[-1] else "")
