"""The table file: rows of cells, of which each is found in constant time in a memory map.

All numbers are little-endian. A file is written once and never changed.

    header, 80 bytes:
      magic        8 bytes   b"ATMTABLE"
      version      u32       1
      columns      u32       1 to 1,000
      rows         u64       1 to 2^27
      names        u64       position of the names of the columns
      index        u64       position of the index
      size         u64       of the whole file
      digest       32 bytes  of the source and how it was read, see `table_cache.py`
    records, one per row:
      ends         u32 each  per column, the end of its cell in the texts; bit 31: the cell is JSON
      texts                  the cells one after the other, in UTF-8
    names, one per column:
      length       u32
      name                   in UTF-8
    index:
      position     u64 each  per row, the position of its record

A cell of JSON holds a compact value that is not a string; strings are text. The native engine reads the same format
(`native/loadgen/src/table.rs`). A reader trusts nothing in a file: a position outside of it is an error.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import NamedTuple

from atm.errors import DataError, Problem

MAGIC = b"ATMTABLE"
VERSION = 1
HEADER = struct.Struct("<8sIIQQQQ32s")
IS_JSON = 1 << 31
MOST_COLUMNS = 1_000
MOST_ROWS = 1 << 27
MOST_ROW_BYTES = 8 << 20
"""Bytes of all cells of a row."""
_POSITION = struct.Struct("<Q")
_LENGTH = struct.Struct("<I")


class Cell(NamedTuple):
    """The content of a cell: text, or the text of a JSON value."""

    text: str
    is_json: bool = False


class Table:
    """A table file, mapped into memory."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Map the file and read its header. Raises DataError if it is not a table, and OSError."""
        self.path = os.fspath(path)
        with open(path, "rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:  # An empty file cannot be mapped.
                raise self._damaged("it is empty") from None
        self.digest = b""
        self.columns: tuple[str, ...] = ()
        self.rows = 0
        self._index = 0
        self._ends = struct.Struct("")
        try:
            self._read_header()
        except BaseException:
            self._map.close()
            raise

    def close(self) -> None:
        """Unmap the file."""
        self._map.close()

    def cell(self, row: int, column: int) -> Cell:
        """Return a cell by the numbers of row and column, from 0. Raises DataError if the file is damaged."""
        if not (0 <= row < self.rows and 0 <= column < len(self.columns)):
            raise IndexError(f"there is no cell ({row}, {column})")
        try:
            (record,) = _POSITION.unpack_from(self._map, self._index + row * _POSITION.size)
            ends = self._ends.unpack_from(self._map, record)
            texts = record + self._ends.size
            start = texts + (ends[column - 1] & ~IS_JSON if column else 0)
            end = texts + (ends[column] & ~IS_JSON)
            if not HEADER.size <= start <= end <= len(self._map):
                raise self._damaged(f"row {row} has no valid positions")
            return Cell(self._map[start:end].decode(), ends[column] >= IS_JSON)
        except (struct.error, OverflowError, UnicodeDecodeError) as error:
            raise self._damaged(f"row {row} cannot be read: {error}") from None

    def _read_header(self) -> None:
        if len(self._map) < HEADER.size:
            raise self._damaged("it is shorter than its header")
        magic, version, columns, rows, names, index, size, self.digest = HEADER.unpack_from(self._map)
        if magic != MAGIC or version != VERSION:
            raise self._damaged("it is not a table of this version")
        if size != len(self._map):
            raise self._damaged(f"it has {len(self._map)} bytes instead of {size}")
        if not (1 <= columns <= MOST_COLUMNS and 1 <= rows <= MOST_ROWS and index + rows * 8 <= size):
            raise self._damaged("its header is not valid")
        decoded = []
        try:
            for _ in range(columns):
                (length,) = _LENGTH.unpack_from(self._map, names)
                names += _LENGTH.size
                if names + length > size:
                    raise self._damaged("the name of a column is outside of it")
                decoded.append(self._map[names : names + length].decode())
                names += length
        except (struct.error, OverflowError, UnicodeDecodeError) as error:
            raise self._damaged(f"the names of its columns cannot be read: {error}") from None
        self.columns, self.rows, self._index = tuple(decoded), rows, index
        self._ends = struct.Struct(f"<{columns}I")

    def _damaged(self, why: str) -> DataError:
        return DataError(
            Problem(
                f"the table file is damaged: {why}", "bad_table", place=self.path, hint="Delete it; it is made again"
            )
        )
