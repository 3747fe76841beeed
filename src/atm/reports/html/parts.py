"""The pieces that every part of the page is made of."""

from __future__ import annotations

from collections.abc import Sequence

from atm.models import figures
from atm.models.run import Measurement, RunResult
from atm.reports.html.markup import Child, Markup, tag


def card(title: str, *children: Child, note: str = "") -> Markup:
    """A titled box; `note` says in grey what the title leaves open."""
    heading = tag("h2", title, tag("span", f"  {note}", class_="muted caption") if note else None)
    return tag("section", heading, *children, class_="card")


def table(head: Sequence[tuple[str, bool]], rows: Sequence[Sequence[Child]]) -> Markup:
    """A table; each column is its title and whether it holds numbers."""
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


def doubted(result: RunResult, text: str) -> str:
    """A figure, with a question mark where the measurement is invalid."""
    doubtful = result.verdict.measurement == Measurement.INVALID
    return f"{text}?" if doubtful and text != figures.NO_DATA else text


def time_text(result: RunResult, milliseconds: float | None) -> str:
    """A time with the unit that fits it."""
    return doubted(result, figures.time(milliseconds))


def wrapping(*children: Child) -> Markup:
    """A cell for text of any length."""
    return tag("td", *children, class_="wrap")


def cores(count: int) -> str:
    """`1 core`, `2 cores`."""
    return f"{count} {'core' if count == 1 else 'cores'}"
