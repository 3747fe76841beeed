"""Files of saved tests beside the JSON files: contents named by their digest, and the list of which test has which."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from atm.private_files import make_directory, private_opener
from atm.storage.disk_format import DiskFormat
from atm.storage.errors import test_not_found
from atm.storage.json_files.files import (
    in_thread,
    read_document,
    read_records,
    sync_directory,
    translated,
    write_records,
)
from atm.storage.json_files.state import Folder
from atm.storage.records import FINAL
from atm.storage.test_files import CHUNK_BYTES, TestFile, check_number, check_room, file_not_found

_FILES = DiskFormat(TestFile)


class JsonTestFiles:
    """The `TestFileStore` beside the JSON files."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._list = folder.root / "test_files.json"
        self._contents = folder.root / "files"

    @in_thread
    def put(self, file: TestFile, source: Path, most_bytes: int) -> None:
        with self._folder.changing():
            tests = read_document(self._folder.root / "tests.json") or []
            if not any(test["id"] == file.test_id for test in tests):
                raise test_not_found(file.test_id)
            before = read_records(_FILES, self._list)
            others = [other for other in before if (other.test_id, other.name) != (file.test_id, file.name)]
            check_number(sum(other.test_id == file.test_id for other in others) + 1)
            self._add_content(file, source, most_bytes, others)
            write_records(_FILES, self._list, [*others, file])
            self._remove_unused()

    def _add_content(self, file: TestFile, source: Path, most_bytes: int, others: list[TestFile]) -> None:
        path = self._contents / file.digest
        if path.exists():
            return
        used = self._used(others)
        sizes = [entry.stat().st_size for entry in self._entries() if entry.name in used]
        check_room(sum(sizes), file.size, most_bytes)
        make_directory(self._contents)
        temporary = self._contents / f".{uuid.uuid4().hex}"
        try:
            with source.open("rb") as content, open(temporary, "wb", opener=private_opener) as copy:
                shutil.copyfileobj(content, copy, CHUNK_BYTES)
                copy.flush()
                os.fsync(copy.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(self._contents)

    @in_thread
    def of_test(self, test_id: str) -> tuple[TestFile, ...]:
        files = (file for file in read_records(_FILES, self._list) if file.test_id == test_id)
        return tuple(sorted(files, key=lambda file: file.name))

    async def read(self, digest: str) -> AsyncIterator[bytes]:
        with translated():
            try:
                content = await asyncio.to_thread((self._contents / digest).open, "rb")
            except FileNotFoundError:
                raise file_not_found(digest) from None
            with content:
                while chunk := await asyncio.to_thread(content.read, CHUNK_BYTES):
                    yield chunk

    @in_thread
    def delete(self, test_id: str, name: str) -> None:
        with self._folder.changing():
            files = read_records(_FILES, self._list)
            kept = [file for file in files if (file.test_id, file.name) != (test_id, name)]
            if len(kept) == len(files):
                raise file_not_found(name)
            write_records(_FILES, self._list, kept)
            self._remove_unused()

    @in_thread
    def total_bytes(self) -> int:
        return sum(entry.stat().st_size for entry in self._entries())

    def remove_test(self, test_id: str) -> None:
        """Delete the files of a test. The caller holds the lock."""
        files = read_records(_FILES, self._list)
        if any(file.test_id == test_id for file in files):
            write_records(_FILES, self._list, [file for file in files if file.test_id != test_id])
            self._remove_unused()

    def _remove_unused(self) -> None:
        used = self._used(read_records(_FILES, self._list))
        for entry in self._entries():
            if entry.name not in used:
                entry.unlink(missing_ok=True)

    def _used(self, files: list[TestFile]) -> set[str]:
        """Return the digests that a test has, or a run that has not ended names."""
        waiting = (state for state in self._folder.states() if state.summary.status not in FINAL)
        return {file.digest for file in files} | {digest for state in waiting for digest in state.files.values()}

    def _entries(self) -> list[Path]:
        return [path for path in self._contents.glob("*") if not path.name.startswith(".")]
