"""The sections of scenarios in code: exceptions with their tracebacks, and calls that blocked the load generator."""

from __future__ import annotations

from collections.abc import Sequence

from atm.models import figures
from atm.models.run import RunResult
from atm.reports.html.markup import Child, Markup, tag
from atm.reports.html.parts import card, table, wrapping


def exceptions(result: RunResult) -> Markup | None:
    """Each kind of exception that ended iterations, with the traceback of the first."""
    if not result.exceptions:
        return None
    head = (("count", True), ("scenario", False), ("exception", False), ("when", False))
    rows: list[Sequence[Child]] = []
    for group in result.exceptions:
        first, last = figures.clock(group.first_seconds), figures.clock(group.last_seconds)
        when = f"at {first}" if first == last else f"{first} to {last}"
        count = tag("td", figures.count(group.count), class_="n fail")
        traceback = tag("pre", group.traceback) if group.traceback else None
        rows.append([count, wrapping(group.scenario), wrapping(group.message, traceback), when])
    return card("Exceptions", table(head, rows))


def blocking(result: RunResult) -> Markup | None:
    """Each place in code that blocked the load generator."""
    if not result.blocking:
        return None
    head = (("count", True), ("scenario", False), ("place", False), ("time", True))
    rows: list[Sequence[Child]] = [
        [figures.count(group.count), wrapping(group.scenario), wrapping(group.place), figures.duration(group.seconds)]
        for group in result.blocking
    ]
    return card("Blocking calls", table(head, rows))
