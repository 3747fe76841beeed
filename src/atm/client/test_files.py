"""`ControlClient.files`: the data files of stored tests. Methods take a test's id or name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

from atm.client.connection import Connection
from atm.models.control.test_files import TestFileDeleted, TestFileList, TestFilePreview, TestFileView

_CHUNK_BYTES = 1 << 18


class TestFileCalls:
    """Requests about the files of tests. Methods raise the errors of `ControlClient`."""

    __test__ = False  # pytest would collect the class by its name

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def of_test(self, test: str) -> TestFileList:
        """Return the files of a test by name, and the limits of the server."""
        return await self._connection.get(TestFileList, _path(test))

    async def upload(self, test: str, name: str, source: Path) -> TestFileView:
        """Upload a file in chunks, or replace it. Raises OSError if `source` cannot be read."""
        return await self._connection.put_file(TestFileView, _path(test, name), _chunks(source))

    async def preview(self, test: str, name: str) -> TestFilePreview:
        """Return the columns, first rows and number of rows of a file."""
        return await self._connection.get(TestFilePreview, f"{_path(test, name)}/preview")

    async def download(self, test: str, name: str) -> AsyncIterator[bytes]:
        """Yield the content of a file in chunks."""
        async with self._connection.stream(_path(test, name), headers={"Accept": "*/*"}) as response:
            async for chunk in response.aiter_bytes():
                yield chunk

    async def delete(self, test: str, name: str) -> TestFileDeleted:
        """Delete a file."""
        return await self._connection.send(TestFileDeleted, "DELETE", _path(test, name))


async def _chunks(source: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(source.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk


def _path(test: str, *name: str) -> str:
    return "/".join(["/tests", quote(test, safe=""), "files", *(quote(part, safe="") for part in name)])
