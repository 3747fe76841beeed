"""Build any window of a run from as few rows as possible: coarse rows in the middle, finer ones towards its ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from atm.dataclass import dataclass
from atm.metrics.interval import HISTOGRAMS, EndpointInterval
from atm.metrics.own_interval import OwnInterval
from atm.metrics.scenario_interval import CheckInterval, IterationInterval
from atm.storage.series.own_rows import merged_own
from atm.storage.series.rows import ALL, RESOLUTIONS, IntervalRow, endpoint_over
from atm.storage.series.scenario_rows import merged_scenarios


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one resolution with `start <= row.start < end`."""

    resolution: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Window:
    """The merged metrics of [start, end), by endpoint (`ALL` for all combined) and warm-up.

    The bounds are as requested, or wider where 1 s rows have been pruned.
    """

    start: int
    end: int
    endpoints: Mapping[tuple[int, bool], EndpointInterval]
    iterations: Mapping[tuple[int, bool], IterationInterval] = field(default_factory=dict)
    """By scenario and warm-up."""
    checks: Mapping[tuple[int, bool], CheckInterval] = field(default_factory=dict)
    """By check and warm-up."""
    own: Mapping[tuple[int, bool], OwnInterval] = field(default_factory=dict)
    """By own metric and warm-up."""


def parts(start: int, end: int, covered: Mapping[int, int]) -> list[Part]:
    """Return the rows that cover [start, end) exactly, in order of time.

    `covered` maps each of `RESOLUTIONS` to the end of its last stored row (a multiple of the resolution, so possibly
    after the end of the run; missing or 0: no rows). Where the finest rows are missing, the bounds widen.
    """
    finest = min((resolution for resolution in RESOLUTIONS if covered.get(resolution, 0) > 0), default=1)
    last = max(covered.values(), default=0)
    start = max(0, start) // finest * finest
    end = min(-(-end // finest) * finest, last)
    return _parts(start, end, covered, [resolution for resolution in reversed(RESOLUTIONS) if resolution >= finest])


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
    """Merge the rows of `parts`, with only the named histograms."""
    names = frozenset(histograms)
    rows_by_key: dict[tuple[int, bool], list[IntervalRow]] = {}
    others: list[IntervalRow] = []
    for row in rows:
        if row.endpoint >= ALL:
            rows_by_key.setdefault((row.endpoint, row.warm_up), []).append(row)
        else:
            others.append(row)
    endpoints = {key: endpoint_over(key_rows, names) for key, key_rows in rows_by_key.items()}
    iterations, checks = merged_scenarios(others)
    return Window(start, end, endpoints, iterations, checks, merged_own(others))
