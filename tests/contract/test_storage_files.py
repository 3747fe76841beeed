"""Every storage keeps the files of saved tests by the same rules."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atm.config import Settings
from atm.errors import ConflictError, NotFoundError
from atm.models.outcome import RunStatus
from atm.storage import StorageInterface, open_storage
from atm.storage.records import CancelRequest
from atm.storage.test_configs import TestConfig
from atm.storage.test_files import CHUNK_BYTES, MOST_FILES, TestFile
from tests.storage.builders import new_run

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LARGE = 1 << 30


async def add_tests(storage: StorageInterface, *names: str) -> None:
    for name in names:
        await storage.tests.add(TestConfig(name, f"test {name}", {"url": "http://127.0.0.1/"}, NOW, NOW))


class Uploads:
    """Puts contents as files."""

    def __init__(self, storage: StorageInterface, folder: Path) -> None:
        self._storage = storage
        self._path = folder / "upload"

    async def put(self, test_id: str, name: str, content: bytes, most_bytes: int = LARGE) -> TestFile:
        self._path.write_bytes(content)
        file = TestFile(test_id, name, hashlib.sha256(content).hexdigest(), len(content), NOW)
        await self._storage.files.put(file, self._path, most_bytes)
        return file


@pytest.fixture
def uploads(storage: StorageInterface, tmp_path: Path) -> Uploads:
    return Uploads(storage, tmp_path)


async def content_of(storage: StorageInterface, digest: str) -> bytes:
    return b"".join([chunk async for chunk in storage.files.read(digest)])


async def test_a_file_comes_back_in_chunks_also_from_another_process(
    storage: StorageInterface, settings: Settings, uploads: Uploads
) -> None:
    await add_tests(storage, "a", "b")
    content = bytes(range(256)) * (CHUNK_BYTES // 128) + b"end"
    large = await uploads.put("a", "rows.csv", content)
    empty = await uploads.put("a", "äöü 空.txt", b"")
    other = await open_storage(settings)
    assert await other.files.of_test("a") == (large, empty)
    assert await other.files.of_test("b") == await other.files.of_test("missing") == ()
    chunks = [chunk async for chunk in other.files.read(large.digest)]
    assert b"".join(chunks) == content
    assert max(map(len, chunks)) == CHUNK_BYTES
    assert await content_of(other, empty.digest) == b""
    assert await other.files.total_bytes() == len(content)
    await other.close()


async def test_equal_contents_are_stored_once_and_go_with_the_last_file(
    storage: StorageInterface, uploads: Uploads
) -> None:
    await add_tests(storage, "a", "b")
    first = await uploads.put("a", "one.csv", b"rows")
    await uploads.put("a", "two.csv", b"rows")
    await uploads.put("b", "one.csv", b"rows")
    assert await storage.files.total_bytes() == 4
    await storage.files.delete("a", "one.csv")
    await storage.tests.delete("a")
    assert await storage.files.of_test("a") == ()
    assert await content_of(storage, first.digest) == b"rows"
    await storage.tests.delete("b")
    assert await storage.files.total_bytes() == 0
    with pytest.raises(NotFoundError):
        await content_of(storage, first.digest)


async def test_a_replaced_file_makes_room_first(storage: StorageInterface, uploads: Uploads) -> None:
    await add_tests(storage, "a")
    before = await uploads.put("a", "rows.csv", b"12345678", 10)
    after = await uploads.put("a", "rows.csv", b"ABCDEFGHIJ", 10)
    assert await storage.files.of_test("a") == (after,)
    with pytest.raises(NotFoundError):
        await content_of(storage, before.digest)
    with pytest.raises(ConflictError) as refused:
        await uploads.put("a", "rows.csv", b"12345678901", 10)
    assert refused.value.problems[0].code == "files_full"
    assert "ATM_MAX_FILES_BYTES" in refused.value.problems[0].hint
    assert await storage.files.of_test("a") == (after,)
    await uploads.put("a", "same.csv", b"ABCDEFGHIJ", 10)
    assert await storage.files.total_bytes() == 10


async def test_uploads_at_once_do_not_exceed_the_room(
    storage: StorageInterface, settings: Settings, tmp_path: Path
) -> None:
    await add_tests(storage, "a")
    other = await open_storage(settings)
    puts = []
    for number in range(6):
        (folder := tmp_path / str(number)).mkdir()
        uploads = Uploads(storage if number % 2 else other, folder)
        puts.append(uploads.put("a", f"{number}.csv", bytes([number]) * 4, 12))
    answers = await asyncio.gather(*puts, return_exceptions=True)
    assert sum(isinstance(answer, TestFile) for answer in answers) == 3
    assert sum(isinstance(answer, ConflictError) for answer in answers) == 3
    assert await storage.files.total_bytes() == 12
    await other.close()


async def test_a_test_has_a_limited_number_of_files(storage: StorageInterface, uploads: Uploads) -> None:
    await add_tests(storage, "a")
    for number in range(MOST_FILES):
        await uploads.put("a", f"{number}.csv", b"rows")
    await uploads.put("a", "0.csv", b"other rows")
    with pytest.raises(ConflictError, match="at most"):
        await uploads.put("a", "one more.csv", b"rows")


async def test_what_is_missing_is_reported(storage: StorageInterface, uploads: Uploads) -> None:
    await add_tests(storage, "a")
    with pytest.raises(NotFoundError):
        await uploads.put("b", "rows.csv", b"rows")
    with pytest.raises(NotFoundError):
        await storage.files.delete("a", "rows.csv")
    assert await storage.files.total_bytes() == 0


async def test_a_run_keeps_the_files_that_it_names_until_it_has_ended(
    storage: StorageInterface, uploads: Uploads
) -> None:
    await add_tests(storage, "a")
    file = await uploads.put("a", "rows.csv", b"rows")
    created = await storage.runs.create(new_run("waiting", files={"rows.csv": file.digest}))
    assert created.run.files == (await storage.runs.get("waiting")).files == {"rows.csv": file.digest}
    await storage.tests.delete("a")
    assert await content_of(storage, file.digest) == b"rows"
    claimed = await storage.leases.claim("here", "token", 1)
    assert claimed is not None
    assert claimed.files == {"rows.csv": file.digest}
    await add_tests(storage, "b")
    await uploads.put("b", "other.csv", b"others")
    assert await content_of(storage, file.digest) == b"rows"
    assert await storage.leases.expire((await storage.leases.states())[0], "it died", NOW)
    await storage.files.delete("b", "other.csv")
    assert await storage.files.total_bytes() == 0
    assert (await storage.runs.get("waiting")).files == {"rows.csv": file.digest}


async def test_a_cancelled_run_keeps_no_files(storage: StorageInterface, uploads: Uploads) -> None:
    await add_tests(storage, "a")
    file = await uploads.put("a", "rows.csv", b"rows")
    await storage.runs.create(new_run("waiting", files={"rows.csv": file.digest}))
    assert await storage.leases.request_cancel("waiting", CancelRequest.NOW, NOW) is RunStatus.CANCELLED
    await storage.tests.delete("a")
    assert await storage.files.total_bytes() == 0
