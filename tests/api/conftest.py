from __future__ import annotations

import signal
from collections.abc import Iterator

import httpx
import pytest

from atm.testing import TargetServer
from tests.api.server import ApiServer


@pytest.fixture(scope="session")
def running_target() -> Iterator[TargetServer]:
    with TargetServer() as server:
        yield server


@pytest.fixture
def target(running_target: TargetServer) -> TargetServer:
    """One server for all tests, its record emptied for each."""
    running_target.settled_stats()
    running_target.reset()
    return running_target


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One installation for all tests that only need one."""
    started = ApiServer(tmp_path_factory.mktemp("api") / "data", ATM_MAX_RATE="5000", ATM_ENV_ALLOW="ATM_DATA_DIR")
    yield started.ready()
    assert started.stop() in (0, -signal.SIGTERM), started.log()


@pytest.fixture
def client(server: ApiServer) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened
