"""Rows of the time series about scenarios and checks: iterations of one scenario, and all checks, over one time span.

They share the table of the endpoints' rows, under numbers that no endpoint has.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from atm.dataclass import dataclass
from atm.metrics.scenario_interval import ITERATION_COUNTS, ITERATION_TIMES, CheckInterval, IterationInterval
from atm.metrics.spread import spread_ns
from atm.models.run_figures import Spread
from atm.storage.result import dumps
from atm.storage.series import codec
from atm.storage.series.own_rows import OWN, OwnPoint, own_points
from atm.storage.series.rows import IntervalRow, figures_text, spreads_of

CHECKS = -3
"""The endpoint of rows about checks: one for a time span, with all of them."""
_FIRST_SCENARIO = -1000


def scenario_key(flow: int) -> int:
    """Return the endpoint of the rows about a scenario."""
    return _FIRST_SCENARIO - flow


def is_scenario(row: IntervalRow) -> bool:
    """Return whether a row is about a scenario."""
    return row.endpoint <= _FIRST_SCENARIO


def keys_of(scenarios: int) -> tuple[int, ...]:
    """Return the endpoints of all rows about checks, own metrics and the first `scenarios` scenarios of a run."""
    return (CHECKS, OWN, *(scenario_key(flow) for flow in range(scenarios)))


@dataclass(frozen=True, slots=True)
class IterationPoint:
    """The iterations of one scenario from `start`, separately for warm-up and measured load."""

    start: int
    flow: int
    warm_up: bool
    started: int
    completed: int
    failed: int
    unfinished: int
    iteration_time: Spread
    active_time: Spread


@dataclass(frozen=True, slots=True)
class CheckPoint:
    """The evaluations of one check from `start`, separately for warm-up and measured load."""

    start: int
    check: int
    warm_up: bool
    passed: int
    failed: int


@dataclass(frozen=True, slots=True)
class ScenarioPoints:
    """The points of a window."""

    iterations: Sequence[IterationPoint]
    checks: Sequence[CheckPoint]
    own: Sequence[OwnPoint] = ()


def iteration_row(resolution: int, start: int, part: IterationInterval) -> IntervalRow:
    """Return the row of one scenario."""
    counts = {name: count for name in ITERATION_COUNTS if (count := getattr(part, name))}
    times = {name: getattr(part, name) for name in ITERATION_TIMES}
    figures = figures_text(*(spread_ns(time) for time in times.values()))
    key = scenario_key(part.flow)
    return IntervalRow(resolution, start, key, part.warm_up, dumps(counts), figures, codec.encode(times))


def check_rows(resolution: int, start: int, parts: Iterable[CheckInterval]) -> list[IntervalRow]:
    """Return the row of all checks in warm-up, and that in the measured load; none without checks."""
    evaluated: dict[bool, dict[str, tuple[int, int]]] = {}
    for part in parts:
        evaluated.setdefault(part.warm_up, {})[str(part.check)] = (part.passed, part.failed)
    return [
        IntervalRow(resolution, start, CHECKS, warm_up, dumps(counts), "[]", b"")
        for warm_up, counts in evaluated.items()
    ]


def iterations_of(row: IntervalRow) -> IterationInterval:
    """Return the content of a scenario's row. Raises ValueError for another row."""
    part = IterationInterval(_FIRST_SCENARIO - row.endpoint, row.warm_up)
    try:
        counts = json.loads(row.counts)
        for name in ITERATION_COUNTS:
            setattr(part, name, int(counts.get(name, 0)))
    except (TypeError, AttributeError) as error:
        raise ValueError(f"not a row of a scenario: {error!r}") from error
    for name, times in codec.decode(row.histograms, ITERATION_TIMES).items():
        setattr(part, name, times)
    return part


def checks_of(row: IntervalRow) -> list[CheckInterval]:
    """Return the content of a row about checks. Raises ValueError for another row."""
    try:
        counts = json.loads(row.counts)
        return [
            CheckInterval(int(check), row.warm_up, int(passed), int(failed))
            for check, (passed, failed) in counts.items()
        ]
    except (TypeError, AttributeError) as error:
        raise ValueError(f"not a row of checks: {error!r}") from error


def scenario_points(rows: Iterable[IntervalRow]) -> ScenarioPoints:
    """Return the points of rows about scenarios, checks and own metrics, without reading histograms.

    Raises ValueError.
    """
    iterations: list[IterationPoint] = []
    checks: list[CheckPoint] = []
    others: list[IntervalRow] = []
    for row in rows:
        if row.endpoint == OWN:
            others.append(row)
        elif row.endpoint == CHECKS:
            checks += [
                CheckPoint(row.start, part.check, part.warm_up, part.passed, part.failed) for part in checks_of(row)
            ]
        elif is_scenario(row):
            counts = json.loads(row.counts)
            iteration_time, active_time = spreads_of(row.figures)
            iterations.append(
                IterationPoint(
                    start=row.start,
                    flow=_FIRST_SCENARIO - row.endpoint,
                    warm_up=row.warm_up,
                    started=counts.get("started", 0),
                    completed=counts.get("completed", 0),
                    failed=counts.get("failed", 0),
                    unfinished=counts.get("unfinished", 0),
                    iteration_time=iteration_time,
                    active_time=active_time,
                )
            )
    return ScenarioPoints(iterations, checks, own_points(others))


def merged_scenarios(
    rows: Iterable[IntervalRow],
) -> tuple[dict[tuple[int, bool], IterationInterval], dict[tuple[int, bool], CheckInterval]]:
    """Merge the rows about scenarios and checks, by index and warm-up. Raises ValueError."""
    iterations: dict[tuple[int, bool], IterationInterval] = {}
    checks: dict[tuple[int, bool], CheckInterval] = {}
    for row in rows:
        if row.endpoint == CHECKS:
            for check in checks_of(row):
                key = (check.check, check.warm_up)
                checks.setdefault(key, CheckInterval(*key)).merge(check)
        elif is_scenario(row):
            part = iterations_of(row)
            key = (part.flow, part.warm_up)
            iterations.setdefault(key, IterationInterval(*key)).merge(part)
    return iterations, checks
