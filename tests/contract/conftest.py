"""The storages that face the contract: each test gets an empty one of each kind."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from atm.config import Settings, StorageType
from atm.storage import StorageInterface, open_storage, upgrade_storage
from tests.contract.postgresql import PostgresqlServer

STORAGES = ("sqlite", "postgresql", "json")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database that is up to date."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("sqlite"))
    asyncio.run(upgrade_storage(settings))
    return settings.database_file


@pytest.fixture(params=STORAGES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings that name an empty storage, ready to be opened any number of times."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        made = Settings(data_dir=tmp_path)
        shutil.copy(template, made.database_file)
        yield made
    elif request.param == "json":
        yield Settings(data_dir=tmp_path, storage_type=StorageType.JSON)
    else:
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        # A database for each test would cost most of a second.
        server.sql("DELETE FROM runs; DELETE FROM test_configs; DELETE FROM api_keys", "atm")
        yield Settings(data_dir=tmp_path, database_url=SecretStr(server.url("atm")))


@pytest.fixture
async def storage(settings: Settings) -> AsyncIterator[StorageInterface]:
    opened = await open_storage(settings)
    yield opened
    await opened.close()
