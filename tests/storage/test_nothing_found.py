"""An idle server asks its database only when something was written to it, by itself or by another process."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from atm.config import Settings
from atm.storage import open_storage
from atm.storage.sql import nothing_found
from atm.storage.sql.database import Database
from atm.storage.sql.storage import SqlStorage
from tests.contract.test_storage_schedules import schedule
from tests.storage.builders import new_run

pytestmark = pytest.mark.anyio

LONG_AGO = 1_000


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[SqlStorage]:
    opened = await open_storage(Settings(data_dir=tmp_path))
    assert isinstance(opened, SqlStorage)
    yield opened
    await opened.close()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Has an entry for each transaction that reads."""
    begun: list[None] = []
    read = Database.read

    @asynccontextmanager
    async def counted(self: Database) -> AsyncIterator[Any]:
        begun.append(None)
        async with read(self) as connection:
            yield connection

    monkeypatch.setattr(Database, "read", counted)
    return begun


def settle(data_dir: Path) -> None:
    """Let the last write be a while ago."""
    for path in data_dir.glob("atm.db*"):
        os.utime(path, (time.time() - LONG_AGO, time.time() - LONG_AGO))


async def ask(storage: SqlStorage, now: datetime) -> list[object]:
    return [
        await storage.leases.claim("server", "token", 1),
        *await storage.leases.states(),
        *await storage.schedules.due(now),
        *await storage.schedules.queued(),
        *await storage.schedules.started(),
    ]


async def test_a_file_that_nobody_writes_to_is_asked_once(
    storage: SqlStorage, tmp_path: Path, reads: list[None]
) -> None:
    now = datetime.now(UTC)
    settle(tmp_path)
    assert [thing for thing in await ask(storage, now) if thing] == []
    assert len(reads) == 5
    assert [thing for thing in await ask(storage, now) if thing] == []
    assert len(reads) == 5


async def test_what_another_process_writes_is_found_at_once(storage: SqlStorage, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    settle(tmp_path)
    await ask(storage, now)
    other = await open_storage(Settings(data_dir=tmp_path))
    try:
        await other.runs.create(new_run("run1"))
        await other.schedules.add(schedule(next_at=now, next_due=now))
    finally:
        await other.close()
    claimed = await storage.leases.claim("server", "token", 1)
    assert claimed is not None
    assert claimed.id == "run1"
    assert [state.run_id for state in await storage.leases.states()] == ["run1"]
    assert [due.name for due in await storage.schedules.due(now)] == ["nightly"]


async def test_a_file_that_was_written_to_just_now_is_asked_again(
    storage: SqlStorage, reads: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A transaction may have been written that is not visible yet.
    monkeypatch.setattr(nothing_found, "SETTLED_SECONDS", LONG_AGO)
    for _ in range(2):
        assert await storage.leases.claim("server", "token", 1) is None
    assert len(reads) == 2


async def test_a_schedule_becomes_due_while_nobody_writes(
    storage: SqlStorage, tmp_path: Path, reads: list[None]
) -> None:
    now = datetime.now(UTC)
    later = now + timedelta(seconds=30)
    await storage.schedules.add(schedule(next_at=later, next_due=later))
    settle(tmp_path)
    assert await storage.schedules.due(now) == ()
    before = len(reads)
    assert await storage.schedules.due(later - timedelta(seconds=1)) == ()
    assert len(reads) == before
    assert [due.name for due in await storage.schedules.due(later)] == ["nightly"]


async def test_the_query_is_made_again_after_a_while(
    storage: SqlStorage, tmp_path: Path, reads: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nothing_found, "LONGEST_SECONDS", 0.0)
    settle(tmp_path)
    for _ in range(2):
        assert await storage.leases.claim("server", "token", 1) is None
    assert len(reads) == 2
