"""The block of workers: what each process or machine of a run on several of them did."""

from __future__ import annotations

from atm.cli.report.layout import Sheet
from atm.cli.text import Line, Style
from atm.models import figures
from atm.models.fleet_figures import WorkerFigures
from atm.models.outcome import Measurement

MOST_WORKERS = 16
"""Rows that are shown at first; lost workers and those with a worse measurement come before the others."""
_ENDS = (8, 18, 28, 39, 47)
"""Where the columns end, after the name."""
_LONGEST_NAME = 24


def workers(sheet: Sheet) -> list[Line]:
    """The workers, each with its part of the load, rate, lateness, CPU and verdict."""
    fleet = sheet.result.fleet
    if fleet is None:
        return []
    rows = sorted(fleet.workers, key=_urgency)
    shown = rows if sheet.everything else rows[:MOST_WORKERS]
    names = min(max(len(worker.name) for worker in shown), _LONGEST_NAME)
    head = sheet.paper.line(" WORKERS", Style.BOLD)
    ends = [3 + names + end for end in _ENDS]
    if not sheet.narrow:
        for title, end in zip(("share", "started", "/s", "lag p99", "CPU"), ends, strict=True):
            head.right(title, end, Style.DIM)
    lines = [head]
    for worker in shown:
        lines += _worker(sheet, worker, names, ends)
    if len(rows) > len(shown):
        hint = f"`atm show {sheet.run_id} --all`" if sheet.saved else "`-o FILE.json` has all"
        lines.append(sheet.paper.line(f"   … and {len(rows) - len(shown)} more: {hint}", Style.DIM))
    return lines


def _worker(sheet: Sheet, worker: WorkerFigures, names: int, ends: list[int]) -> list[Line]:
    line = sheet.paper.line("   ").add(sheet.paper.fitted(worker.name, names))
    rate, lag = figures.rate(worker.requests_per_second), figures.time(worker.schedule_lag_p99_ms)
    if sheet.narrow:
        line.add(f"  {figures.share(worker.share)} · {figures.count(worker.requests)} started · {rate} /s")
    else:
        line.right(figures.share(worker.share), ends[0]).right(figures.count(worker.requests), ends[1])
        line.right(rate, ends[2]).right(lag, ends[3]).right(figures.percent(worker.cpu_share), ends[4])
    if worker.state == "lost":
        line.add("  lost", Style.FAIL)
    elif worker.measurement is not Measurement.VALID:
        style = Style.FAIL if worker.measurement is Measurement.INVALID else Style.WARN
        line.add(f"  {worker.measurement}", style)
    lines = [line]
    if worker.message:
        lines += sheet.facts([worker.message], start=5)
    return lines


def _urgency(worker: WorkerFigures) -> int:
    order = (Measurement.INVALID, Measurement.SUSPECT, Measurement.VALID)
    return -1 if worker.state == "lost" else order.index(worker.measurement)
