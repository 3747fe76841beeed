"""A run that is exported and imported is the same run, from any storage to any other."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from atm.config import Settings, StorageType
from atm.errors import BundleError, ConflictError
from atm.models.outcome import RunStatus
from atm.storage import Batch, StorageInterface, open_storage
from atm.storage.bundle import bundle_name, export_run, import_run, read_bundle
from atm.storage.records import Finish, Lease, RunSource
from tests.storage.builders import at, completed, event, interval, iteration, new_run, sample

pytestmark = pytest.mark.anyio

SECONDS = 133


async def finished(storage: StorageInterface, finish: Finish | None = None) -> str:
    """A run with seconds, one of them missing, that ended."""
    run = (await storage.runs.create(new_run(sealed=b"credentials", tags=("nightly",), notes="why"))).run
    await storage.leases.claim("me", "token", 1)
    lease = Lease(run.id, "token")
    seconds = tuple(interval(second) for second in (*range(100), *range(101, SECONDS), 900))
    await storage.series.append(lease, Batch(0, seconds, (event(1), event(2)), 0, (iteration(8), sample(7))))
    await storage.leases.finish(lease, finish or completed(run.id))
    return run.id


async def exported(storage: StorageInterface, run_id: str) -> bytes:
    file = io.BytesIO()
    await export_run(storage, run_id, file)
    return file.getvalue()


async def test_a_bundle_brings_everything_but_the_credentials(storage: StorageInterface, tmp_path: Path) -> None:
    run_id = await finished(storage)
    bundle = await exported(storage, run_id)
    before = await storage.runs.get(run_id)
    other = await open_storage(Settings(data_dir=tmp_path / "other", storage_type=StorageType.JSON))
    imported = await import_run(other, io.BytesIO(bundle))
    assert (imported.summary.source, imported.sealed, before.sealed) == (RunSource.IMPORT, None, b"credentials")
    assert b"credentials" not in gzip.decompress(bundle)
    for name in ("id", "name", "status", "created_at", "completed_at", "passed", "tags", "latency_p95_ms"):
        assert getattr(imported.summary, name) == getattr(before.summary, name)
    assert (imported.notes, imported.spec) == (before.notes, before.spec)
    assert (imported.metrics, imported.failure_reasons) == (before.metrics, before.failure_reasons)
    assert await other.runs.result(run_id) == await storage.runs.result(run_id)
    assert await other.series.intervals(run_id) == await storage.series.intervals(run_id)
    assert await other.series.points(run_id, 10) == await storage.series.points(run_id, 10)
    assert await other.series.events(run_id) == await storage.series.events(run_id)
    assert await exported(other, run_id) != b""
    await other.close()


async def test_a_bundle_goes_back_where_it_came_from_under_another_id_only(storage: StorageInterface) -> None:
    run_id = await finished(storage)
    bundle = await exported(storage, run_id)
    with pytest.raises(ConflictError) as caught:
        await import_run(storage, io.BytesIO(bundle))
    assert caught.value.problems[0].code == "run_exists"
    copy = await import_run(storage, io.BytesIO(bundle), new_id="copy")
    assert copy.id == "copy"
    kept = await storage.runs.result("copy")
    assert kept is not None
    assert kept.run.id == "copy"
    assert bundle_name(copy.summary.name, copy.id) == "shop-copy.atm.gz"


async def test_a_run_that_could_not_measure_keeps_its_samples(storage: StorageInterface) -> None:
    run_id = await finished(storage, Finish(RunStatus.FAILED, at(9), error_message="the engine died"))
    bundle = await exported(storage, run_id)
    await storage.runs.delete(run_id)
    imported = await import_run(storage, io.BytesIO(bundle))
    assert imported.summary.error_message == "the engine died"
    assert await storage.runs.result(run_id) is None
    assert await storage.series.samples(run_id) == [sample(7)]
    assert await storage.series.sampled_iterations(run_id) == [iteration(8)]


async def test_a_run_that_has_not_ended_is_not_exported(storage: StorageInterface) -> None:
    run = (await storage.runs.create(new_run())).run
    with pytest.raises(ConflictError) as caught:
        await exported(storage, run.id)
    assert caught.value.problems[0].code == "run_not_finished"


@pytest.fixture(scope="module")
async def lines(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The lines of a good bundle."""
    made = Settings(data_dir=tmp_path_factory.mktemp("json"), storage_type=StorageType.JSON)
    storage = await open_storage(made)
    bundle = await exported(storage, await finished(storage))
    return [json.loads(line) for line in gzip.decompress(bundle).splitlines()]


def packed(lines: list[Any]) -> io.BytesIO:
    return io.BytesIO(gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines)))


def broken(file: io.BytesIO) -> str:
    with pytest.raises(BundleError) as caught:
        read_whole(file, "run.atm.gz")
    return str(caught.value)


def read_whole(file: io.BytesIO, place: str = "") -> None:
    *_, history = read_bundle(file, place)
    for _ in history:
        pass


async def test_a_bundle_that_was_cut_off_is_refused(lines: list[Any]) -> None:
    whole = packed(lines).getvalue()
    read_whole(io.BytesIO(whole))
    for length in (0, 1, 20, len(whole) // 2, len(whole) - 1):
        assert "bundle" in broken(io.BytesIO(whole[:length]))
    assert "incomplete" in broken(packed(lines[:-1]))
    assert "incomplete" in broken(packed([line for line in lines if "event" not in line]))


async def test_every_line_is_checked_and_named(lines: list[Any]) -> None:
    def changed(number: int, line: Any) -> io.BytesIO:
        return packed([*lines[: number - 1], line, *lines[number:]])

    run = lines[1]["run"]
    assert "not the bundle" in broken(io.BytesIO(b"hello"))
    assert "not the bundle" in broken(changed(1, {"format": "zip"}))
    assert "version 2" in broken(changed(1, {"format": "atm-run", "version": 2}))
    running = {**run, "summary": {**run["summary"], "status": "running"}}
    assert "has not ended" in broken(changed(2, {"run": running}))
    away = {**run, "summary": {**run["summary"], "id": "../../etc/cron.d/x"}}
    assert "is not a valid id" in broken(changed(2, {"run": away}))
    assert "run.atm.gz:2" in broken(changed(2, {"run": {**run, "spec": []}}))
    assert "run.atm.gz:3" in broken(changed(3, {"result": {"metrics": {}}}))
    assert "another run" in broken(changed(3, {"result": {**lines[2]["result"], "run": _other(lines)}}))
    assert "run.atm.gz:4" in broken(changed(4, {"interval": {"second": "x"}}))
    assert "run.atm.gz:5" in broken(changed(5, lines[3]))
    assert "unknown kind" in broken(changed(4, {"surprise": 1}))
    assert "unexpected line" in broken(packed([*lines, lines[3]]))


def _other(lines: list[Any]) -> Any:
    return {**lines[2]["result"]["run"], "id": "other"}


async def test_a_small_file_that_unpacks_to_a_mountain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atm.storage.bundle.MAXIMUM_BYTES", 1_000_000)
    bomb = io.BytesIO(gzip.compress(b'{"format":"atm-run","version":1}\n' + b" " * 50_000_000))
    assert "decompresses to more than" in broken(bomb)
