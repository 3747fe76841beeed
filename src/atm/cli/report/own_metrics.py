"""The block of the metrics that the test declares."""

from __future__ import annotations

from atm.cli.report.layout import Sheet
from atm.cli.text import Line, Style, cells

_LONGEST_NAME = 24


def own_metrics(sheet: Sheet) -> list[Line]:
    """Each metric with the figures of its kind."""
    metrics = sheet.result.own_metrics
    if not metrics:
        return []
    width = min(max(cells(metric.name) for metric in metrics), _LONGEST_NAME)
    lines = [sheet.paper.line(" OWN METRICS", Style.BOLD)]
    for metric in metrics:
        first, *rest = sheet.facts(metric.described.split(" · "), start=3 + width + 2)
        name = sheet.paper.line("   ").add(sheet.paper.fitted(metric.name, width)).to(3 + width + 2)
        lines += [name.add(first.plain.strip()), *rest]
    return lines
