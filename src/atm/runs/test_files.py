"""The files of a saved test for the compiler: copied from storage into a private folder, when a spec names one.

A server reads no path of its own for a spec: a name is only looked up among the files of the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from atm.dataclass import dataclass
from atm.errors import DataError, NotFoundError, Problem
from atm.plan.files import FILE_MISSING
from atm.private_files import make_directory, private_opener
from atm.storage.test_files import name_problem
from atm.tables.layout import Layout
from atm.tables.spec_tables import SpecTables
from atm.tables.table_cache import TableCache
from atm.tables.table_request import OpenedTable, TableRequest, checked_table, file_refused

_NO_TEST = "Save it as a test, upload the file to that and run the test (`atm tests push` does both)"
_MOST_KNOWN = 256


@dataclass(frozen=True, slots=True)
class TestFiles:
    """The files that a spec may name, in the versions of one moment."""

    __test__ = False  # pytest would collect the class by its name

    versions: Mapping[str, str]
    """The digest of each file by its name."""
    read: Callable[[str], AsyncIterator[bytes]]
    """Yields the content of a digest. Raises NotFoundError."""
    loop: asyncio.AbstractEventLoop
    """The loop on which `read` works, while the compiler is in a thread."""


@dataclass(frozen=True, slots=True)
class _TableKey:
    digest: str
    layout: Layout


class KnownTables:
    """Columns and number of rows of files that were checked before, so that a large file is read once."""

    def __init__(self) -> None:
        self._tables: dict[_TableKey, OpenedTable] = {}

    def of(
        self, digest: str, layout: Layout, read: Callable[[], OpenedTable], require: Callable[[], None]
    ) -> OpenedTable:
        """Return what `read` finds, or what is known of it if `require` does not raise."""
        key = _TableKey(digest, layout)
        checked = self._tables.get(key)
        if checked is None:
            checked = replace(read(), path="")
            while len(self._tables) >= _MOST_KNOWN:
                self._tables.pop(next(iter(self._tables)), None)
            self._tables[key] = checked
        else:
            require()
        return checked


class FileReader:
    """Reads the files of one test for one compilation. Its methods block, so they are called in a thread."""

    def __init__(self, files: TestFiles | None, folder: Path) -> None:
        """`folder` gets what is read, and belongs to this compilation; without `files`, no file may be named."""
        self._files = files
        self._folder = folder
        self.named: dict[str, str | None] = {}
        """The files that the spec names, with their digests; None for one that the test does not have."""

    def read(self, file: str) -> bytes:
        """Return the content of a file. Raises DataError."""
        return self.path(file).read_bytes()

    def path(self, file: str) -> Path:
        """Return the path of a private copy of a file. Raises DataError."""
        digest = self.digest(file)
        copy = self._folder / digest
        if not copy.exists():
            assert self._files is not None
            try:
                asyncio.run_coroutine_threadsafe(self._copy(self._files, digest), self._files.loop).result()
            except NotFoundError:
                raise _deleted(file) from None
        return copy

    def require(self, file: str) -> None:
        """Raise DataError unless the content of a file is stored."""
        digest = self.digest(file)
        assert self._files is not None
        try:
            asyncio.run_coroutine_threadsafe(_begin(self._files.read(digest)), self._files.loop).result()
        except NotFoundError:
            raise _deleted(file) from None

    def digest(self, file: str) -> str:
        """Return the digest of a file. Raises DataError for one that the test does not have."""
        if self._files is None:
            raise file_refused(file, _NO_TEST)
        digest = self._files.versions.get(file)
        self.named[file] = digest
        if digest is None:
            raise _missing(file)
        return digest

    async def _copy(self, files: TestFiles, digest: str) -> None:
        await asyncio.to_thread(make_directory, self._folder)
        incomplete = self._folder / f".{digest}"
        await write_content(files.read(digest), incomplete)
        await asyncio.to_thread(incomplete.replace, self._folder / digest)


async def _begin(content: AsyncIterator[bytes]) -> None:
    async for _ in content:
        return


async def write_content(content: AsyncIterator[bytes], path: Path) -> None:
    """Write a private file in chunks. Raises NotFoundError if the content is gone, OSError."""
    with await asyncio.to_thread(open, path, "wb", opener=private_opener) as copy:
        async for chunk in content:
            await asyncio.to_thread(copy.write, chunk)


class CheckedTables:
    """Opens tables to check a spec: columns and rows are found, and no table is kept."""

    def __init__(self, reader: FileReader, folder: Path, known: KnownTables) -> None:
        self._reader = reader
        self._folder = folder
        self._known = known

    def __call__(self, request: TableRequest) -> OpenedTable:
        """Open a table. Raises DataError."""
        if request.layout is None:
            return checked_table(request)
        layout = request.layout
        digest = self._reader.digest(request.file)
        file = request.file
        return self._known.of(
            digest,
            layout,
            read=lambda: _table(self._reader, self._folder, file, layout),
            require=lambda: self._reader.require(file),
        )


class RunTables:
    """Opens tables for a run: those of files in its private folder, those of a spec's rows in the data directory."""

    def __init__(self, reader: FileReader, folder: Path, data_dir: Path) -> None:
        self._reader = reader
        self._folder = folder
        self._rows = SpecTables(None, data_dir)

    def __call__(self, request: TableRequest) -> OpenedTable:
        """Open a table. Raises DataError."""
        if request.layout is None:
            return self._rows(request)
        return _table(self._reader, self._folder, request.file, request.layout)


def _table(reader: FileReader, folder: Path, file: str, layout: Layout) -> OpenedTable:
    table = TableCache(folder).of_file(reader.path(file), file, layout)
    opened = OpenedTable(table.path, table.columns, table.rows)
    table.close()
    return opened


def _deleted(file: str) -> DataError:
    what = f'the version of the file "{file}" that this run names was deleted'
    return DataError(Problem(what, FILE_MISSING, hint="Run the test again, with its present files"))


def _missing(file: str) -> DataError:
    hint = "Upload it to the test (`atm tests push`, or in the form of the test), or correct the name"
    if problem := name_problem(file):
        hint = f"Files of a test have plain names ({problem}): rename it here, and upload it under that name"
    return DataError(Problem(f'the test has no file "{file}"', FILE_MISSING, hint=hint))
