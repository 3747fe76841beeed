"""Runs while the disk is full, and while the clock of the machine jumps: a clear word, and nothing lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from atm.config import Settings, StorageType
from atm.errors import StorageUnavailableError
from atm.models.outcome import RunStatus
from atm.runs.service import RunService
from atm.runs.supervisor import Supervisor
from atm.storage import open_storage
from atm.storage.seal import Sealer
from atm.testing import TargetServer
from tests.disks import fill, mounted, needs_root
from tests.runs.installation import Installation, spec

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

RATE, SECONDS = 50, 4


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def target() -> Iterator[TargetServer]:
    with TargetServer() as server:
        yield server


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", 12) as found:
        yield found


@needs_root
@pytest.mark.parametrize("kind", list(StorageType))
async def test_a_run_waits_for_its_disk_and_loses_nothing(disk: Path, target: TargetServer, kind: StorageType) -> None:
    target.settled_stats()
    target.reset()
    settings = Settings(data_dir=disk, storage_type=kind)
    storage = await open_storage(settings)
    supervisor = Supervisor(storage, settings, Sealer(settings))
    service = RunService(storage, settings, Sealer(settings), on_pending=supervisor.notify)
    supervisor.start()
    here = Installation(settings, storage, service, supervisor)
    created = await service.create(spec(target, requests_per_second=RATE, duration=SECONDS))
    await here.sending(created.run.id)
    filler = fill(disk)
    # Nothing can be written, and the load runs to its end.
    async with asyncio.timeout(240):
        while target.stats().received < RATE * SECONDS:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    with pytest.raises(StorageUnavailableError):
        await service.create(spec(target, total_requests=1, name="no room"))
    filler.unlink()
    run = await here.until(created.run.id, lambda run: run.status is not RunStatus.RUNNING, seconds=120)
    assert (run.status, run.summary.error_message) == (RunStatus.COMPLETED, None)
    seconds = await storage.series.intervals(run.id)
    assert [each.second for each in seconds] == list(range(len(seconds)))
    assert sum(part.ok for each in seconds for part in each.endpoints) == RATE * SECONDS
    await supervisor.stop(cancel_runs=True)
    await storage.close()


class JumpingClock:
    """A machine whose wall clock jumps about by a year; its monotonic clock is not affected."""

    def __init__(self) -> None:
        self._calls = count()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=365 * (-1) ** next(self._calls))


async def test_jumps_of_the_clock_end_no_run_and_lose_none(tmp_path: Path, target: TargetServer) -> None:
    settings = Settings(data_dir=tmp_path)
    storage = await open_storage(settings)
    clock = JumpingClock()
    supervisor = Supervisor(storage, settings, Sealer(settings), clock=clock, expiry_seconds=20)
    service = RunService(storage, settings, Sealer(settings), on_pending=supervisor.notify, clock=clock)
    supervisor.start()
    here = Installation(settings, storage, service, supervisor)
    runs = [await service.create(spec(target, requests_per_second=RATE, duration=1)) for _ in range(2)]
    for each in runs:
        run = await here.ended(each.run.id)
        assert (run.status, run.summary.requests_completed) == (RunStatus.COMPLETED, RATE)
        result = await storage.runs.result(run.id)
        assert result is not None
        # A jump is a year; what a busy machine adds is seconds.
        assert 0.9 < result.metrics.duration_seconds < 10
    await supervisor.stop()
    await storage.close()
