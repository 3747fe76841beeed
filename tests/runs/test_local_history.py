"""A run of this process in the history."""

from __future__ import annotations

import fcntl
import os
import tracemalloc
from pathlib import Path

import pytest

from atm.cli.history.this_machine import MachineHistory
from atm.config import Settings
from atm.engine.executor import Execution
from atm.errors import CorruptDataError
from atm.plan.compile import compile_plan
from atm.runs.local_history import LocalHistory
from atm.runs.local_recovery import KILLED, recover_local_runs
from atm.storage import open_storage
from atm.storage.records import RunQuery
from tests.storage.builders import interval, result


async def kept(settings: Settings, seconds: int) -> tuple[str, int]:
    """Store a run of this number of seconds; return its id and the peak memory in bytes of saving it."""
    compiled = compile_plan({"name": "long", "url": "http://127.0.0.1:1/", "total_requests": 10}, {})
    execution = Execution(compiled)
    keeper = LocalHistory()
    try:
        keeper.started(execution)
        for second in range(seconds):
            keeper.second(interval(second, 1, requests=60))
        tracemalloc.start()
        try:
            await keeper.save(result(execution.run_id), settings)
            return execution.run_id, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    finally:
        keeper.close()


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["sqlite", "json"])
async def test_saving_a_long_run_takes_no_more_memory_than_a_short_one(tmp_path: Path, kind: str) -> None:
    settings = Settings(data_dir=tmp_path, storage_type=kind)
    await kept(settings, 2)  # what is imported and made once
    _, short = await kept(settings, 10)
    run_id, long = await kept(settings, 50)
    assert long < short * 2
    storage = await open_storage(settings)
    try:
        assert len(await storage.series.intervals(run_id)) == 50
    finally:
        await storage.close()


def test_the_spool_lies_in_the_data_directory_and_is_for_this_user_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ATM_DATA_DIR", str(tmp_path / "data"))
    keeper = LocalHistory()
    [spool] = (tmp_path / "data" / "spool").iterdir()
    assert spool.stat().st_mode & 0o777 == 0o600
    assert spool.parent.stat().st_mode & 0o777 == 0o700
    keeper.close()
    assert not list(spool.parent.iterdir())


def test_without_a_data_directory_it_lies_where_temporary_files_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("ATM_DATA_DIR", str(tmp_path / "file" / "data"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    monkeypatch.setenv("TEMP", str(tmp_path / "temporary"))
    keeper = LocalHistory()
    assert len(list((tmp_path / "temporary").iterdir())) == 1
    keeper.close()
    assert not list((tmp_path / "temporary").iterdir())


async def recovered(settings: Settings) -> tuple[int, list[str]]:
    """How many runs a look into the spools stores, and how the stored ones ended."""
    storage = await open_storage(settings)
    try:
        stored = await recover_local_runs(storage, settings.data_dir / "spool")
        page = await storage.runs.page(RunQuery())
        return stored, [f"{run.status} {run.error_message or ''}".strip() for run in page.runs]
    finally:
        await storage.close()


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["sqlite", "json"])
async def test_a_spool_is_stored_once_its_process_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    monkeypatch.setenv("ATM_DATA_DIR", str(tmp_path))
    settings = Settings(data_dir=tmp_path, storage_type=kind)
    execution = Execution(compile_plan({"name": "killed", "url": "http://127.0.0.1:1/", "total_requests": 10}, {}))
    keeper = LocalHistory()
    keeper.started(execution)
    for second in range(3):
        keeper.second(interval(second, 1, requests=60))
    assert await recovered(settings) == (0, [])
    keeper._end()  # what the system does for a process that dies
    assert await recovered(settings) == (1, [f"failed {KILLED}"])
    assert not list((tmp_path / "spool").iterdir())
    storage = await open_storage(settings)
    try:
        found = await storage.runs.result(execution.run_id)
        assert found is not None
        assert found.metrics.total_requests == 183
        assert found.verdict.passed is None
        assert len(await storage.series.intervals(execution.run_id)) == 3
    finally:
        await storage.close()


@pytest.mark.anyio
async def test_a_run_that_was_killed_while_it_was_stored_is_stored_as_it_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ATM_DATA_DIR", str(tmp_path))
    settings = Settings(data_dir=tmp_path)
    execution = Execution(compile_plan({"name": "ended", "url": "http://127.0.0.1:1/", "total_requests": 10}, {}))
    keeper = LocalHistory()
    keeper.started(execution)
    keeper.second(interval(0, 1, requests=60))
    await keeper.save(result(execution.run_id), settings)  # and its process dies before `close`
    assert await recovered(settings) == (0, ["completed"])
    assert not list((tmp_path / "spool").iterdir())


@pytest.mark.anyio
async def test_spools_that_tell_nothing_hurt_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATM_DATA_DIR", str(tmp_path))
    spools = tmp_path / "spool"
    spools.mkdir()
    (spools / "local-new.jsonl").touch()
    (spools / "local-old.jsonl").write_text('{"kind": "ru')
    os.utime(spools / "local-old.jsonl", (1, 1))
    (spools / "local-bad.jsonl").write_text('{"kind": "run"}\n{"kind": "started"}\n')
    (spools / "local-worse.jsonl").write_text("[]\n")
    keeper = LocalHistory()
    keeper.started(Execution(compile_plan({"name": "early", "url": "http://127.0.0.1:1/", "total_requests": 1}, {})))
    keeper._end()
    assert await recovered(Settings(data_dir=tmp_path)) == (1, [f"failed {KILLED}"])
    left = sorted(path.name for path in spools.iterdir())
    assert left == ["local-bad.unreadable", "local-new.jsonl", "local-worse.unreadable"]


@pytest.mark.anyio
async def test_the_spool_of_a_run_in_progress_that_cannot_be_read_is_a_problem_with_its_place(tmp_path: Path) -> None:
    spool = tmp_path / "local-bad.jsonl"
    spool.write_text('{"kind": "run", "id": "r-1"}\n{"kind": "started"}\n')
    storage = await open_storage(Settings(data_dir=tmp_path / "data"))
    with spool.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        history = MachineHistory(storage, tmp_path)
        try:
            with pytest.raises(CorruptDataError) as caught:
                await history.run("r-1")
            assert caught.value.problems[0].place == str(spool)
            with pytest.raises(CorruptDataError):
                await anext(aiter(history.watch("r-1")))
        finally:
            await storage.close()
