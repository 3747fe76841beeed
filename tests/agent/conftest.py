from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from atm.testing import TargetServer
from tests.api.server import ApiServer
from tests.notifications.receiver import Receiver


@pytest.fixture(scope="session")
def target() -> Iterator[TargetServer]:
    with TargetServer() as server:
        yield server


@pytest.fixture(scope="session")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver")) as running:
        yield running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An installation whose schedules are fired by the server itself."""
    started = ApiServer(Path(tmp_path_factory.mktemp("agent")) / "data")
    yield started.ready()
    started.stop()
