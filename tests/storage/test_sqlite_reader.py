"""The reader of the fast commands against the store that writes the file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from atm.config import Settings
from atm.models.outcome import RunStatus
from atm.runs.local_history import run_of
from atm.runs.views import run_view
from atm.storage import open_storage
from atm.storage.records import RunQuery
from atm.storage.sqlite_reader import SqliteReader, StoredRun
from tests.storage.builders import at, new_run, result

pytestmark = pytest.mark.anyio


async def written(tmp_path: Path, runs: int) -> Settings:
    """A storage with some pending runs, and one that has ended and has a result, the newest."""
    settings = Settings(data_dir=tmp_path)
    storage = await open_storage(settings)
    for number in range(runs):
        await storage.runs.create(new_run(f"aa{number:02d}", tags=("night", "é"), created_at=at(number)))
    line = {
        "id": "bb00",
        "name": "Ended",
        "url": "http://a.example/",
        "method": "POST",
        "created_at": at(100).isoformat(),
        "spec": {"name": "Ended", "endpoints": [{"url": "http://a.example/"}]},
        "total_requests": 10,
        "concurrency": 2,
        "engine": "native",
    }
    ended = result("bb00")
    await storage.runs.restore(run_of(line, RunStatus.COMPLETED, ended, "", at(101)), ended, iter(()))
    await storage.close()
    return settings


def reader_of(settings: Settings) -> SqliteReader:
    reader = SqliteReader.open(settings.database_file)
    assert reader is not None
    return reader


async def test_it_reads_what_the_store_reads(tmp_path: Path) -> None:
    settings = await written(tmp_path, 5)
    reader, storage = reader_of(settings), await open_storage(settings)
    try:
        runs, total = reader.newest(3)
        page = await storage.runs.page(RunQuery(limit=3))
        assert [run.id for run in runs] == [run.id for run in page.runs] == ["bb00", "aa04", "aa03"]
        assert total == page.total == 6
        for run in runs:
            view = run_view(await storage.runs.get(run.id))
            for name in StoredRun.__dataclass_fields__:
                if name not in ("spec", "tags", "failure_reasons"):
                    assert getattr(run, name) == getattr(view, name), name
            assert (list(run.tags), list(run.failure_reasons)) == (view.tags, view.failure_reasons)
            assert (run.outcome, run.spec) == (view.outcome, view.written_spec)
        for prefix in ("aa", "aa0", "bb00", "z", "aa04x"):
            assert [run.id for run in reader.beginning_with(prefix, 9)] == list(await storage.runs.find(prefix, 9))
        assert reader.result("bb00") == await storage.runs.result("bb00")
        assert reader.result("aa01") is reader.result("nothing") is None
    finally:
        reader.close()
        await storage.close()


async def test_it_writes_nothing(tmp_path: Path) -> None:
    reader = reader_of(await written(tmp_path, 1))
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM runs")
    reader.close()


async def test_a_file_that_it_may_not_or_cannot_read_is_left_to_the_store(tmp_path: Path) -> None:
    assert SqliteReader.open(tmp_path / "missing.db") is None
    (tmp_path / "other.db").write_bytes(b"not a database" * 100)
    assert SqliteReader.open(tmp_path / "other.db") is None
    file = (await written(tmp_path, 1)).database_file
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    assert SqliteReader.open(file) is None
