"""The final report of a run: what `atm run` prints on stdout, from a `RunResult` alone.

The blocks come in one order, verdicts first; a block without content is left out. `report_lines` is the whole. Each
block is a function from a `Sheet` (the result and the paper it is written on) to lines, in `verdicts.py`, `summary.py`,
`distribution.py` and `details.py`.
"""

from __future__ import annotations

from atm.cli.report.details import endpoints, failures
from atm.cli.report.distribution import shape
from atm.cli.report.layout import Block, Sheet
from atm.cli.report.layout import saved as saved_line
from atm.cli.report.summary import load, rate, requests, times
from atm.cli.report.verdicts import header, measurement, stopped, thresholds, unreachable
from atm.cli.text import Line, Paper
from atm.models.run import RunResult

VERDICTS: tuple[Block, ...] = (unreachable, stopped, thresholds, measurement)
FIGURES: tuple[Block, ...] = (load, requests, rate, times, shape, failures, endpoints, saved_line)

__all__ = ["report_lines"]


def report_lines(
    result: RunResult, paper: Paper, *, quiet: bool = False, saved: bool = False, everything: bool = False
) -> list[Line]:
    """The report, a blank line between blocks; with `quiet` the verdicts only.

    `saved`: the history has the run, so `atm show` may be named. `everything`: no row is left out.
    """
    sheet = Sheet(result, paper, saved, everything, verdicts_only=quiet)
    blocks = VERDICTS if quiet else (header, *VERDICTS, *FIGURES)
    lines: list[Line] = []
    for block in blocks:
        written = block(sheet)
        if written:
            lines += [paper.line(), *written] if lines else written
    return lines
