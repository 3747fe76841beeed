"""Collect the metrics that the Python files of a test declare."""

from __future__ import annotations

from collections.abc import Sequence

from atm.models.fields import Findings, Path
from atm.models.own_metric import MOST_METRICS, OwnMetric


class OwnMetrics:
    """The metrics of all files of a test: those with the same name are one."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._metrics: dict[str, tuple[OwnMetric, str]] = {}

    def add(self, metrics: Sequence[OwnMetric], file: str, path: Path) -> None:
        """Add those of a file, which a field of the spec names."""
        for metric in metrics:
            declared, other = self._metrics.setdefault(metric.name, (metric, file))
            if declared != metric:
                what = f'the metric "{metric.name}" is declared as {_described(declared)} in {other}, and as '
                what += f"{_described(metric)} in {file}"
                self._findings.add(path, what, "conflict", "Give one of them another name, or import it")
        if len(self._metrics) > MOST_METRICS:
            what = f"the files declare {len(self._metrics)} metrics, and a test may have {MOST_METRICS}"
            self._findings.add(path, what, "too_many_metrics", "Remove some, or make it two tests")

    @property
    def all(self) -> tuple[OwnMetric, ...]:
        """All of them, in the order of their declaration."""
        return tuple(metric for metric, _ in self._metrics.values())


def _described(metric: OwnMetric) -> str:
    return f"a {metric.kind} in {metric.unit}" if metric.unit else f"a {metric.kind}"
