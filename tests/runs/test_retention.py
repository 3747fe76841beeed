"""A server removes by itself what its settings do not keep."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from atm.config import Settings
from atm.runs.retention import background_retention
from atm.storage import open_storage
from atm.storage.records import Lease, RunQuery
from atm.testing import ManualClock
from tests.storage.builders import at, completed, new_run

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("settings", "left"), [({}, 3), ({"retention_count": 1}, 1), ({"retention_runs": "1d"}, 0)])
async def test_a_server_prunes_by_its_settings(tmp_path: Path, settings: dict[str, object], left: int) -> None:
    given = Settings.model_validate({"data_dir": tmp_path, **settings})
    storage = await open_storage(given)
    for number in range(3):
        await storage.runs.create(new_run(f"run{number}"))
        await storage.leases.claim("here", "token", 1)
        await storage.leases.finish(Lease(f"run{number}", "token"), completed(f"run{number}"))

    async with background_retention(storage, given, ManualClock(now=at(0) + timedelta(days=400))):
        async with asyncio.timeout(300):
            while len((await storage.runs.page(RunQuery())).runs) != left:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    await storage.close()
