"""Crash-safe files: documents are replaced atomically, lines are appended, and incomplete lines ignored."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import uuid
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from atm.errors import CorruptDataError, Problem
from atm.private_files import FILE_MODE, private_opener
from atm.storage.disk_format import DiskFormat, NewerFormatError
from atm.storage.errors import newer_format, unavailable
from atm.storage.result import dumps

_Self = TypeVar("_Self")
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_CHUNK = 65_536


def in_thread(
    method: Callable[Concatenate[_Self, _Parameters], _Result],
) -> Callable[Concatenate[_Self, _Parameters], Coroutine[Any, Any, _Result]]:
    """Decorate a method that reads or writes files to run in a thread, with its OSErrors translated."""

    @functools.wraps(method)
    async def awaited(self: _Self, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        def work() -> _Result:
            with translated():
                return method(self, *args, **kwargs)

        return await asyncio.to_thread(work)

    return awaited


@contextmanager
def translated() -> Iterator[None]:
    """Translate OSError to StorageUnavailableError."""
    try:
        yield
    except OSError as error:
        raise unavailable(error) from error


def write_document(path: Path, document: Any) -> None:
    """Replace a file by a document atomically."""
    _replace(path, dumps(document))


def replace_lines(path: Path, lines: Sequence[str]) -> None:
    """Replace a file by lines atomically."""
    _replace(path, "".join(f"{line}\n" for line in lines))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "wb", opener=private_opener) as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_document(path: Path) -> Any:
    """Read a document; None without a file. Raises CorruptDataError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise corrupt_file(str(path), str(error)) from error


def append_lines(path: Path, lines: Sequence[str]) -> None:
    """Append lines atomically, on disk before it returns. The caller holds the lock."""
    if not lines:
        return
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        end = _end_of_last_line(descriptor)
        data = "".join(f"{line}\n" for line in lines).encode()
        try:
            os.ftruncate(descriptor, end)
            os.lseek(descriptor, end, os.SEEK_SET)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except OSError as error:
            os.ftruncate(descriptor, end)
            error.filename = str(path)
            raise
    finally:
        os.close(descriptor)
    if is_new:
        sync_directory(path.parent)


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the complete lines, numbered from 1; a last one without line feed was never acknowledged."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n"):
                yield number, line[:-1]


def last_line(path: Path) -> bytes | None:
    """Return the last complete line, without reading the others."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        end = _end_of_last_line(descriptor) - 1
        if end < 0:
            return None
        start, data = end, b""
        while start > 0 and b"\n" not in data:
            begin = max(0, start - _CHUNK)
            data = os.pread(descriptor, start - begin, begin) + data
            start = begin
        return data[data.rfind(b"\n") + 1 :]
    finally:
        os.close(descriptor)


def parsed(path: Path, number: int, line: bytes) -> Any:
    """Parse a JSON line. Raises CorruptDataError with file and line."""
    try:
        return json.loads(line)
    except ValueError as error:
        raise corrupt_file(f"{path}:{number}", str(error)) from error


def read_record(disk_format: DiskFormat[Any], document: Any, place: str) -> Any:
    """Return the record of a document. Raises CorruptDataError, and SchemaError for a newer format."""
    try:
        return disk_format.record(document)
    except NewerFormatError as error:
        raise newer_format(place, str(error)) from error
    except (ValueError, TypeError) as error:
        raise corrupt_file(place, str(error)) from error


def read_records(disk_format: DiskFormat[Any], path: Path) -> list[Any]:
    """Read a file with a list of records; none without a file. Raises as `read_record`."""
    documents = read_document(path) or []
    if not isinstance(documents, list):
        raise corrupt_file(str(path), "not a list")
    return [read_record(disk_format, document, str(path)) for document in documents]


def write_records(disk_format: DiskFormat[Any], path: Path, records: Sequence[Any]) -> None:
    """Replace a file with a list of records atomically."""
    write_document(path, [disk_format.document(record) for record in records])


def corrupt_file(place: str, what: str) -> CorruptDataError:
    """Return the error for a damaged file."""
    hint = "repair it, restore it from a backup, or move its directory away"
    first = what.splitlines()[0]
    return CorruptDataError(Problem(f"a file of the history cannot be read: {first}", "corrupt_data", "", place, hint))


def sync_directory(folder: Path) -> None:
    """Sync a directory, so that a new or replaced file survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end_of_last_line(descriptor: int) -> int:
    """Return the end of the last complete line; 0 without one."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        begin = max(0, end - _CHUNK)
        position = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if position >= 0:
            return begin + position + 1
        end = begin
    return 0
