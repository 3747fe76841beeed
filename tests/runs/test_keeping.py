"""A run of this process in the history."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from atm.config import Settings
from atm.engine.executor import Execution
from atm.plan.compile import compile_plan
from atm.runs.keeping import HistoryKeeper
from atm.storage import open_storage
from tests.storage.builders import interval, result


async def kept(settings: Settings, seconds: int) -> tuple[str, int]:
    """Keep a run of so many seconds; its id, and the most memory in bytes that saving it took."""
    compiled = compile_plan({"name": "long", "url": "http://127.0.0.1:1/", "total_requests": 10}, {})
    execution = Execution(compiled)
    keeper = HistoryKeeper()
    try:
        keeper.started(execution)
        for second in range(seconds):
            keeper.second(interval(second, 1, requests=60))
        tracemalloc.start()
        try:
            await keeper.save(result(execution.run_id), compiled, settings)
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
    _, short = await kept(settings, 40)
    run_id, long = await kept(settings, 200)
    assert long < short * 2
    storage = await open_storage(settings)
    try:
        assert len(await storage.series.intervals(run_id)) == 200
    finally:
        await storage.close()


def test_the_spool_lies_where_temporary_files_do_and_is_nobody_elses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    keeper = HistoryKeeper()
    [spool] = tmp_path.iterdir()
    assert spool.stat().st_mode & 0o777 == 0o600
    keeper.close()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    HistoryKeeper().close()
    assert not list(tmp_path.iterdir())
