"""How the file of a table is read: its format, columns and separator."""

from __future__ import annotations

import json
from typing import Literal

from atm.dataclass import dataclass

Format = Literal["csv", "json", "jsonl", "lines"]
FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "lines",
}
"""The format of each extension of a file name."""
LINE = "line"
"""The column of plain lines without `columns`."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is read."""

    format: Format
    columns: tuple[str, ...] | None = None
    """CSV: the names of a file without a header; JSON: the fields to use; plain lines: the name of the column."""
    separator: str = ","
    """Between the cells of CSV."""

    def to_json(self) -> str:
        """Return a text that is equal for equal layouts."""
        return json.dumps([self.format, self.columns, self.separator])
