"""Restore intervals from their rows of resolution 1."""

from __future__ import annotations

from collections.abc import Iterable

from atm.metrics.interval import EndpointInterval, Interval
from atm.metrics.own_interval import OwnInterval
from atm.metrics.scenario_interval import CheckInterval, IterationInterval
from atm.storage.series.own_rows import OWN, own_of
from atm.storage.series.rows import GENERATOR, IntervalRow, endpoint_of, generated_of
from atm.storage.series.scenario_rows import CHECKS, checks_of, is_scenario, iterations_of


def intervals_of(rows: Iterable[IntervalRow]) -> list[Interval]:
    """Restore intervals, without samples, from rows of resolution 1 in any order."""
    intervals: dict[int, Interval] = {}
    endpoints: dict[int, list[EndpointInterval]] = {}
    iterations: dict[int, list[IterationInterval]] = {}
    checks: dict[int, list[CheckInterval]] = {}
    own: dict[int, list[OwnInterval]] = {}
    for row in rows:
        if row.endpoint >= 0:
            endpoints.setdefault(row.start, []).append(endpoint_of(row))
        elif is_scenario(row):
            iterations.setdefault(row.start, []).append(iterations_of(row))
        elif row.endpoint == CHECKS:
            checks.setdefault(row.start, []).extend(checks_of(row))
        elif row.endpoint == OWN:
            own.setdefault(row.start, []).extend(own_of(row))
        elif row.endpoint == GENERATOR:
            part = generated_of(row)
            intervals[row.start] = Interval(
                row.start, part.phase, part.duration_ns, part.offered, [], part.generator, list(part.failures)
            )
            intervals[row.start].code = part.code
    for start, interval in intervals.items():
        interval.endpoints = sorted(endpoints.get(start, ()), key=lambda part: (part.endpoint, not part.warm_up))
        interval.iterations = sorted(iterations.get(start, ()), key=lambda part: (part.flow, not part.warm_up))
        interval.checks = sorted(checks.get(start, ()), key=lambda part: (part.check, not part.warm_up))
        interval.own = sorted(own.get(start, ()), key=lambda part: (part.metric, not part.warm_up))
    return [intervals[start] for start in sorted(intervals)]
