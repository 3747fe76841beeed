"""Add up the values of the metrics that a test declares, and turn them into figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from atm.metrics.own_interval import OwnInterval
from atm.models.own_metric import SCALE, OwnKind, OwnMetric
from atm.models.run_figures import OwnFigures

PERCENTS = (50, 90, 95, 99)
"""The percentiles of a trend in figures."""


class OwnTotals:
    """The measured values of each metric so far."""

    def __init__(self, metrics: Sequence[OwnMetric]) -> None:
        self.metrics = tuple(metrics)
        """In the order of the plan."""
        self.measured = [OwnInterval(index, warm_up=False) for index in range(len(self.metrics))]
        self.last: tuple[OwnFigures, ...] = ()
        """The figures of the last second alone."""

    def add(self, parts: Iterable[OwnInterval], seconds: float) -> None:
        """Add one second. Raises ValueError if it has an unknown metric."""
        if not self.metrics:
            if any(True for _ in parts):
                raise ValueError("values of a metric that the test does not declare")
            return
        second = [OwnInterval(index, warm_up=False) for index in range(len(self.metrics))]
        for part in parts:
            if not 0 <= part.metric < len(self.metrics):
                raise ValueError(f"own metric {part.metric} of {len(self.metrics)}")
            # A second belongs to one phase, but at the end of the warm-up.
            second[part.metric].merge(part)
            if not part.warm_up:
                self.measured[part.metric].merge(part)
        self.last = tuple(own_figures(self.metrics, second, seconds))

    def figures(self, seconds: float) -> tuple[OwnFigures, ...]:
        """Return the figures over a window of this length."""
        return tuple(own_figures(self.metrics, self.measured, seconds))


def own_figures(metrics: Sequence[OwnMetric], parts: Sequence[OwnInterval], seconds: float) -> list[OwnFigures]:
    """Return the figures of each metric over a span of `seconds`."""
    return [
        figures_of(metric, part, seconds, part.percentiles(PERCENTS))
        for metric, part in zip(metrics, parts, strict=True)
    ]


def figures_of(metric: OwnMetric, part: OwnInterval, seconds: float, percentiles: Sequence[int | None]) -> OwnFigures:
    """Return the figures of a metric over a span of `seconds`, with those of `PERCENTS`."""
    figures = OwnFigures(name=metric.name, kind=metric.kind, unit=metric.unit, count=part.count)
    if metric.kind is OwnKind.COUNTER:
        rate = (part.total - part.drained) / SCALE / seconds if seconds else 0.0
        return replace(figures, total=part.total / SCALE, rate=rate)
    figures = replace(figures, min=scaled(part.least), max=scaled(part.most))
    if metric.kind is OwnKind.GAUGE:
        return replace(figures, last=scaled(part.last))
    p50, p90, p95, p99 = map(scaled, percentiles)
    mean = part.total / (part.count * SCALE) if part.count else None
    return replace(figures, total=part.total / SCALE, mean=mean, p50=p50, p90=p90, p95=p95, p99=p99)


def scaled(billionths: int | None) -> float | None:
    """Return a value; None without one."""
    return None if billionths is None else billionths / SCALE
