"""Roll intervals up to rows: 1 s at once, 10 s to 1 h when complete, the whole run at the end.

Each level is aggregated from the level below, so an interval is merged twice and not four times. The rollup of a run
lives in the process that writes it; after a restart it is resumed from the stored rows. Rows of all endpoints combined
leave out the steps of `before_user`, as the result does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from atm.metrics.interval import CheckInterval, EndpointInterval, GeneratorInterval, Interval, IterationInterval
from atm.metrics.own_interval import OwnInterval
from atm.storage.series.own_rows import OWN, add_own, own_of, own_rows
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
from atm.storage.series.scenario_rows import (
    CHECKS,
    check_rows,
    checks_of,
    is_scenario,
    iteration_row,
    iterations_of,
)

_Key = tuple[int, bool]
LEVELS = (*RESOLUTIONS[1:], WHOLE)
"""The aggregated resolutions, each built from the previous one."""
_ONLY_FILLED = frozenset({600, 3600})
"""Resolutions of which a run shorter than one span stores no row: reading aggregates it from a few finer ones."""


class _Span:
    """The aggregate of a time span that begins at `start`."""

    __slots__ = ("checks", "endpoints", "generated", "iterations", "own", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.endpoints: dict[_Key, EndpointInterval] = {}
        self.iterations: dict[_Key, IterationInterval] = {}
        self.checks: dict[_Key, CheckInterval] = {}
        self.own: dict[_Key, OwnInterval] = {}
        self.generated: Generated | None = None

    def add_scenarios(self, iterations: Iterable[IterationInterval], checks: Iterable[CheckInterval]) -> None:
        for iteration in iterations:
            key = (iteration.flow, iteration.warm_up)
            self.iterations.setdefault(key, IterationInterval(*key)).merge(iteration)
        for check in checks:
            key = (check.check, check.warm_up)
            self.checks.setdefault(key, CheckInterval(*key)).merge(check)

    def add(self, key: _Key, interval: EndpointInterval) -> None:
        total = self.endpoints.get(key)
        if total is None:
            apart = key[0] != ALL and interval.apart
            total = self.endpoints[key] = EndpointInterval(*key, apart=apart)
        total.merge(interval)

    def add_generated(self, generated: Generated) -> None:
        if self.generated is None:
            self.generated = Generated(generated.phase, 0, 0.0, GeneratorInterval())
        self.generated.merge(generated)

    def rows(self, resolution: int) -> list[IntervalRow]:
        rows = [endpoint_row(resolution, self.start, part, key[0]) for key, part in self.endpoints.items()]
        rows += [iteration_row(resolution, self.start, part) for part in self.iterations.values()]
        rows += check_rows(resolution, self.start, self.checks.values())
        rows += own_rows(resolution, self.start, self.own.values())
        if self.generated is not None:
            rows.append(generator_row(resolution, self.start, self.generated))
        return rows


class Rollup:
    """The rollup of one run. Intervals must be added in ascending order."""

    def __init__(self) -> None:
        self._open: dict[int, _Span | None] = dict.fromkeys(LEVELS)
        self._delayed: list[IntervalRow] = []

    @classmethod
    def resumed(cls, rows: Iterable[IntervalRow]) -> Rollup:
        """Restore a rollup from the stored rows named by `needed_to_resume`."""
        rollup = cls()
        for row in sorted(rows, key=lambda row: (-row.resolution, row.start)):
            # Spans that end here were complete but not stored: their rows are returned with the next ones.
            rollup._delayed += rollup._ended(row.start)
            level = LEVELS[0] if row.resolution == 1 else LEVELS[LEVELS.index(row.resolution) + 1]
            span = rollup._span(level, row.start)
            if row.endpoint == GENERATOR:
                span.add_generated(generated_of(row))
            elif row.endpoint == CHECKS:
                span.add_scenarios((), checks_of(row))
            elif row.endpoint == OWN:
                add_own(span.own, own_of(row))
            elif is_scenario(row):
                span.add_scenarios((iterations_of(row),), ())
            else:
                span.add((row.endpoint, row.warm_up), endpoint_of(row))
        return rollup

    def add(self, interval: Interval) -> list[IntervalRow]:
        """Return the rows of this second, and of every span that it completes."""
        second = interval.second
        rows = [*self._take_delayed(), *self._ended(second)]
        totals = _Span(second)
        for part in interval.endpoints:
            if not part.apart:
                totals.add((ALL, part.warm_up), part)
        totals.add_scenarios(interval.iterations, interval.checks)
        add_own(totals.own, interval.own)
        totals.generated = Generated(
            interval.phase,
            interval.duration_ns,
            interval.offered,
            interval.generator,
            interval.failures,
            interval.code,
        )
        span = self._span(LEVELS[0], second)
        for part in interval.endpoints:
            rows.append(endpoint_row(1, second, part, part.endpoint))
            span.add((part.endpoint, part.warm_up), part)
        rows += totals.rows(1)
        for key, part in totals.endpoints.items():
            span.add(key, part)
        span.add_scenarios(interval.iterations, interval.checks)
        add_own(span.own, interval.own)
        span.add_generated(totals.generated)
        return rows + self._ended(second + 1)

    def close(self) -> list[IntervalRow]:
        """Return the rows of all open spans and of the whole run, and end the rollup."""
        return self._take_delayed() + [row for level in LEVELS for row in self._closed(level)]

    def finish(self) -> list[IntervalRow]:
        """End the rollup of a run that has ended; return the rows to store, as `close` but for `_ONLY_FILLED`."""
        rows = self.close()
        continued = {row.resolution for row in rows if row.start > 0}
        return [row for row in rows if row.resolution not in _ONLY_FILLED - continued]

    def _take_delayed(self) -> list[IntervalRow]:
        delayed, self._delayed = self._delayed, []
        return delayed

    def _ended(self, second: int) -> list[IntervalRow]:
        """Return the rows of the spans that ended at or before `second`."""
        rows: list[IntervalRow] = []
        for level in LEVELS[:-1]:
            span = self._open[level]
            if span is not None and second >= span.start + level:
                rows += self._closed(level)
        return rows

    def _span(self, level: int, second: int) -> _Span:
        span = self._open[level]
        if span is None:
            start = 0 if level == WHOLE else second - second % level
            span = self._open[level] = _Span(start)
        return span

    def _closed(self, level: int) -> list[IntervalRow]:
        span = self._open[level]
        if span is None:
            return []
        self._open[level] = None
        if level != WHOLE:
            above = self._span(LEVELS[LEVELS.index(level) + 1], span.start)
            for key, part in span.endpoints.items():
                above.add(key, part)
            above.add_scenarios(span.iterations.values(), span.checks.values())
            add_own(above.own, span.own.values())
            if span.generated is not None:
                above.add_generated(span.generated)
        return span.rows(level)


def needed_to_resume(covered: Mapping[int, int]) -> Sequence[tuple[int, int]]:
    """Return the rows that `Rollup.resumed` needs as (resolution, first start), given the end of each resolution."""
    ends = {resolution: covered.get(resolution, 0) for resolution in RESOLUTIONS}
    above = {resolution: ends.get(level, 0) for resolution, level in zip(RESOLUTIONS, LEVELS, strict=True)}
    return tuple((resolution, above[resolution]) for resolution in RESOLUTIONS if ends[resolution] > above[resolution])
