"""Rows of test data that the run used, and those of the current second."""

from __future__ import annotations

from collections.abc import Sequence

from atm.metrics.interval import DataInterval
from atm.plan.program import DataTable


class DataBooks:
    """Counts of each table. One bit per row tells which rows were used before."""

    def __init__(self, tables: Sequence[DataTable]) -> None:
        self._used = [bytearray((table.rows + 7) // 8) for table in tables]
        self._counts = [DataInterval(index) for index in range(len(tables))]

    def count(self, table: int, row: int) -> None:
        """Count a row that an iteration or a user begins with."""
        bits, bit = self._used[table], 1 << (row & 7)
        if bits[row >> 3] & bit:
            self._counts[table].repeated += 1
        else:
            bits[row >> 3] |= bit
            self._counts[table].used += 1

    def take(self) -> list[DataInterval]:
        """Return the counts since the last call, in the order of the tables."""
        taken = [counts for counts in self._counts if counts.used or counts.repeated]
        for counts in taken:
            self._counts[counts.table] = DataInterval(counts.table)
        return taken
