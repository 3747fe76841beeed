from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from atm.config import Settings
from atm.storage import StorageInterface, open_storage
from tests.notifications.receiver import Receiver


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(tmp_path) as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
async def storage(settings: Settings) -> AsyncIterator[StorageInterface]:
    opened = await open_storage(settings)
    yield opened
    await opened.close()
