"""Four processes on one storage, killed at random: every due time is fired once, with one run."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from atm.config import Settings, StorageType
from atm.models.schedule import Overlap
from atm.storage import StorageInterface, open_storage, upgrade_storage
from atm.storage.records import RunQuery
from atm.storage.schedules import Schedule
from tests.contract.postgresql import PostgresqlServer
from tests.examples import PROFILE

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PROCESSES = 4
SCHEDULES = 10
DUE_TIMES = 100 if PROFILE == "prove" else 8
KILLS = 60 if PROFILE == "prove" else 4
SPEED = 20.0
"""Faster than they can fire, so that a firing is always in progress when one is killed."""
GUARD_SECONDS = 900 if PROFILE == "prove" else 250


@pytest.fixture(params=["sqlite", "postgresql", "json"])
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings, as another process can be given them."""
    if request.param == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        server.sql("DELETE FROM runs; DELETE FROM schedules", "atm")
        return {"data_dir": str(tmp_path), "database_url": server.url("atm")}
    return {"data_dir": str(tmp_path), "storage_type": request.param}


class Agents:
    """Number of processes, with a new one for each that is killed."""

    def __init__(self, settings: dict[str, Any]) -> None:
        began_ns = time.monotonic_ns()
        given = {"settings": settings, "began": BEGAN.isoformat(), "began_ns": began_ns, "speed": SPEED}
        command = [sys.executable, "-m", "tests.schedules.agent_process", json.dumps(given)]
        self._log = (Path(settings["data_dir"]) / "agents.log").open("ab")
        self._starter = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, start_new_session=True
        )
        self._processes = [self._started() for _ in range(PROCESSES)]

    def _started(self) -> int:
        assert self._starter.stdin is not None
        assert self._starter.stdout is not None
        self._starter.stdin.write(b"\n")
        self._starter.stdin.flush()
        line = self._starter.stdout.readline()
        assert line, Path(self._log.name).read_text()
        return int(line)

    def replace(self, index: int) -> None:
        """Raises ProcessLookupError for one that has died by itself."""
        os.kill(self._processes[index], signal.SIGKILL)
        self._processes[index] = self._started()

    def end(self) -> None:
        os.killpg(self._starter.pid, signal.SIGKILL)
        with self._starter:
            self._log.close()


@contextmanager
def agents(settings: dict[str, Any]) -> Iterator[Agents]:
    running = Agents(settings)
    try:
        yield running
    finally:
        running.end()


async def fired(storage: StorageInterface) -> int:
    return sum(each.run_count for each in await storage.schedules.all())


def schedules() -> list[Schedule]:
    first = BEGAN + timedelta(seconds=1)
    return [
        Schedule(
            id=f"schedule-{number}",
            name=f"schedule {number}",
            trigger={"type": "interval", "seconds": 1},
            created_at=BEGAN,
            updated_at=BEGAN,
            spec={"name": f"shop {number}", "url": "http://127.0.0.1:9/"},
            overlap=Overlap.ALLOW,
            misfire_grace_seconds=86_400,
            max_runs=DUE_TIMES,
            next_due=first,
            next_at=first,
        )
        for number in range(SCHEDULES)
    ]


@pytest.mark.timeout(GUARD_SECONDS + 30)
async def test_every_due_time_is_fired_once_whoever_is_killed(installed: dict[str, Any]) -> None:
    settings = Settings(
        data_dir=Path(installed["data_dir"]),
        storage_type=StorageType(installed.get("storage_type", "sqlite")),
        database_url=SecretStr(installed["database_url"]) if "database_url" in installed else None,
    )
    await upgrade_storage(settings)
    storage = await open_storage(settings)
    try:
        await _fire_all(storage, installed)
    finally:
        await storage.close()


async def _fire_all(storage: StorageInterface, installed: dict[str, Any]) -> None:
    for schedule in schedules():
        await storage.schedules.add(schedule)
    chance = random.Random()
    total = SCHEDULES * DUE_TIMES
    moments = [total * (number + 1) // (KILLS + 1) for number in range(KILLS)]
    deadline = time.monotonic() + GUARD_SECONDS
    with agents(installed) as running:
        while (done := await fired(storage)) < total:
            assert time.monotonic() < deadline, f"{done} of {total} fired"
            if moments and done >= moments[0]:
                moments.pop(0)
                await asyncio.sleep(chance.uniform(0, 0.02))
                running.replace(chance.randrange(PROCESSES))
            await asyncio.sleep(0.02)
    grid = [BEGAN + timedelta(seconds=number + 1) for number in range(DUE_TIMES)]
    with_run: list[str | None] = []
    owners: Counter[str] = Counter()
    for schedule in await storage.schedules.all():
        firings = await storage.schedules.firings(schedule.id, limit=total)
        assert [each.due for each in reversed(firings)] == grid
        assert [each.missed for each in firings] == [0] * DUE_TIMES
        assert (schedule.run_count, schedule.next_due) == (DUE_TIMES, None)
        with_run += [each.run_id for each in firings]
        owners.update(each.claimed_by for each in firings)
    assert len(set(with_run)) == len(with_run) == total
    assert None not in with_run
    assert (await storage.runs.page(RunQuery(limit=1))).total == total
    assert not moments
    assert len(owners) > 1
