"""The latency histogram that people read: rungs of 1, 2 and 5 per decade, with shares and percentile marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from atm.metrics.histogram import HIGHEST_NS, Histogram, index_of

MOST_RUNGS = 10
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Rung:
    """One row: the samples above the rung before it, up to and with `limit_ns`."""

    limit_ns: int
    """1, 2 or 5 times a power of ten, or the hour that is the longest time there is."""
    count: int
    cumulative_share: float
    """Samples up to `limit_ns`, as a share of all, 0..1; exactly 1 on the last rung."""
    percentiles: tuple[float, ...]
    """Which of the percentiles that were asked for lie in this rung."""


def rungs(histogram: Histogram, percentiles: Sequence[float] = (50, 95, 99), most: int = MOST_RUNGS) -> list[Rung]:
    """The rungs from the smallest sample to the largest, at most `most` (at least 1), empty ones in between included.

    Where there are more, outer ones are merged: at the end where fewer samples lose the limit they were at. Samples in
    the same bucket as a limit (0.1 % wide) count as equal to it. No samples, no rungs.
    """
    if not histogram:
        return []
    limits, counts = _fine(histogram)
    while len(counts) > most:
        if counts[0] < counts[-2]:
            counts[:2] = [counts[0] + counts[1]]
            del limits[0]
        else:
            counts[-2:] = [counts[-2] + counts[-1]]
            del limits[-2]
    marks: dict[int, list[float]] = {}
    for percent, value in zip(percentiles, histogram.percentiles(tuple(percentiles)), strict=True):
        if value is not None:
            marks.setdefault(_place(limits, index_of(int(value))), []).append(percent)
    rows = []
    seen = 0
    for place, (limit, count) in enumerate(zip(limits, counts, strict=True)):
        seen += count
        rows.append(Rung(limit, count, seen / histogram.total, tuple(marks.get(place, ()))))
    return rows


def _fine(histogram: Histogram) -> tuple[list[int], list[int]]:
    """Every limit from the first rung with samples to the last, and the samples of each rung."""
    limits = [step * 10**power for power in range(13) for step in _STEPS]
    limits = [limit for limit in limits if limit < HIGHEST_NS] + [HIGHEST_NS]
    counts = [0] * len(limits)
    for index, count in histogram.counts.items():
        counts[_place(limits, index)] += count
    filled = [place for place, count in enumerate(counts) if count]
    return limits[filled[0] : filled[-1] + 1], counts[filled[0] : filled[-1] + 1]


def _place(limits: Sequence[int], index: int) -> int:
    """The first rung whose limit is not below bucket `index`."""
    return next(place for place, limit in enumerate(limits) if index <= index_of(limit))
