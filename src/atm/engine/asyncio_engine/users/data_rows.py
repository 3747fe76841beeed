"""The rows of data tables that a user or an iteration gets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from atm.engine.asyncio_engine.scenario.json_text import NotJsonError, read_json
from atm.errors import DataError, EngineError, Problem
from atm.plan.program import DataTable
from atm.plan.randomness import below, draw_at, row_of
from atm.tables.table_file import Table


class Rows(Protocol):
    """The cells of one data table."""

    def cell(self, row: int, column: int) -> Any:
        """Return the value of a cell, by 0-based indices."""
        ...


class TableRows:
    """The cells of a table file."""

    def __init__(self, table: DataTable) -> None:
        """Map the table. Raises EngineError if it is not the table of the plan."""
        try:
            self._table = Table(table.path)
        except (DataError, OSError) as error:
            what = f'the table of the data "{table.name}" cannot be read: {error}'
            raise EngineError(Problem(what, "bad_table")) from error
        if (self._table.rows, self._table.columns) != (table.rows, table.columns):
            self._table.close()
            raise EngineError(Problem(f'the table of the data "{table.name}" is another one', "bad_table"))

    def cell(self, row: int, column: int) -> Any:
        """Return the value of a cell. Raises EngineError if the file is damaged there."""
        try:
            cell = self._table.cell(row, column)
            return read_json(cell.text) if cell.is_json else cell.text
        except (DataError, NotJsonError) as error:
            raise EngineError(Problem(f"a cell of test data cannot be read: {error}", "bad_table")) from error


class DataRows:
    """Selects rows by arithmetic on numbers, so that no two engines, threads or workers need to agree on a cursor."""

    def __init__(self, seed: int, tables: Sequence[DataTable], rows: Sequence[Rows]) -> None:
        """`rows` are the cells of each table."""
        self._seed = seed
        self._tables = tables
        self._rows = rows
        self._begun: set[tuple[int, int]] = set()
        """Tables per user, and the users that have begun with their row."""

    def row(self, table: int, *, user: int, iteration: int) -> int:
        """Return the 0-based row of a table for a user and an iteration, by their 1-based numbers."""
        selected = self._tables[table]
        number = user if selected.per == "user" else iteration
        return row_of(selected.pick, self._seed, table, selected.rows, number)

    def rows_begun(self, tables: Iterable[int], user: int, iteration: int) -> Iterator[tuple[int, int]]:
        """Yield the tables and rows that an iteration begins with, and per user those that its user begins with.

        `user` is 0 where each iteration is a user of its own.
        """
        for table in tables:
            per = self._tables[table].per
            if per == "use":
                continue
            if per == "user" and user:
                if (table, user) in self._begun:
                    continue
                self._begun.add((table, user))
            yield table, self.row(table, user=user or iteration, iteration=iteration)

    def rows_of_user(self, tables: Iterable[int], user: int) -> Iterator[tuple[int, int]]:
        """Yield, of these tables, those per user with the row that a user begins with, once for each user."""
        return self.rows_begun((table for table in tables if self._tables[table].per == "user"), user, 0)

    def is_per_use(self, table: int) -> bool:
        """Return whether each place draws a row of its own."""
        return self._tables[table].per == "use"

    def drawn_row(self, table: int, iteration: int, place: int, round_: int) -> int:
        """Return the row of a table per use at a place of an iteration."""
        return below(draw_at(self._seed, iteration, place, round_), self._tables[table].rows)

    def cell(self, table: int, row: int, column: int) -> Any:
        """Return the value of a cell."""
        return self._rows[table].cell(row, column)
