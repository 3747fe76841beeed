"""Add up the rows of test data that a run used, and turn them into figures."""

from __future__ import annotations

from collections.abc import Sequence

from atm.metrics.interval import Interval
from atm.metrics.scenario_interval import DataInterval
from atm.models.outline import DataSource
from atm.models.run_figures import DataFigures


class DataTotals:
    """The rows of each data source that the run used so far, warm-up included."""

    def __init__(self, sources: Sequence[DataSource]) -> None:
        self.sources = tuple(sources)
        """In the order of the plan."""
        self._totals = [DataInterval(table) for table in range(len(self.sources))]
        self._used_up: dict[int, int] = {}
        """The second in which the last unused row was used."""

    def add(self, interval: Interval) -> None:
        """Add one second. Raises ValueError if it has unknown test data."""
        for part in interval.data:
            if not 0 <= part.table < len(self._totals):
                raise ValueError(f"test data {part.table} of {len(self._totals)} in second {interval.second}")
            total = self._totals[part.table]
            total.used += part.used
            total.repeated += part.repeated
            if part.used and total.used >= self.sources[part.table].rows:
                self._used_up.setdefault(part.table, interval.second)

    def figures(self) -> list[DataFigures]:
        """Return the figures of each source whose rows are counted, in the order of the plan."""
        return [
            DataFigures(
                name=source.name,
                rows=source.rows,
                used=total.used,
                repeated=total.repeated,
                used_up_second=self._used_up.get(total.table),
            )
            for source, total in zip(self.sources, self._totals, strict=True)
            if source.is_counted
        ]
