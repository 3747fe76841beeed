"""Full disks, read-only disks, broken files, dying processes: a clear error, and nothing acknowledged is lost."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from atm.config import Settings, StorageType
from atm.errors import CorruptDataError, SchemaError, StorageUnavailableError
from atm.metrics.interval import EndpointInterval
from atm.storage import Batch, StorageInterface, Written, open_storage, upgrade_storage
from atm.storage.json_files.storage import JsonStorage
from atm.storage.records import Lease, RunQuery
from tests.contract.postgresql import PostgresqlServer
from tests.disks import mounted, needs_root
from tests.storage.builders import at, event, interval, new_run, sample
from tools.postgresql import MISSING, binaries

pytestmark = pytest.mark.anyio

KINDS = [StorageType.SQLITE, StorageType.JSON]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MiB."""
    with mounted(tmp_path / "disk", 3) as disk:
        yield disk


async def running(storage: StorageInterface) -> Lease:
    run = (await storage.runs.create(new_run())).run
    await storage.leases.claim("me", "token", 1)
    return Lease(run.id, "token")


def code(caught: pytest.ExceptionInfo[StorageUnavailableError]) -> str:
    return caught.value.problems[0].code


@needs_root
@pytest.mark.parametrize("kind", KINDS)
async def test_a_full_disk_is_said_and_writing_goes_on_when_there_is_room_again(
    small_disk: Path, kind: StorageType
) -> None:
    settings = Settings(data_dir=small_disk, storage_type=kind)
    storage = await open_storage(settings)
    lease = await running(storage)
    filler = small_disk / "filler"
    free = shutil.disk_usage(small_disk).free
    filler.write_bytes(b"x" * (free - 300_000))
    written = Written(0, 0, 0)

    async def fill() -> None:
        nonlocal written
        for second in range(3000):
            batch = Batch(second, (interval(second, endpoints=4),), (event(second + 1),), second, (sample(second),))
            written = await storage.series.append(lease, batch)

    with pytest.raises(StorageUnavailableError) as caught:
        await fill()
    assert code(caught) == "storage_full"
    assert "no space left" in str(caught.value)
    assert written.next_interval > 3
    seconds = [interval(second, endpoints=4) for second in range(written.next_interval)]
    kept = await storage.series.intervals(lease.run_id)
    assert kept[: len(seconds)] == seconds
    filler.unlink()
    after = await storage.series.written(lease.run_id)
    assert after.next_interval >= written.next_interval
    first = written.next_interval
    replay = tuple(interval(second, endpoints=4) for second in range(first, first + 5))
    events = tuple(event(number) for number in range(after.last_event + 1, after.last_event + 3))
    await storage.series.append(lease, Batch(first, replay, events))
    assert len(await storage.series.intervals(lease.run_id)) == first + 5
    await storage.close()


@needs_root
@pytest.mark.parametrize("kind", KINDS)
async def test_a_disk_that_became_read_only_is_said(small_disk: Path, kind: StorageType) -> None:
    settings = Settings(data_dir=small_disk, storage_type=kind)
    storage = await open_storage(settings)
    lease = await running(storage)
    await storage.close()
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True)  # noqa: ASYNC221 (a test may wait for its disk)

    async def write() -> None:
        again = await open_storage(settings)
        try:
            await again.series.append(lease, Batch(intervals=(interval(0),)))
        finally:
            await again.close()

    with pytest.raises(StorageUnavailableError) as caught:
        await write()
    assert code(caught) == "storage_read_only"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_data_directory_that_cannot_be_made_is_said(tmp_path: Path, kind: StorageType) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageUnavailableError) as caught:
        await open_storage(Settings(data_dir=tmp_path / "file" / "data", storage_type=kind))
    assert str(tmp_path / "file") in str(caught.value)


async def test_a_file_that_is_no_database_is_said_and_left_as_it_is(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.database_file.write_bytes(b"these are my holiday notes, please keep them" * 100)
    before = settings.database_file.read_bytes()
    with pytest.raises(StorageUnavailableError) as caught:
        await open_storage(settings)
    assert code(caught) == "storage_damaged"
    assert settings.database_file.read_bytes() == before


async def test_another_program_that_holds_the_database_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atm.storage.sql.database.BUSY_SECONDS", 0.2)
    settings = Settings(data_dir=tmp_path)
    storage = await open_storage(settings)
    other = sqlite3.connect(settings.database_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailableError) as caught:
        await storage.runs.create(new_run())
    assert code(caught) == "storage_busy"
    # Readers do not wait for it.
    assert (await storage.runs.page(RunQuery())).total == 0
    other.execute("ROLLBACK")
    other.close()
    await storage.runs.create(new_run())
    await storage.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.json", "{"),
        ("run.json", "[]"),
        ("run.json", '{"summary": {"id": 5}}'),
        ("spec.json", ""),
        ("spec.json", "3"),
    ],
)
async def test_a_corrupt_document_is_named(tmp_path: Path, name: str, text: str) -> None:
    storage = await JsonStorage.open(tmp_path)
    await storage.runs.create(new_run("broken"))
    path = tmp_path / "runs" / "broken" / name
    path.write_text(text)
    with pytest.raises(CorruptDataError) as caught:
        await storage.runs.get("broken")
    assert caught.value.problems[0].place == str(path)
    # Moved away, as the hint says, it is in nobody's way.
    path.parent.rename(tmp_path / "away")
    await storage.runs.create(new_run("fine"))
    assert [run.id for run in (await storage.runs.page(RunQuery())).runs] == ["fine"]


async def test_a_corrupt_line_is_named_and_a_torn_last_one_is_not_there(tmp_path: Path) -> None:
    storage = await JsonStorage.open(tmp_path)
    lease = await running(storage)
    await storage.series.append(lease, Batch(intervals=tuple(interval(second) for second in range(30))))
    path = tmp_path / "runs" / lease.run_id / "rows-1.jsonl"
    whole = path.read_bytes()
    generator = random.Random(7)
    for _ in range(20):
        cut = generator.randrange(len(whole))
        path.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n")
        (tmp_path / "runs" / lease.run_id / "rows-10.jsonl").unlink(missing_ok=True)
        assert len(await storage.series.intervals(lease.run_id)) == complete
        assert (await storage.series.written(lease.run_id)).next_interval == complete
        # A new process replays its spool and has everything again.
        again = await JsonStorage.open(tmp_path)
        await again.series.append(lease, Batch(0, tuple(interval(second) for second in range(30))))
        assert path.read_bytes() == whole
        assert [each.start for each in await again.series.points(lease.run_id, 10)] == [0, 10, 20]
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], lines[4][:-20] + b"\n", *lines[5:]]))
    with pytest.raises(CorruptDataError) as caught:
        await storage.series.intervals(lease.run_id)
    assert caught.value.problems[0].place == f"{path}:5"


async def test_json_files_of_a_newer_format_are_refused(tmp_path: Path) -> None:
    await JsonStorage.open(tmp_path)
    (tmp_path / "format.json").write_text('{"format": "2"}')
    with pytest.raises(SchemaError, match="format 2; this version reads 1"):
        await JsonStorage.open(tmp_path)


async def test_a_row_that_was_tampered_with_is_named(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    storage = await open_storage(settings)
    lease = await running(storage)
    await storage.series.append(lease, Batch(intervals=(interval(0),)))
    with sqlite3.connect(settings.database_file) as connection:
        connection.execute("UPDATE run_intervals SET histograms = X'00112233'")
        connection.execute("UPDATE runs SET spec_json = '{'")
    for call in (storage.series.intervals(lease.run_id), storage.runs.get(lease.run_id)):
        with pytest.raises(CorruptDataError, match=lease.run_id):
            await call
    await storage.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from atm.config import Settings
from atm.storage import Batch, open_storage
from atm.storage.records import Lease
from tests.storage.builders import event, interval

async def write() -> None:
    storage = await open_storage(Settings.model_validate_json(sys.argv[1]))
    lease = Lease(sys.argv[2], "token")
    written = await storage.series.written(lease.run_id)
    last = written.last_event
    for second in range(written.next_interval, 100_000):
        # What was killed may have stored the second and not its event.
        events = tuple(event(number) for number in range(last + 1, second + 2))
        last = max(last, second + 1)
        await storage.series.append(lease, Batch(second, (interval(second),), events))
        print(second, flush=True)

asyncio.run(write())
"""


@pytest.fixture(params=["sqlite", "postgresql", "json"])
def values(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Settings that another process can be given too."""
    found = {"data_dir": str(tmp_path), "storage_type": "json" if request.param == "json" else "sqlite"}
    if request.param == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        server.sql("DELETE FROM runs", "atm")
        found["database_url"] = server.url("atm")
    return found


async def test_what_was_acknowledged_survives_kill_9(values: dict[str, str]) -> None:
    settings = Settings.model_validate(values)
    storage = await open_storage(settings)
    lease = await running(storage)
    generator = random.Random(11)
    acknowledged = -1
    for _ in range(3):
        acknowledged = max(acknowledged, _write_and_kill(values, lease.run_id, generator.randrange(3, 25)))
        kept = await storage.series.intervals(lease.run_id)
        assert [each.second for each in kept] == list(range(len(kept)))
        # One more may have been stored and not yet acknowledged.
        assert len(kept) in (acknowledged + 1, acknowledged + 2)
        window = await storage.series.window(lease.run_id, 0, None, [0])
        truth = EndpointInterval(0)
        for each in kept:
            truth.merge(interval(each.second).endpoints[0])
        assert window.endpoints[0, False] == truth
    await storage.close()


def _write_and_kill(values: dict[str, str], run_id: str, after: int) -> int:
    """Start a writer, kill it in the middle of its writing, and give the last second that it had acknowledged."""
    command = [sys.executable, "-c", WRITER, json.dumps(values), run_id]
    last = -1
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(after):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout:
            if line.endswith("\n"):
                last = int(line)
    return last


async def test_a_database_server_that_died_is_said_and_used_again_when_it_is_back(tmp_path: Path) -> None:
    if binaries() is None:
        pytest.skip(MISSING)
    server = PostgresqlServer()
    try:
        server.sql("CREATE DATABASE atm")
        settings = Settings(data_dir=tmp_path, database_url=SecretStr(server.url("atm")))
        await upgrade_storage(settings)
        storage = await open_storage(settings)
        lease = await running(storage)
        await storage.series.append(lease, Batch(intervals=(interval(0),)))
        server.kill()
        for call in (storage.series.append(lease, Batch(1, (interval(1),))), storage.runs.get(lease.run_id)):
            with pytest.raises(StorageUnavailableError) as caught:
                await call
            assert "is the server running" in str(caught.value)
        server.start()
        written = await storage.series.append(lease, Batch(0, (interval(0), interval(1))))
        assert written.next_interval == 2
        assert [each.second for each in await storage.series.intervals(lease.run_id)] == [0, 1]
        assert await storage.leases.expire((await storage.leases.states())[0], "x", at(1))
        await storage.close()
    finally:
        server.stop()
