"""The lines of the live view about what a test brings along: test data and metrics of its own. Pure."""

from __future__ import annotations

from atm.cli.text import Line, Paper, Style, cells
from atm.metrics.snapshot import Snapshot
from atm.models import figures


def data_line(snapshot: Snapshot | None, paper: Paper, label_end: int) -> Line:
    """The rows of test data used so far, the source with the fewest rows left first."""
    line = paper.line(" data", Style.DIM).to(label_end)
    sources = snapshot.so_far.data if snapshot else ()
    if not sources:
        return line.add(figures.NO_DATA, Style.DIM)
    ordered = sorted(sources, key=lambda source: source.rows - source.used)
    shown: list[str] = []
    for number, source in enumerate(ordered):
        part = paper.text(f"{paper.fitted(source.name, 20)} {source.described}")
        rest = f" · {len(ordered) - number} more"
        if shown and line.width + cells(paper.text(" · ".join([*shown, part]))) > paper.width - cells(rest):
            shown.append(f"{len(ordered) - number} more")
            break
        shown.append(part)
    return line.add(paper.fitted(paper.text(" · ").join(shown), paper.width - line.width))


def own_metrics_line(snapshot: Snapshot | None, paper: Paper, label_end: int) -> Line:
    """The metrics that the test declares, as many as fit, each with what it is about."""
    line = paper.line(" metrics", Style.DIM).to(label_end)
    metrics = snapshot.so_far.own_metrics if snapshot else ()
    shown: list[str] = []
    for number, metric in enumerate(metrics):
        facts = dict(metric.facts)
        value = next(facts[name] for name in ("total", "last", "p95") if name in facts)
        kind = " p95" if "p95" in facts else ""
        part = paper.text(f"{paper.fitted(metric.name, 24)}{kind} {value}")
        rest = f" · {len(metrics) - number} more"
        if shown and line.width + cells(paper.text(" · ".join([*shown, part]))) > paper.width - cells(rest):
            shown.append(f"{len(metrics) - number} more")
            break
        shown.append(part)
    return line.add(paper.fitted(paper.text(" · ").join(shown) or figures.NO_DATA, paper.width - line.width))
