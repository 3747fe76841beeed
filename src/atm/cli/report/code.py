"""The blocks of scenarios in code: the exceptions that ended iterations, and the calls that blocked the generator."""

from __future__ import annotations

from collections.abc import Sequence

from atm.cli.report.layout import Sheet
from atm.cli.text import Line, Paper, Style, cells
from atm.models import figures
from atm.models.run_figures import ExceptionFigures

MOST_EXCEPTIONS = 5
_TRACEBACK_LINES = 8


def exceptions(sheet: Sheet) -> list[Line]:
    """Each kind of exception with count, scenario and time span; of the first one its traceback."""
    groups = sheet.result.exceptions
    if not groups:
        return []
    lines = [sheet.paper.line(" EXCEPTIONS", Style.BOLD)]
    shown = groups if sheet.everything else groups[:MOST_EXCEPTIONS]
    counts = max(cells(figures.count(group.count)) for group in shown)
    for group in shown:
        lines += _exception(sheet, group, counts, with_traceback=sheet.everything or group is shown[0])
    if len(groups) > len(shown):
        hint = f"`atm show {sheet.run_id} --all`" if sheet.saved else "`-o FILE.json` has all"
        lines.append(sheet.paper.line(f"   {len(groups) - len(shown)} more kinds: ").hint(hint))
    return lines


def _exception(sheet: Sheet, group: ExceptionFigures, counts: int, *, with_traceback: bool) -> list[Line]:
    paper = sheet.paper
    first, last = figures.clock(group.first_seconds), figures.clock(group.last_seconds)
    when = f"at {first}" if first == last else f"{first} to {last}"
    line = paper.line("  ").right(figures.count(group.count), 3 + counts, Style.FAIL).add(" × ")
    line.add(paper.fitted(group.scenario, 24)).right(when, paper.width, Style.DIM)
    lines = [line, *paper.wrapped(group.message, 6 + counts)]
    if with_traceback:
        written = group.traceback.rstrip().splitlines()
        kept = written if sheet.everything else written[-_TRACEBACK_LINES:]
        lines += [
            paper.line(" " * (6 + counts)).add(paper.fitted(text, paper.width - 6 - counts), Style.DIM) for text in kept
        ]
    return lines


def exceptions_tried(groups: Sequence[ExceptionFigures], paper: Paper) -> list[Line]:
    """Each exception of a trial with its traceback."""
    lines: list[Line] = []
    for group in groups:
        lines += [
            paper.line(),
            paper.line(" ✗ ", Style.FAIL).add(f"{group.scenario}  "),
            *paper.wrapped(group.message, 3),
        ]
        lines += [paper.line("   ").add(text, Style.DIM) for text in group.traceback.rstrip().splitlines()]
    return lines


def blocking(sheet: Sheet) -> list[Line]:
    """Each place in code that blocked the load generator, with count and time."""
    groups = sheet.result.blocking
    if not groups:
        return []
    lines = [sheet.paper.line(" BLOCKING CALLS", Style.BOLD)]
    counts = max(cells(figures.count(group.count)) for group in groups)
    for group in groups if sheet.everything else groups[:MOST_EXCEPTIONS]:
        line = sheet.paper.line("  ").right(figures.count(group.count), 3 + counts, Style.WARN).add(" × ")
        lines.append(
            line.add(sheet.paper.text(group.place)).right(figures.duration(group.seconds), sheet.paper.width, Style.DIM)
        )
    return lines
