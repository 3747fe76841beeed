"""The table at the end of a batch: a line per test, the counts of outcomes and the exit code. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from atm.cli.run_list import outcome_sign
from atm.cli.text import Line, Paper, Style, short_id
from atm.models import figures
from atm.models.exit_code import ExitCode
from atm.models.outcome import Measurement

if TYPE_CHECKING:
    from atm.cli.batch import BatchEntry

_COLUMNS = (("requests", 12), ("failed", 9), ("p95", 10), ("rate", 12), ("run", 10))


def batch_lines(entries: Sequence[BatchEntry], code: ExitCode, paper: Paper) -> list[Line]:
    """Return a blank line, the summary, the head and a line per test, in the order of the command."""
    counts = Counter(_word(entry) for entry in entries)
    summary = " · ".join(f"{count} {word}" for word, count in counts.items())
    head = paper.line(" TESTS", Style.BOLD).add(f"  {len(entries)}: {summary}").right(f"exit {int(code)}", paper.width)
    ends = [paper.width - sum(width for _, width in _COLUMNS[place + 1 :]) for place in range(len(_COLUMNS))]
    titles = paper.line()
    for (title, _), end in zip(_COLUMNS, ends, strict=True):
        titles.right(title, end, Style.DIM)
    return [paper.line(), head, titles, *(_line(entry, ends, paper) for entry in entries)]


def _line(entry: BatchEntry, ends: Sequence[int], paper: Paper) -> Line:
    names = ends[0] - _COLUMNS[0][1] - paper.signs.width - 3
    line = paper.line("   ")
    if entry.result is None:
        sign, style = (paper.signs.failed, Style.FAIL) if entry.problem else (" " * paper.signs.width, Style.DIM)
        line.add(sign, style).add(" ").add(paper.fitted(entry.name, names)).right(_word(entry), ends[-1], style)
        return line
    verdict, metrics = entry.result.verdict, entry.result.metrics
    sign, style = outcome_sign(verdict.outcome, paper, is_suspect=verdict.measurement is Measurement.SUSPECT)
    line.add(sign, style).add(" ").add(paper.fitted(entry.name, names))
    line.right(figures.count(metrics.total_requests), ends[0])
    line.right(figures.count(metrics.failed_requests), ends[1], Style.FAIL if metrics.failed_requests else Style.PLAIN)
    line.right(figures.time(metrics.latency_p95_ms), ends[2])
    line.right(f"{figures.rate(metrics.requests_per_second)} /s", ends[3])
    return line.right(short_id(entry.result.run.id), ends[4], Style.DIM)


def _word(entry: BatchEntry) -> str:
    if entry.result is not None:
        return str(entry.result.verdict.outcome)
    return "error" if entry.problem else "skipped"
