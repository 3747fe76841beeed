"""The tables of users' files in the data directory: made once per content, then mapped at once.

The name of a table is the digest of the file's content and of how it is read. A table that was not used for 30 days is
removed when another one is made.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from atm.errors import DataError, Problem
from atm.private_files import make_directory
from atm.tables.layout import Layout
from atm.tables.row_readers import Rows, inline_rows, open_rows
from atm.tables.table_file import VERSION, Table
from atm.tables.table_writer import TEMPORARY, write_table

SUFFIX = ".table"
_UNUSED_S = 30 * 86_400.0
_ABANDONED_S = 86_400.0
_CHUNK = 1 << 20


class TableCache:
    """Tables in a directory, which several processes may share."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def of_file(self, path: Path, name: str, layout: Layout) -> Table:
        """Return the table of a file. `name` is shown in messages.

        Raises DataError if the file cannot be read as `layout` says, or the table cannot be written.
        """
        try:
            file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  (closed below)
        except OSError as error:
            what = f"the file cannot be read: {error.strerror or error}"
            raise DataError(Problem(what, "file_not_read", place=name)) from None
        with file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise DataError(Problem("it is not a file", "file_not_read", place=name))
            digest = _digest(layout, file)
            if table := self._existing(digest):
                return table
            file.seek(0)
            try:
                table = self._made(open_rows(file, name, layout), digest)
            except DataError as error:
                raise DataError(
                    [replace(problem, place=problem.place or name) for problem in error.problems]
                ) from error
            after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            table.close()
            Path(table.path).unlink(missing_ok=True)
            raise DataError(Problem("the file changed while it was read", "file_not_read", place=name))
        return table

    def of_rows(self, rows: Sequence[Any], columns: tuple[str, ...] | None) -> Table:
        """Return the table of rows of a spec, see `inline_rows`. Raises DataError."""
        checked = inline_rows(rows, columns)
        cells = [tuple(row) for row in checked.rows]
        digest = hashlib.blake2b(repr((VERSION, checked.columns, cells)).encode(errors="surrogatepass"), digest_size=32)
        return self._existing(digest.digest()) or self._made(inline_rows(rows, columns), digest.digest())

    def _existing(self, digest: bytes) -> Table | None:
        path = self._path(digest)
        try:
            table = Table(path)
        except (DataError, OSError):
            # There is none, or it is damaged: it is written again, which reports why it cannot be.
            return None
        if table.digest != digest:
            table.close()
            return None
        try:
            os.utime(path)
        except OSError:
            # A read-only directory: the time of its last use is not needed there.
            return table
        return table

    def _made(self, rows: Rows, digest: bytes) -> Table:
        path = self._path(digest)
        try:
            make_directory(self._directory)
            self._remove_unused()
            write_table(path, rows.columns, rows.rows, digest)
            return Table(path)
        except OSError as error:
            what = f"the table of the rows cannot be written: {error.strerror or error}"
            hint = "Make space, or set another directory: `export ATM_DATA_DIR=…`"
            raise DataError(Problem(what, "data_not_written", place=str(self._directory), hint=hint)) from error

    def _path(self, digest: bytes) -> Path:
        return self._directory / f"{digest.hex()[:40]}{SUFFIX}"

    def _remove_unused(self) -> None:
        now = time.time()
        for entry in self._directory.iterdir():
            limit = {SUFFIX: _UNUSED_S, TEMPORARY: _ABANDONED_S}.get(entry.suffix)
            try:
                if limit is not None and now - entry.stat().st_mtime > limit:
                    entry.unlink()
            except FileNotFoundError:
                # Another process removed it.
                continue


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe without a writer is refused later, instead of waited for."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)


def _digest(layout: Layout, file: BinaryIO) -> bytes:
    digest = hashlib.blake2b(f"{VERSION} {layout.to_json()}\n".encode(), digest_size=32)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.digest()
