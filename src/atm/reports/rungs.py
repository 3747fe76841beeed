"""The rows of a latency histogram for display: limits at 1, 2 and 5 per decade, with shares and percentile marks."""

from __future__ import annotations

from collections.abc import Sequence

from atm.dataclass import dataclass
from atm.metrics.histogram import HIGHEST_NS, Histogram, index_of

MOST_RUNGS = 10
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Rung:
    """One row: the samples above the previous rung, up to and including `limit_ns`."""

    limit_ns: int
    """1, 2 or 5 times a power of ten, or the maximum of a histogram (one hour)."""
    count: int
    cumulative_share: float
    """Samples up to `limit_ns`, as a share of all, 0..1; exactly 1 on the last rung."""
    percentiles: tuple[float, ...]
    """The requested percentiles that lie in this rung."""


def rungs(histogram: Histogram, percentiles: Sequence[float] = (50, 95, 99), most: int = MOST_RUNGS) -> list[Rung]:
    """Return the rungs from the smallest sample to the largest, including empty ones, at most `most` (at least 1).

    If there are more, outer rungs are merged, at the end where this affects fewer samples. Samples in the same bucket
    as a limit (0.1 % wide) count as equal to it. Without samples there are no rungs.
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
    total = 0
    for place, (limit, count) in enumerate(zip(limits, counts, strict=True)):
        total += count
        rows.append(Rung(limit, count, total / histogram.total, tuple(marks.get(place, ()))))
    return rows


def _fine(histogram: Histogram) -> tuple[list[int], list[int]]:
    """Return every limit from the first rung with samples to the last, and each rung's count."""
    limits = [step * 10**power for power in range(13) for step in _STEPS]
    limits = [limit for limit in limits if limit < HIGHEST_NS] + [HIGHEST_NS]
    counts = [0] * len(limits)
    for index, count in histogram.counts.items():
        counts[_place(limits, index)] += count
    filled = [place for place, count in enumerate(counts) if count]
    return limits[filled[0] : filled[-1] + 1], counts[filled[0] : filled[-1] + 1]


def _place(limits: Sequence[int], index: int) -> int:
    """Return the first rung whose limit is not below bucket `index`."""
    return next(place for place, limit in enumerate(limits) if index <= index_of(limit))
