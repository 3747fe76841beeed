"""The final report of a run: what `atm run` prints on stdout, from a `RunResult` alone.

Blocks have a fixed order, verdicts first; a block without content is left out. `report_lines` returns the whole report.
Each block is a function from a `Sheet` (result and paper) to lines, in `verdicts.py`, `summary.py`, `scenarios.py`,
`distribution.py`, `workers.py`, `code.py`, `own_metrics.py` and `details.py`.
"""

from __future__ import annotations

from atm.cli.report.code import blocking, exceptions
from atm.cli.report.data import data
from atm.cli.report.details import endpoints, failures
from atm.cli.report.distribution import shape
from atm.cli.report.layout import Block, Sheet, saved_as
from atm.cli.report.own_metrics import own_metrics
from atm.cli.report.scenarios import checks, scenarios, steps
from atm.cli.report.summary import load, rate, requests, times
from atm.cli.report.verdicts import header, hooks, measurement, stopped, thresholds, unreachable
from atm.cli.report.workers import workers
from atm.cli.text import Line, Paper
from atm.models.run import RunResult

VERDICTS: tuple[Block, ...] = (unreachable, stopped, hooks, thresholds, measurement)
FIGURES: tuple[Block, ...] = (
    load,
    scenarios,
    data,
    workers,
    requests,
    rate,
    times,
    shape,
    failures,
    exceptions,
    blocking,
    own_metrics,
    checks,
    steps,
    endpoints,
    saved_as,
)

__all__ = ["report_lines"]


def report_lines(
    result: RunResult, paper: Paper, *, quiet: bool = False, saved: bool = False, everything: bool = False
) -> list[Line]:
    """Return the report with a blank line between blocks; with `quiet` only the verdicts.

    `saved`: the run is in the history, so the report mentions `atm show`. `everything`: show all rows.
    """
    sheet = Sheet(result, paper, saved, everything, verdicts_only=quiet)
    blocks = VERDICTS if quiet else (header, *VERDICTS, *FIGURES)
    lines: list[Line] = []
    for block in blocks:
        written = block(sheet)
        if written:
            lines += [paper.line(), *written] if lines else written
    return lines
