from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from atm.testing import TargetServer
from tests.api.server import ApiServer


@pytest.fixture(scope="session")
def target() -> Iterator[TargetServer]:
    with TargetServer() as server:
        yield server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(tmp_path_factory.mktemp("client") / "data")
    yield started.ready()
    assert started.stop() in (0, -signal.SIGTERM), started.log()
