from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from atm.config import Settings
from atm.runs.service import RunService
from atm.runs.supervisor import Supervisor
from atm.storage import StorageInterface, open_storage
from atm.storage.seal import Sealer
from atm.testing import TargetServer
from tests.runs.installation import Installation


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def running() -> Iterator[TargetServer]:
    with TargetServer() as server:
        yield server


@pytest.fixture
def target(running: TargetServer) -> TargetServer:
    """One server for all tests, its record emptied for each."""
    running.settled_stats()
    running.reset()
    return running


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", env_allow=("ATM_TEST_TOKEN",))


@pytest.fixture
async def storage(settings: Settings) -> AsyncIterator[StorageInterface]:
    opened = await open_storage(settings)
    yield opened
    await opened.close()


@pytest.fixture
async def installation(settings: Settings, storage: StorageInterface) -> AsyncIterator[Installation]:
    """A service and a supervisor that works."""
    environment: dict[str, Any] = {"ATM_TEST_TOKEN": "from-the-environment", "SECRET": "of-the-server"}
    sealer = Sealer(settings)
    supervisor = Supervisor(storage, settings, sealer, environment=environment)
    service = RunService(storage, settings, sealer, on_pending=supervisor.notify, environment=environment)
    supervisor.start()
    yield Installation(settings, storage, service, supervisor)
    await supervisor.stop(cancel_runs=True)
