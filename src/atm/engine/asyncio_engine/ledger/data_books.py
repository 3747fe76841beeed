"""Rows of test data that the run used, and those of the current second."""

from __future__ import annotations

from collections.abc import Sequence

from atm.metrics.scenario_interval import DataInterval
from atm.metrics.used_rows import encoded_rows
from atm.plan.program import DataTable


class DataBooks:
    """Counts of each table. One bit per row tells which rows were used before."""

    def __init__(self, tables: Sequence[DataTable], *, is_shared: bool = False) -> None:
        """`is_shared`: other engines use rows of the tables too, so list those used here."""
        self._used = [bytearray((table.rows + 7) // 8) for table in tables]
        self._first: list[list[int]] | None = [[] for _ in tables] if is_shared else None
        self._counts = [DataInterval(index) for index in range(len(tables))]

    def count(self, table: int, row: int) -> None:
        """Count a row that an iteration or a user begins with."""
        bits, bit = self._used[table], 1 << (row & 7)
        if bits[row >> 3] & bit:
            self._counts[table].repeated += 1
        else:
            bits[row >> 3] |= bit
            self._counts[table].used += 1
            if self._first is not None:
                self._first[table].append(row)

    def take(self) -> list[DataInterval]:
        """Return the counts since the last call, in the order of the tables."""
        taken = [counts for counts in self._counts if counts.used or counts.repeated]
        for counts in taken:
            self._counts[counts.table] = DataInterval(counts.table)
            if self._first is not None and self._first[counts.table]:
                counts.rows = encoded_rows(self._first[counts.table])
                self._first[counts.table] = []
        return taken
