"""Histograms of values that are no times: whole billionths from 0 to 10^12, in the buckets of HdrHistogram.

A value from 10^-6 on is within 0.1 % of the one that was recorded, a smaller one within 10^-9.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from atm.metrics.histogram import Histogram, highest_of, index_of, lowest_of, rank_of
from atm.models.own_metric import HIGHEST, SCALE


class ValueHistogram(Histogram):
    """Counts of values in billionths. The encoding is that of HdrHistogram with a factor of 10^-9."""

    __slots__ = ()

    HIGHEST = HIGHEST * SCALE
    FACTOR = 1e-9

    def record(self, value: int, count: int = 1) -> None:
        """Add `count` (at least 1) samples of `value`, 0 to `HIGHEST`."""
        index = index_of(value)
        self.counts[index] = self.counts.get(index, 0) + count
        self.total += count

    def values_at(self, percents: Sequence[float]) -> list[int | None]:
        """Return the value of each percentile in billionths, as `round_value` of its bucket; None without samples."""
        if not self.total:
            return [None] * len(percents)
        indices = sorted(self.counts)
        seen = list(accumulate(map(self.counts.__getitem__, indices)))
        return [round_value(indices[bisect_left(seen, rank_of(percent, self.total))]) for percent in percents]


def round_value(index: int) -> int:
    """Return the value of a bucket with the fewest decimal digits, so that a recorded 3 is reported as 3."""
    lowest, highest = lowest_of(index), highest_of(index)
    step: int = 10 ** len(str(highest))
    while True:
        candidate = -(-lowest // step) * step
        if candidate <= highest:
            return candidate
        step //= 10
