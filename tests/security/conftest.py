from __future__ import annotations

from collections.abc import Iterator

import pytest

from atm.testing import TargetServer
from tests.security.listener import Recorder


@pytest.fixture(scope="session")
def running_target() -> Iterator[TargetServer]:
    with TargetServer() as server:
        yield server


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    opened = Recorder()
    yield opened
    opened.close()
