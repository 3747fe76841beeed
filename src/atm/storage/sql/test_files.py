"""Files of saved tests on a database: contents in chunks, so that no file is ever in memory as a whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import delete, func, insert, select

from atm.models.outcome import RunStatus
from atm.storage.errors import test_not_found
from atm.storage.sql.connection import AsyncConnection
from atm.storage.sql.database import Database
from atm.storage.sql.tables import file_chunks, file_contents, runs, test_configs, test_files
from atm.storage.test_files import CHUNK_BYTES, TestFile, check_number, check_room, file_not_found

_NOT_ENDED = (RunStatus.PENDING.value, RunStatus.RUNNING.value)


class SqlTestFiles:
    """The `TestFileStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, file: TestFile, source: Path, most_bytes: int) -> None:
        async with self._database.write() as connection:
            await self._database.lock_files(connection)
            test = select(test_configs.c.id).where(test_configs.c.id == file.test_id)
            if (await connection.execute(test)).scalar_one_or_none() is None:
                raise test_not_found(file.test_id)
            own = (test_files.c.test_id == file.test_id, test_files.c.name == file.name)
            await connection.execute(delete(test_files).where(*own))
            await remove_unused(connection, keep=file.digest)
            others = select(func.count()).select_from(test_files).where(test_files.c.test_id == file.test_id)
            check_number((await connection.execute(others)).scalar_one() + 1)
            await self._add_content(connection, file, source, most_bytes)
            values = {name: getattr(file, name) for name in ("test_id", "name", "digest", "updated_at")}
            await connection.execute(insert(test_files).values(values))

    async def _add_content(self, connection: AsyncConnection, file: TestFile, source: Path, most_bytes: int) -> None:
        stored = select(file_contents.c.digest).where(file_contents.c.digest == file.digest)
        if (await connection.execute(stored)).scalar_one_or_none() is not None:
            return
        check_room(await _total_bytes(connection), file.size, most_bytes)
        await connection.execute(insert(file_contents).values(digest=file.digest, size=file.size))
        with source.open("rb") as content:
            number = 0
            while data := await asyncio.to_thread(content.read, CHUNK_BYTES):
                await connection.execute(insert(file_chunks).values(digest=file.digest, number=number, data=data))
                number += 1

    async def of_test(self, test_id: str) -> tuple[TestFile, ...]:
        statement = (
            select(test_files, file_contents.c.size)
            .join(file_contents, file_contents.c.digest == test_files.c.digest)
            .where(test_files.c.test_id == test_id)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        files = (TestFile(row.test_id, row.name, row.digest, row.size, row.updated_at) for row in rows)
        return tuple(sorted(files, key=lambda file: file.name))

    async def read(self, digest: str) -> AsyncIterator[bytes]:
        async with self._database.read() as connection:
            size = select(file_contents.c.size).where(file_contents.c.digest == digest)
            left = (await connection.execute(size)).scalar_one_or_none()
        if left is None:
            raise file_not_found(digest)
        number = 0
        while left > 0:
            chunk = select(file_chunks.c.data).where(file_chunks.c.digest == digest, file_chunks.c.number == number)
            async with self._database.read() as connection:
                data: bytes | None = (await connection.execute(chunk)).scalar_one_or_none()
            if data is None:
                raise file_not_found(digest)
            yield data
            number += 1
            left -= len(data)

    async def delete(self, test_id: str, name: str) -> None:
        async with self._database.write() as connection:
            await self._database.lock_files(connection)
            statement = delete(test_files).where(test_files.c.test_id == test_id, test_files.c.name == name)
            if (await connection.execute(statement)).rowcount == 0:
                raise file_not_found(name)
            await remove_unused(connection)

    async def total_bytes(self) -> int:
        async with self._database.read() as connection:
            return await _total_bytes(connection)


async def remove_unused(connection: AsyncConnection, keep: str = "") -> None:
    """Remove the contents that no test has, and no run that has not ended names."""
    statement = select(runs.c.files_json).where(runs.c.status.in_(_NOT_ENDED), runs.c.files_json.is_not(None))
    named = {digest for text in (await connection.execute(statement)).scalars() for digest in json.loads(text).values()}
    unused = (
        file_contents.c.digest.not_in(select(test_files.c.digest)),
        file_contents.c.digest.not_in([*named, keep]),
    )
    await connection.execute(delete(file_contents).where(*unused))


async def _total_bytes(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(func.coalesce(func.sum(file_contents.c.size), 0)))).scalar_one())
