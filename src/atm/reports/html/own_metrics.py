"""The section of the metrics that the test declares."""

from __future__ import annotations

from collections.abc import Sequence

from atm.models.run import RunResult
from atm.reports.html.markup import Child, Markup
from atm.reports.html.parts import card, table, wrapping


def own_metrics(result: RunResult) -> Markup | None:
    """Each metric with the figures of its kind."""
    if not result.own_metrics:
        return None
    head = (("metric", False), ("kind", False), ("figures", False))
    rows: list[Sequence[Child]] = [
        [wrapping(metric.name), metric.kind.value, wrapping(metric.described)] for metric in result.own_metrics
    ]
    return card("Own metrics", table(head, rows))
