"""Opens the tables of a spec: files of its directory tree, and rows written in it."""

from __future__ import annotations

import os
from pathlib import Path

from atm import data_directory
from atm.tables.spec_files import SpecFiles
from atm.tables.table_cache import TableCache
from atm.tables.table_request import OpenedTable, TableRequest, file_refused

DIRECTORY = "tables"
"""In the data directory."""


class SpecTables:
    """Opens tables for the compiler; an `OpenTable`."""

    def __init__(self, base: Path | None, data_dir: Path | None = None) -> None:
        """`base` is the directory of the spec; None allows no files. `data_dir` is where tables are kept.

        Without `data_dir`, it is that of ATM_DATA_DIR, or the default.
        """
        self._files = None if base is None else SpecFiles(base)
        self._data_dir = data_dir

    def __call__(self, request: TableRequest) -> OpenedTable:
        """Open a table. Raises DataError."""
        path = self._path(request.file) if request.file else None
        cache = TableCache(self._directory() / DIRECTORY)
        if path is None or request.layout is None:
            table = cache.of_rows(request.rows, request.columns)
        else:
            table = cache.of_file(path, request.file, request.layout)
        opened = OpenedTable(table.path, table.columns, table.rows)
        table.close()
        return opened

    def _path(self, file: str) -> Path:
        if self._files is None:
            raise file_refused(file)
        return self._files.path(file)

    def _directory(self) -> Path:
        if self._data_dir is not None:
            return self._data_dir
        return Path(os.environ.get("ATM_DATA_DIR") or data_directory.default()).absolute()
