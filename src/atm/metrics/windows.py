"""Sliding windows: the sum of the last N seconds; a second that leaves is subtracted exactly."""

from __future__ import annotations

from collections import deque
from typing import Any

from atm.metrics.histogram import Histogram


class ConsecutiveSeconds:
    """The last `length` consecutive seconds of a window: what it needs of each, first the second, last its length."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._seconds: deque[Any] = deque()

    @property
    def is_full(self) -> bool:
        return len(self._seconds) == self._length

    @property
    def first_second(self) -> int:
        """The first second in the window, counted from the start of the run."""
        first: int = self._seconds[0][0]
        return first

    @property
    def seconds(self) -> float:
        """Length of the window's content."""
        total: float = sum(length for *_, length in self._seconds)
        return total


class RollingWindow(ConsecutiveSeconds):
    """A histogram and a few counts over the last `length` consecutive seconds.

    Seconds in the window are stored encoded, some hundred bytes each, because a window may be an hour long.
    """

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self._seconds: deque[tuple[int, bytes, tuple[int, ...], float]]
        self.times = Histogram()
        """The samples of all seconds in the window."""
        self.counts: tuple[int, ...] = ()
        """The sums of the counts."""

    def add(self, second: int, times: Histogram, counts: tuple[int, ...], seconds: float) -> None:
        """Add one second; after a gap the window starts again."""
        if self._seconds and second != self._seconds[-1][0] + 1:
            self._seconds.clear()
            self.times = Histogram()
        if not self._seconds:
            self.counts = (0,) * len(counts)
        if len(self._seconds) == self._length:
            _, encoded, leaving, _ = self._seconds.popleft()
            self.times.subtract(Histogram.decode(encoded))
            self.counts = tuple(a - b for a, b in zip(self.counts, leaving, strict=True))
        self._seconds.append((second, times.encode(), counts, seconds))
        self.times.merge(times)
        self.counts = tuple(a + b for a, b in zip(self.counts, counts, strict=True))
