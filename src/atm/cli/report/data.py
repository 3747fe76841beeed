"""The block of test data: how many rows the run used."""

from __future__ import annotations

from atm.cli.report.layout import Sheet
from atm.cli.text import Line, Style

_LONGEST_NAME = 24


def data(sheet: Sheet) -> list[Line]:
    """The rows of each source that were used, and how often they were used again."""
    sources = sheet.result.data
    if not sources:
        return []
    width = min(max(len(source.name) for source in sources), _LONGEST_NAME)
    lines = [sheet.paper.line(" DATA", Style.BOLD)]
    for source in sources:
        lines.append(sheet.paper.line("   ").add(sheet.paper.fitted(source.name, width)).add(f"  {source.described}"))
    return lines
