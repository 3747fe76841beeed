"""The rows of test data that several engines used in one run: a row that two of them used is used once, and repeated.

An engine that sends a share counts what its own iterations repeat. What the run repeats is known only where the rows of
all shares come together, so such an engine also lists each row when it uses it for the first time.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

from atm.metrics.scenario_interval import DataInterval


def encoded_rows(rows: Sequence[int]) -> bytes:
    """Return rows as bits, the lowest bit of the first byte for row 0, compressed with zlib."""
    bits = bytearray(max(rows) // 8 + 1)
    for row in rows:
        bits[row >> 3] |= 1 << (row & 7)
    return zlib.compress(bits, 1)


class UsedRows:
    """Adds up the rows of the tables of a plan over engines that each send a share of it. Exact, in any order."""

    def __init__(self, rows: Sequence[int]) -> None:
        """`rows`: the number of rows of each table, in the order of the plan."""
        self._limits = tuple(rows)
        self._used = [0] * len(self._limits)

    def merged(self, parts: Iterable[DataInterval]) -> list[DataInterval]:
        """Return the sum of parts of several engines, in the order of the tables.

        A row is used in the first part that lists it; every other use is a repetition, whichever engine it was. Raises
        ValueError if a part has unknown test data, or lists other rows than it counts.
        """
        totals: dict[int, DataInterval] = {}
        for part in parts:
            rows = self._rows(part)
            used = self._used[part.table]
            self._used[part.table] = used | rows
            first = (rows & ~used).bit_count()
            total = totals.setdefault(part.table, DataInterval(part.table))
            total.used += first
            total.repeated += part.repeated + part.used - first
        return [totals[table] for table in sorted(totals)]

    def _rows(self, part: DataInterval) -> int:
        """Return the rows that a part lists, as the bits of a number."""
        if not 0 <= part.table < len(self._limits):
            raise ValueError(f"test data {part.table} of {len(self._limits)}")
        limit = self._limits[part.table]
        try:
            bits = zlib.decompressobj().decompress(part.rows, limit // 8 + 1) if part.rows else b""
        except zlib.error as error:
            raise ValueError(f"the rows of test data {part.table} cannot be read: {error}") from error
        rows = int.from_bytes(bits, "little")
        if rows.bit_count() != part.used or rows.bit_length() > limit:
            raise ValueError(f"test data {part.table} lists other rows than the {part.used} that it counts")
        return rows
