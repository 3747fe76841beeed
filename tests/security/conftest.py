from __future__ import annotations

from collections.abc import Iterator

import pytest

from atm.testing import TargetServer


@pytest.fixture(scope="session")
def running_target() -> Iterator[TargetServer]:
    with TargetServer() as server:
        yield server
