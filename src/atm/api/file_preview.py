"""The preview of a file of a test: as the table that data of a spec would get, or as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from atm.api.errors import entry
from atm.errors import DataError
from atm.models.control.errors import ErrorEntry
from atm.models.control.test_files import TestFilePreview
from atm.plan.secret_names import is_sensitive
from atm.plan.spec_mask import MASK
from atm.tables.layout import FORMATS, Format, Layout
from atm.tables.row_readers import open_rows
from atm.tables.table_file import Cell

MOST_CELL = 200
"""Characters of a cell that are shown."""
MOST_CELLS = 50
"""Columns that are shown."""
MOST_TEXT_BYTES = 4_096


def preview(
    path: Path,
    name: str,
    rows: int,
    format_: Format | None,
    separator: str | None,
    columns: tuple[str, ...] | None,
) -> TestFilePreview:
    """Return the columns, the first `rows` rows and the number of rows; of a file that is no table, its beginning."""
    extension = f".{name.rpartition('.')[2].lower()}"
    format_ = format_ or FORMATS.get(extension)
    if format_ is None:
        return _as_text(path, None)
    layout = Layout(format_, columns, separator or ("\t" if extension == ".tsv" else ","))
    try:
        with path.open("rb") as file:
            table = open_rows(file, name, layout)
            read: Iterator[Sequence[str] | Sequence[Cell]] = iter(table.rows)
            hidden = [is_sensitive(column) for column in table.columns]
            first = [_row(row, hidden) for row in islice(read, rows)]
            total = len(first) + sum(1 for _ in read)
    except DataError as error:
        return _as_text(path, entry(error.problems[0]))
    return TestFilePreview(
        columns=list(table.columns[:MOST_CELLS]), rows=first, total_rows=total, text=None, problem=None
    )


def _as_text(path: Path, problem: ErrorEntry | None) -> TestFilePreview:
    with path.open("rb") as file:
        beginning = file.read(MOST_TEXT_BYTES + 4)
    try:
        text: str | None = beginning.decode()[:MOST_TEXT_BYTES]
    except UnicodeDecodeError as error:
        is_cut = error.start >= MOST_TEXT_BYTES
        text = beginning[: error.start].decode() if is_cut else None
    if text is not None and "\0" in text:
        text = None
    return TestFilePreview(columns=[], rows=[], total_rows=0, text=text, problem=problem)


def _row(cells: Sequence[str] | Sequence[Cell], hidden: Sequence[bool]) -> list[str]:
    texts = [cell if isinstance(cell, str) else cell.text for cell in cells[:MOST_CELLS]]
    return [MASK if is_hidden else _shown(text) for text, is_hidden in zip(texts, hidden, strict=False)]


def _shown(text: str) -> str:
    return text if len(text) <= MOST_CELL else f"{text[:MOST_CELL]}…"
