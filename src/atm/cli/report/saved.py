"""The last line: where the run is to be found again."""

from __future__ import annotations

from atm.cli.report.sheet import Sheet
from atm.cli.text import Line, Style


def saved(sheet: Sheet) -> list[Line]:
    """` saved as 7f3a2c1d   again: atm show 7f3a2c1d`; nothing where the history has not got the run."""
    if not sheet.saved:
        return []
    line = sheet.paper.line(" saved as ", Style.DIM).add(sheet.run_id)
    return [line.add("   again: ", Style.DIM).add(f"atm show {sheet.run_id}", Style.TYPE)]
