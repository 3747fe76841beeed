"""The rows of data tables that a user or an iteration gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from atm.plan.program import DataTable
from atm.plan.randomness import row_of


class Rows(Protocol):
    """The cells of one data table."""

    def cell(self, row: int, column: int) -> Any:
        """Return a cell, by 0-based indices."""
        ...


class DataRows:
    """Selects rows by arithmetic on numbers, so that no two engines, threads or workers need to agree on a cursor."""

    def __init__(self, seed: int, tables: Sequence[DataTable], rows: Sequence[Rows]) -> None:
        """`rows` are the cells of each table."""
        self._seed = seed
        self._tables = tables
        self._rows = rows

    def row(self, table: int, *, user: int, iteration: int) -> int:
        """Return the 0-based row of a table for a user and an iteration, by their 1-based numbers."""
        selected = self._tables[table]
        number = user if selected.per == "user" else iteration
        return row_of(selected.pick, self._seed, table, selected.rows, number)

    def cell(self, table: int, row: int, column: int) -> Any:
        """Return a cell."""
        return self._rows[table].cell(row, column)
