"""The engines and the storages that face their contracts: a fresh one for each test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from atm.config import Settings, StorageType
from atm.engine.base import Engine
from atm.storage import StorageInterface, open_storage, upgrade_storage
from tests.contract.engines import ENGINES
from tests.contract.postgresql import PostgresqlServer

STORAGES = ("sqlite", "postgresql", "json")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*capabilities): runs on the engines that have them")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an `engine` runs once on each engine that can do what it needs."""
    if "engine" not in metafunc.fixturenames:
        return
    needs = {capability for mark in metafunc.definition.iter_markers("needs") for capability in mark.args}
    able = [name for name, make in ENGINES.items() if needs <= make().capabilities]
    metafunc.parametrize("engine", able, indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]()


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
        emptied = (f"DELETE FROM {name}" for name in ("runs", "test_configs", "api_keys", "schedules", "file_contents"))
        server.sql("; ".join([*emptied, "TRUNCATE sessions, audit_log"]), "atm")
        yield Settings(data_dir=tmp_path, database_url=SecretStr(server.url("atm")))


@pytest.fixture
async def storage(settings: Settings) -> AsyncIterator[StorageInterface]:
    opened = await open_storage(settings)
    yield opened
    await opened.close()
