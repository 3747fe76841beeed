"""The distribution of a time: percentiles and other figures of a histogram."""

from __future__ import annotations

import math

from atm.metrics.histogram import Histogram
from atm.models.run_figures import Spread

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)


def spread_ns(histogram: Histogram, beyond: int = 0) -> tuple[float | None, ...]:
    """Return the figures of a `Spread`, in order, but in ns; `beyond` adds samples at +∞ (see `Histogram`)."""
    if not histogram.total + beyond:
        return (None,) * len(Spread.__slots__)
    infinite = math.inf if beyond else None
    minimum = infinite if histogram.minimum is None else float(histogram.minimum)
    mean = infinite if beyond else histogram.mean
    maximum = infinite if beyond or histogram.maximum is None else float(histogram.maximum)
    return (minimum, mean, *histogram.percentiles(PERCENTILES, beyond), maximum)


def in_milliseconds(figures_ns: tuple[float | None, ...]) -> Spread:
    """Return the spread for figures from `spread_ns`."""
    return Spread(*(None if figure is None else figure / 1e6 for figure in figures_ns))


def spread(histogram: Histogram, beyond: int = 0) -> Spread:
    """Return the distribution of a histogram with `beyond` further samples at +∞."""
    return in_milliseconds(spread_ns(histogram, beyond))
