"""What a spec needs of a table, and what the compiler learns of one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from atm.dataclass import dataclass
from atm.errors import DataError, Problem
from atm.tables.layout import Layout


@dataclass(frozen=True, slots=True)
class TableRequest:
    """A table that a spec needs: a file, or rows of the spec."""

    columns: tuple[str, ...] | None
    file: str = ""
    layout: Layout | None = None
    """How the file is read."""
    rows: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class OpenedTable:
    """A table that exists. `path` is empty if its rows were only checked."""

    path: str
    columns: tuple[str, ...]
    rows: int


OpenTable = Callable[[TableRequest], OpenedTable]
"""Raises DataError."""


def checked_table(request: TableRequest) -> OpenedTable:
    """Check rows of a spec without writing a table. Raises DataError, also for any file."""
    from atm.tables.row_readers import inline_rows

    if request.file:
        raise file_refused(request.file)
    return OpenedTable("", inline_rows(request.rows, request.columns).columns, len(request.rows))


def file_refused(file: str, hint: str = "Write the rows into the spec (`rows: […]`)") -> DataError:
    """Return the error for a file where none may be read. `hint` says what to do instead."""
    what = f'the file "{file}" cannot be used here: a server reads no files of its own for a spec'
    return DataError(Problem(what, "file_not_allowed", hint=f"{hint}, or run it on the command line"))
