"""Records on disk have versions: older files are read, newer ones are refused by name."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from atm.config import Settings, StorageType
from atm.errors import BundleError, SchemaError
from atm.storage import StorageInterface, open_storage
from atm.storage.bundle import export_run, read_bundle
from atm.storage.disk_format import DiskFormat, NewerFormatError
from atm.storage.records import Lease, RunSummary
from tests.storage.builders import completed, new_run

pytestmark = pytest.mark.anyio

FIRST_FIELDS = {
    *("id", "name", "url", "method", "total_requests", "concurrency", "status", "stop_reason", "engine", "source"),
    *("created_at", "started_at", "completed_at", "passed", "measurement", "requests_completed", "error_message"),
    *("tags", "latency_p95_ms", "requests_per_second", "error_rate"),
}
"""What every file has that holds a `RunSummary`, since the first one."""


@dataclass(frozen=True, slots=True)
class Pot:
    """A record that has changed twice: `content` was called `tea`, and `lid` came later."""

    content: str
    lid: bool = True
    sealed: bytes | None = None


def _renamed(document: dict[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in document.items() if name != "tea"}, "content": document["tea"]}


POT = DiskFormat(Pot, [_renamed])


def test_a_record_is_written_with_its_version_and_read_again() -> None:
    document = POT.document(Pot("green", False, b"\x00\xff"))
    assert document == {"format": 2, "content": "green", "lid": False, "sealed": "AP8="}
    assert POT.record(json.loads(POT.text(Pot("green", False, b"\x00\xff")))) == Pot("green", False, b"\x00\xff")


def test_older_records_are_brought_up_to_date() -> None:
    assert POT.record({"tea": "black"}) == Pot("black")
    assert POT.record({"format": 1, "tea": "black", "lid": False}) == Pot("black", False)


def test_a_field_of_the_same_version_that_is_not_known_here_is_ignored() -> None:
    assert POT.record({"format": 2, "content": "green", "handle": "left"}) == Pot("green")


@pytest.mark.parametrize(
    "document", [[], None, {"format": "2"}, {"format": 0}, {"format": 2}, {"format": 2, "content": 7}]
)
def test_what_is_no_record_is_an_error(document: Any) -> None:
    with pytest.raises(ValueError):
        POT.record(document)


def test_a_newer_version_is_named() -> None:
    with pytest.raises(NewerFormatError, match="Pot has format 3 of a newer version; this version reads up to 2"):
        POT.record({"format": 3, "content": "green"})


def test_fields_that_came_later_have_a_default() -> None:
    """Without one, no file and no bundle that was written before could be read."""
    later = [field for field in fields(RunSummary) if field.name not in FIRST_FIELDS]
    assert not [field.name for field in later if field.default is MISSING and field.default_factory is MISSING]


async def ended_run(storage: StorageInterface) -> str:
    run = (await storage.runs.create(new_run())).run
    await storage.leases.claim("me", "token", 1)
    await storage.leases.finish(Lease(run.id, "token"), completed(run.id))
    return run.id


@pytest.fixture
async def storage(tmp_path: Path) -> StorageInterface:
    return await open_storage(Settings(data_dir=tmp_path, storage_type=StorageType.JSON))


async def test_a_file_that_a_newer_version_wrote_is_refused_with_its_place(
    storage: StorageInterface, tmp_path: Path
) -> None:
    run_id = await ended_run(storage)
    path = tmp_path / "json" / "runs" / run_id / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(SchemaError) as caught:
        await storage.runs.get(run_id)
    (problem,) = caught.value.problems
    assert (problem.code, problem.place) == ("schema_newer", str(path))
    assert "format 99 of a newer version" in problem.what


async def test_a_bundle_of_a_newer_version_is_refused(storage: StorageInterface) -> None:
    file = io.BytesIO()
    await export_run(storage, await ended_run(storage), file)
    lines = [json.loads(line) for line in gzip.decompress(file.getvalue()).splitlines()]
    lines[1]["run"]["summary"]["format"] = 99
    newer = io.BytesIO(gzip.compress(b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"))
    with pytest.raises(BundleError, match="format 99 of a newer version"):
        read_bundle(newer, "run.atm.gz")


async def test_a_stored_result_with_fields_of_a_later_version_is_read(
    storage: StorageInterface, tmp_path: Path
) -> None:
    run_id = await ended_run(storage)
    before = await storage.runs.result(run_id)
    path = tmp_path / "json" / "runs" / run_id / "result.json"
    document = json.loads(path.read_text())
    document["metrics"]["later"] = 1
    document["rest"]["thresholds"][0]["later"] = 1
    path.write_text(json.dumps(document))
    assert await storage.runs.result(run_id) == before
