"""Shared building blocks of the page: cards, tables, formatted times."""

from __future__ import annotations

from collections.abc import Sequence

from atm.models import figures
from atm.models.run import RunResult
from atm.reports.facts import doubted
from atm.reports.html.markup import Child, Markup, tag


def card(title: str, *children: Child, note: str = "") -> Markup:
    """Build a box with a title and an optional grey note beside it."""
    heading = tag("h2", title, tag("span", f"  {note}", class_="muted caption") if note else None)
    return tag("section", heading, *children, class_="card")


def table(head: Sequence[tuple[str, bool]], rows: Sequence[Sequence[Child]]) -> Markup:
    """Build a table; `head` has each column's title and whether it is numeric."""
    titles = (tag("th", title, class_="n" if number else None, scope="col") for title, number in head)
    lines = []
    for row in rows:
        cells = (
            cell
            if isinstance(cell, Markup) and cell.startswith("<td")
            else tag("td", cell, class_="n" if number else None)
            for cell, (_, number) in zip(row, head, strict=True)
        )
        lines.append(tag("tr", *cells))
    table = tag("table", tag("thead", tag("tr", *titles)), tag("tbody", *lines))
    return tag("div", table, class_="scroll")


def time_text(result: RunResult, milliseconds: float | None) -> str:
    """Format a time with its own unit."""
    return doubted(result, figures.time(milliseconds))


def wrapping(*children: Child) -> Markup:
    """Build a cell that wraps its text."""
    return tag("td", *children, class_="wrap")


def cores(count: int) -> str:
    """Return `1 core`, `2 cores`."""
    return f"{count} {'core' if count == 1 else 'cores'}"
