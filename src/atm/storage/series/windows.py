"""Any window of a run from as few rows as it takes: the coarse ones in the middle, finer ones towards its ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from atm.metrics.interval import HISTOGRAMS, EndpointInterval
from atm.storage.series.rows import RESOLUTIONS, IntervalRow, endpoint_over


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one resolution with `start <= row.start < end`."""

    resolution: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Window:
    """What was measured in [start, end): by endpoint (`ALL` for all together) and warm-up, histograms merged.

    The bounds are what was asked for, or wider where the seconds have been pruned.
    """

    start: int
    end: int
    endpoints: Mapping[tuple[int, bool], EndpointInterval]


def parts(start: int, end: int, covered: Mapping[int, int]) -> list[Part]:
    """Rows that cover [start, end) exactly, in order of time.

    `covered` says for each of `RESOLUTIONS` where its last stored row ends (a multiple of it, so beyond the end of a
    run that ended within the stretch; missing or 0: there are none). Where the finest are missing, the bounds widen.
    """
    finest = min((resolution for resolution in RESOLUTIONS if covered.get(resolution, 0) > 0), default=1)
    last = max(covered.values(), default=0)
    start = max(0, start) // finest * finest
    end = min(-(-end // finest) * finest, last)
    return _parts(start, end, covered, [each for each in reversed(RESOLUTIONS) if each >= finest])


def _parts(start: int, end: int, covered: Mapping[int, int], resolutions: list[int]) -> list[Part]:
    if start >= end or not resolutions:
        return []
    resolution, *finer = resolutions
    stored = covered.get(resolution, 0)
    first = -(-start // resolution) * resolution
    last = min(end, stored) // resolution * resolution
    if first >= last:
        return _parts(start, end, covered, finer)
    left, right = _parts(start, first, covered, finer), _parts(last, end, covered, finer)
    return [*left, Part(resolution, first, last), *right]


def merged(start: int, end: int, rows: Iterable[IntervalRow], histograms: Iterable[str] = HISTOGRAMS) -> Window:
    """The rows of `parts` added up, with only those histograms that are wanted."""
    wanted = frozenset(histograms)
    of_each: dict[tuple[int, bool], list[IntervalRow]] = {}
    for row in rows:
        of_each.setdefault((row.endpoint, row.warm_up), []).append(row)
    return Window(start, end, {key: endpoint_over(each, wanted) for key, each in of_each.items()})
