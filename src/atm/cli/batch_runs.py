"""The table of a batch of a server: a line per run, below the name of its test. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atm.cli.run_list import outcome_sign
from atm.cli.text import Line, Paper, Style, short_id
from atm.models import figures
from atm.models.outcome import Measurement

if TYPE_CHECKING:
    from atm.models.control.batches import BatchDetail, BatchTestView

_COLUMNS = (("requests", 12), ("failed", 10), ("p95", 10), ("rate", 12), ("run", 10))


def batch_run_lines(batch: BatchDetail, paper: Paper) -> list[Line]:
    """Return the summary, the head, and the lines of each test."""
    counts = " · ".join(f"{count} {outcome}" for outcome, count in batch.outcomes.items())
    head = paper.line(f" BATCH {short_id(batch.id)}", Style.BOLD).add(f"  {batch.outcome}: {counts}")
    ends = [paper.width - sum(width for _, width in _COLUMNS[place + 1 :]) for place in range(len(_COLUMNS))]
    titles = paper.line()
    for (title, _), end in zip(_COLUMNS, ends, strict=True):
        titles.right(title, end, Style.DIM)
    return [head, titles, *(line for test in batch.tests for line in _lines(test, ends, paper))]


def _lines(test: BatchTestView, ends: list[int], paper: Paper) -> list[Line]:
    names = ends[0] - _COLUMNS[0][1] - paper.signs.width - 3
    lines = []
    for number, run in enumerate(test.runs, start=1):
        sign, style = outcome_sign(run.outcome, paper, is_suspect=run.measurement is Measurement.SUSPECT)
        label = test.name if len(test.runs) == 1 else f"{number}/{len(test.runs)} {test.name}"
        line = paper.line("   ").add(sign, style).add(" ").add(paper.fitted(label, names))
        line.right(figures.count(run.requests_completed), ends[0])
        line.right(figures.share(run.error_rate), ends[1], Style.FAIL if run.error_rate else Style.PLAIN)
        line.right(figures.time(run.latency_p95_ms), ends[2])
        line.right(f"{figures.rate(run.requests_per_second)} /s", ends[3])
        lines.append(line.right(short_id(run.id), ends[4], Style.DIM))
    return lines
