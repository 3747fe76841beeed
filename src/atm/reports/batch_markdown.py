"""A batch as Markdown, for pull requests and chats: the outcome, then a row for each run."""

from __future__ import annotations

from atm.models import figures
from atm.models.control.batches import BatchDetail
from atm.models.control.runs import RunSummaryView
from atm.models.sanitize import printable
from atm.reports.markdown import cell, sign


def render_batch(batch: BatchDetail) -> str:
    """Return the document."""
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in batch.outcomes.items())
    runs = figures.counted(batch.total_runs, "run")
    lines = [
        f"## {sign(batch.outcome)} Batch {printable(batch.id[:8])}: {batch.outcome}",
        "",
        f"{figures.counted(len(batch.tests), 'test')}, {runs}: {outcomes}",
        "",
        "| test | run | outcome | requests | failed | p95 | rate |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for test in batch.tests:
        for number, run in enumerate(test.runs, start=1):
            name = cell(test.name) + (f" ({number} of {len(test.runs)})" if len(test.runs) > 1 else "")
            lines.append(_row(name, run))
    lines += ["", f"Started {batch.created_at:%Y-%m-%d %H:%M:%S} UTC"]
    return "\n".join(lines) + "\n"


def _row(name: str, run: RunSummaryView) -> str:
    values = (
        name,
        f"`{printable(run.id[:8])}`",
        f"{sign(run.outcome)} {run.outcome}",
        figures.count(run.requests_completed),
        figures.share(run.error_rate),
        figures.time(run.latency_p95_ms),
        figures.NO_DATA if run.requests_per_second is None else f"{figures.rate(run.requests_per_second)} /s",
    )
    return f"| {' | '.join(values)} |"
