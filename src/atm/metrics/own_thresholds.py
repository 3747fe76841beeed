"""What thresholds on metrics of a test judge: over the whole run, and over windows of complete seconds."""

from __future__ import annotations

from collections import deque

from atm.metrics.histogram import index_of
from atm.metrics.own_interval import OwnInterval
from atm.metrics.threshold_amounts import Measured
from atm.metrics.value_histogram import ValueHistogram
from atm.metrics.windows import ConsecutiveSeconds
from atm.models.metric import Statistic
from atm.models.own_metric import HIGHEST, SCALE, OwnKind
from atm.models.threshold import Threshold


def measure_own(threshold: Threshold, part: OwnInterval, seconds: float) -> Measured:
    """Return the value that a threshold judges, over a window of `seconds`.

    Sums and numbers of values are 0 without values; what else a metric has is then unknown.
    """
    statistic = threshold.statistic
    assert threshold.own is not None
    if statistic is Statistic.COUNT:
        return Measured(float(part.count), part.count or 1)
    if threshold.own.kind is OwnKind.COUNTER:
        if statistic is Statistic.TOTAL:
            return Measured(part.total / SCALE, part.count or 1)
        inside = (part.total - part.drained) / SCALE
        return Measured(inside / seconds if seconds > 0 else None, part.count or 1)
    value: float | None
    if threshold.percent is not None:
        value = _at_limit(part.percentile(threshold.percent), threshold.limit)
    elif statistic is Statistic.MEAN:
        value = part.total / (SCALE * part.count) if part.count else None
    else:
        chosen = {Statistic.MIN: part.least, Statistic.MAX: part.most, Statistic.LAST: part.last}
        billionths = chosen[statistic] if statistic is not None else None
        value = None if billionths is None else billionths / SCALE
    return Measured(value, part.count)


def _at_limit(billionths: int | None, limit: float) -> float | None:
    """Return `limit` if the value is in the same bucket, and so indistinguishable from it."""
    if billionths is None:
        return None
    if 0 <= limit <= HIGHEST and index_of(round(limit * SCALE)) == index_of(billionths):
        return limit
    return billionths / SCALE


class OwnWindow(ConsecutiveSeconds):
    """The values of one metric over the last `length` consecutive seconds; the distribution of each is encoded."""

    def __init__(self, metric: int, length: int) -> None:
        super().__init__(length)
        self._seconds: deque[tuple[int, OwnInterval, bytes, float]]
        self._metric = metric
        self._values = ValueHistogram()

    def add(self, second: int, part: OwnInterval, seconds: float) -> None:
        """Add one second; after a gap the window starts again."""
        if self._seconds and second != self._seconds[-1][0] + 1:
            self._seconds.clear()
            self._values = ValueHistogram()
        if len(self._seconds) == self._length:
            leaving = self._seconds.popleft()[2]
            if leaving:
                self._values.subtract(ValueHistogram.decode(leaving))
        self._values.merge(part.values)
        encoded = part.values.encode() if part.values else b""
        part.values = ValueHistogram()
        self._seconds.append((second, part, encoded, seconds))

    def total(self) -> OwnInterval:
        """Return the values of all seconds in the window."""
        total = OwnInterval(self._metric, warm_up=False)
        for _, part, _, _ in self._seconds:
            total.merge(part)
        total.values.merge(self._values)
        return total
