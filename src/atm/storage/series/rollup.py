"""Seconds in, rows out: those of the second at once, those of 10 s and 60 s when complete, the whole at the end.

Each level is added up from the one below it, so a second is merged twice, not four times. The rollup of a run lives in
the process that writes it; after a restart it is resumed from the rows that were stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from atm.metrics.interval import EndpointInterval, GeneratorInterval, Interval
from atm.storage.series.rows import (
    ALL,
    GENERATOR,
    RESOLUTIONS,
    WHOLE,
    Generated,
    IntervalRow,
    endpoint_of,
    endpoint_row,
    generated_of,
    generator_row,
)

_Key = tuple[int, bool]
LEVELS = (*RESOLUTIONS[1:], WHOLE)
"""The resolutions that are added up, in the order in which one is made from the other."""


class _Stretch:
    """What is being added up from `start` on."""

    __slots__ = ("endpoints", "generated", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.endpoints: dict[_Key, EndpointInterval] = {}
        self.generated: Generated | None = None

    def add(self, key: _Key, interval: EndpointInterval) -> None:
        mine = self.endpoints.get(key)
        if mine is None:
            mine = self.endpoints[key] = EndpointInterval(key[0], key[1])
        mine.merge(interval)

    def add_generated(self, generated: Generated) -> None:
        if self.generated is None:
            self.generated = Generated(generated.phase, 0, 0.0, GeneratorInterval())
        self.generated.merge(generated)

    def rows(self, resolution: int) -> list[IntervalRow]:
        rows = [endpoint_row(resolution, self.start, part, key[0]) for key, part in self.endpoints.items()]
        if self.generated is not None:
            rows.append(generator_row(resolution, self.start, self.generated))
        return rows


class Rollup:
    """The rollup of one run. Seconds come in rising order."""

    def __init__(self) -> None:
        self._open: dict[int, _Stretch | None] = dict.fromkeys(LEVELS)
        self._late: list[IntervalRow] = []

    @classmethod
    def resumed(cls, rows: Iterable[IntervalRow]) -> Rollup:
        """Where a rollup stood that had written `rows`: see `needed_to_resume`; in order of resolution and start."""
        rollup = cls()
        for row in sorted(rows, key=lambda each: (-each.resolution, each.start)):
            # Stretches that end here were complete and had not been stored: their rows come with the next ones.
            rollup._late += rollup._ended(row.start)
            level = LEVELS[0] if row.resolution == 1 else LEVELS[LEVELS.index(row.resolution) + 1]
            stretch = rollup._stretch(level, row.start)
            if row.endpoint == GENERATOR:
                stretch.add_generated(generated_of(row))
            else:
                stretch.add((row.endpoint, row.warm_up), endpoint_of(row))
        return rollup

    def add(self, interval: Interval) -> list[IntervalRow]:
        """The rows of this second, and of every stretch that is complete with it."""
        second = interval.second
        rows = [*self._taken_late(), *self._ended(second)]
        totals = _Stretch(second)
        for part in interval.endpoints:
            totals.add((ALL, part.warm_up), part)
        totals.generated = Generated(
            interval.phase, interval.duration_ns, interval.offered, interval.generator, interval.failures
        )
        stretch = self._stretch(LEVELS[0], second)
        for part in interval.endpoints:
            rows.append(endpoint_row(1, second, part, part.endpoint))
            stretch.add((part.endpoint, part.warm_up), part)
        rows += totals.rows(1)
        for key, part in totals.endpoints.items():
            stretch.add(key, part)
        stretch.add_generated(totals.generated)
        return rows + self._ended(second + 1)

    def close(self) -> list[IntervalRow]:
        """The rows of every stretch that is still open, and of the whole run. The rollup is at its end with it."""
        return self._taken_late() + [row for level in LEVELS for row in self._closed(level)]

    def _taken_late(self) -> list[IntervalRow]:
        late, self._late = self._late, []
        return late

    def _ended(self, second: int) -> list[IntervalRow]:
        """The rows of the stretches that ended at or before `second`."""
        rows: list[IntervalRow] = []
        for level in LEVELS[:-1]:
            stretch = self._open[level]
            if stretch is not None and second >= stretch.start + level:
                rows += self._closed(level)
        return rows

    def _stretch(self, level: int, second: int) -> _Stretch:
        stretch = self._open[level]
        if stretch is None:
            start = 0 if level == WHOLE else second - second % level
            stretch = self._open[level] = _Stretch(start)
        return stretch

    def _closed(self, level: int) -> list[IntervalRow]:
        stretch = self._open[level]
        if stretch is None:
            return []
        self._open[level] = None
        if level != WHOLE:
            above = self._stretch(LEVELS[LEVELS.index(level) + 1], stretch.start)
            for key, part in stretch.endpoints.items():
                above.add(key, part)
            if stretch.generated is not None:
                above.add_generated(stretch.generated)
        return stretch.rows(level)


def needed_to_resume(covered: Mapping[int, int]) -> Sequence[tuple[int, int]]:
    """Which rows `Rollup.resumed` needs: (resolution, from this start on), given where the rows of each one end."""
    ends = {resolution: covered.get(resolution, 0) for resolution in RESOLUTIONS}
    above = {1: ends[10], 10: ends[60], 60: 0}
    return tuple((resolution, above[resolution]) for resolution in RESOLUTIONS if ends[resolution] > above[resolution])
