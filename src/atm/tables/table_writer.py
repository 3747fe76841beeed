"""Writes a table file row by row, in bounded memory, so that it appears complete or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import struct
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from atm.errors import DataError, Problem
from atm.private_files import private_opener
from atm.tables.table_file import (
    HEADER,
    IS_JSON,
    MAGIC,
    MOST_COLUMNS,
    MOST_ROW_BYTES,
    MOST_ROWS,
    VERSION,
    Cell,
)

_ROWS_AT_ONCE = 4096
TEMPORARY = ".tmp"
"""The end of the names of files that are being written."""


def write_table(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[str] | Sequence[Cell]], digest: bytes
) -> int:
    """Write a table file and return its number of rows.

    A row is a sequence of texts, or of cells, one per column. Raises DataError for a table without rows or beyond the
    limits, errors of `rows`, and OSError; then there is no file at `path`, or the one before.
    """
    if not 1 <= len(columns) <= MOST_COLUMNS:
        raise DataError(
            Problem(f"a table has 1 to {MOST_COLUMNS:,} columns, and this has {len(columns)}", "data_limit")
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with (
            open(temporary, "xb", opener=private_opener) as file,
            tempfile.TemporaryFile(dir=path.parent) as positions,
        ):
            count = _write(file, positions, columns, rows, digest)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return count


def _write(
    file: BinaryIO,
    positions: BinaryIO,
    columns: Sequence[str],
    rows: Iterable[Sequence[str] | Sequence[Cell]],
    digest: bytes,
) -> int:
    file.write(bytes(HEADER.size))
    width = len(columns)
    ends = struct.Struct(f"<{width}I")
    count, position = 0, HEADER.size
    records: list[bytes] = []
    starts = array("Q")
    for row in rows:
        try:
            record = _record(row, ends, count)
        except UnicodeEncodeError:
            what = f"row {count + 1} has half of a surrogate pair, which is not a character"
            raise DataError(Problem(what, "bad_text")) from None
        records.append(record)
        starts.append(position)
        position += len(record)
        count += 1
        if count % _ROWS_AT_ONCE == 0:
            if count > MOST_ROWS:
                raise DataError(Problem(f"a table has at most {MOST_ROWS:,} rows", "data_limit"))
            file.writelines(records)
            records.clear()
            positions.write(_little_endian(starts))
            starts = array("Q")
    if not count:
        raise DataError(Problem("there are no rows", "no_rows", hint="Add at least one row"))
    file.writelines(records)
    positions.write(_little_endian(starts))
    names = position
    for column in columns:
        name = column.encode()
        position += file.write(struct.pack("<I", len(name)) + name)
    position += file.write(bytes(-position % 8))
    positions.seek(0)
    shutil.copyfileobj(positions, file, 1 << 20)
    size = position + count * 8
    file.seek(0)
    file.write(HEADER.pack(MAGIC, VERSION, width, count, names, position, size, digest))
    return count


def _record(row: Sequence[str] | Sequence[Cell], ends: struct.Struct, number: int) -> bytes:
    if row and isinstance(row[0], str):
        # The common case first: a row of ASCII texts, whose lengths are those of its bytes.
        texts: Sequence[str] = row  # type: ignore[assignment]  # a row has one type
        joined = "".join(texts)
        if joined.isascii():
            if len(joined) > MOST_ROW_BYTES:
                raise _too_long(number)
            return ends.pack(*accumulate(map(len, texts))) + joined.encode()
        encoded = [text.encode() for text in texts]
        flags = [0] * len(encoded)
    else:
        encoded = [cell.text.encode() for cell in row]  # type: ignore[union-attr]
        flags = [IS_JSON if cell.is_json else 0 for cell in row]  # type: ignore[union-attr]
    stops = list(accumulate(map(len, encoded)))
    if stops[-1] > MOST_ROW_BYTES:
        raise _too_long(number)
    return ends.pack(*(stop | flag for stop, flag in zip(stops, flags, strict=True))) + b"".join(encoded)


def _too_long(number: int) -> DataError:
    return DataError(Problem(f"row {number + 1} has more than {MOST_ROW_BYTES >> 20} MiB", "data_limit"))


def _little_endian(positions: array[int]) -> bytes:
    if struct.pack("=H", 1) != struct.pack("<H", 1):
        positions.byteswap()
    return positions.tobytes()
