"""The columns of the CSV report for scenarios, steps, checks, test data and own metrics; none for a spec without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from atm.models.run import RunResult
from atm.models.run_figures import CheckFigures, ScenarioMetrics

_SUFFIXES = ("min_ms", "mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99_9_ms", "max_ms")
_TIMES = ("iteration_time", "active_time")
_STEP = ("scenario", "reached", "not_reached", "reached_share")
_COUNTS = (
    "iterations_due",
    "iterations_started",
    "iterations_missed",
    "iterations_completed",
    "iterations_failed",
    "iterations_unfinished",
    "iteration_error_rate",
    "iterations_per_second",
)
_CHECK = ("check", "step", "passed", "failed", "passed_share")
_DATA = ("data", "rows", "rows_used", "rows_repeated", "used_up_second")
_OWN = ("count", "total", "rate", "min", "mean", "p50", "p90", "p95", "p99", "max", "last")
_OWN_COLUMNS = ("own_metric", "kind", "unit", *(f"own_{name}" for name in _OWN))
Cells = Sequence[float | str | None]


class ScenarioColumns:
    """The cells of each row, in the order of `names`."""

    def __init__(self, result: RunResult) -> None:
        self._result = result
        self.names: Sequence[str] = ()
        self._first_of_check = 0
        if result.scenarios or result.checks:
            times = (f"{prefix}_{suffix}" for prefix in _TIMES for suffix in _SUFFIXES)
            before = (*_STEP, *_COUNTS, *times)
            self._first_of_check = len(before)
            self.names = (*before, *_CHECK, *(_DATA if result.data else ()))
        self._first_of_own = len(self.names)
        if result.own_metrics:
            self.names = (*self.names, *_OWN_COLUMNS)

    @property
    def nothing(self) -> Cells:
        """Empty cells."""
        return [None] * len(self.names)

    def of_step(self, endpoint: str) -> Cells:
        """Return the cells of an endpoint: its scenario, and how many iterations reached it."""
        for scenario in self._result.scenarios:
            if any(step.endpoint == endpoint for step in scenario.before_user):
                return self._padded(0, (scenario.name,))
            for step in scenario.steps:
                if step.endpoint == endpoint:
                    return self._padded(0, (scenario.name, step.reached, step.not_reached, step.reached_share))
        return self.nothing

    def rows(self) -> Iterator[Cells]:
        """Yield the cells of each scenario, then of each check, each source of test data, and each own metric."""
        for scenario in self._result.scenarios:
            yield self._padded(0, (scenario.name, None, None, None, *_iterations(scenario)))
        for check in self._result.checks:
            yield self._padded(self._first_of_check, _evaluations(check))
        for source in self._result.data:
            cells = (source.name, source.rows, source.used, source.repeated, source.used_up_second)
            yield self._padded(self._first_of_own - len(_DATA), cells)
        for metric in self._result.own_metrics:
            cells = (metric.name, metric.kind.value, metric.unit, *(getattr(metric, name) for name in _OWN))
            yield self._padded(self._first_of_own, cells)

    def _padded(self, start: int, cells: Cells) -> Cells:
        return [*[None] * start, *cells, *[None] * (len(self.names) - start - len(cells))]


def _iterations(scenario: ScenarioMetrics) -> Iterator[float | None]:
    for name in ("due", "started", "missed", "completed", "failed", "unfinished"):
        yield getattr(scenario, name)
    yield scenario.iteration_error_rate
    yield scenario.iterations_per_second
    for prefix in _TIMES:
        for suffix in _SUFFIXES:
            yield getattr(getattr(scenario, prefix), suffix)


def _evaluations(check: CheckFigures) -> Cells:
    return (check.name, check.endpoint, check.passed, check.failed, check.passed_share)
