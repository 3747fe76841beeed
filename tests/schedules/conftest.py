from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atm.config import Settings
from atm.runs.service import RunService
from atm.schedules.scheduler import Scheduler
from atm.schedules.service import ScheduleService
from atm.storage import StorageInterface, open_storage, upgrade_storage
from atm.storage.seal import Sealer
from tests.schedules.wall_clock import ToolServices, WallClock


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database that is up to date."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("sqlite"))
    asyncio.run(upgrade_storage(settings))
    return settings.database_file


@pytest.fixture
def settings(sqlite_template: Path, tmp_path: Path) -> Settings:
    made = Settings(data_dir=tmp_path)
    shutil.copy(sqlite_template, made.database_file)
    return made


@pytest.fixture
async def storage(settings: Settings) -> AsyncIterator[StorageInterface]:
    opened = await open_storage(settings)
    yield opened
    await opened.close()


@pytest.fixture
def desk(storage: StorageInterface, settings: Settings) -> ToolServices:
    clock = WallClock(datetime(2026, 1, 1, tzinfo=UTC))
    sealer = Sealer(settings)
    runs = RunService(storage, settings, sealer, environment={}, clock=clock)
    return ToolServices(
        storage,
        clock,
        ScheduleService(storage, sealer, runs, clock=clock),
        Scheduler(storage, sealer, runs, clock=clock, name="desk:1", seed=1),
    )
