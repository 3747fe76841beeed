from __future__ import annotations

from collections.abc import Iterator

import pytest

from atm.testing import TargetServer


@pytest.fixture(scope="session")
def running() -> Iterator[TargetServer]:
    with TargetServer(tls=True, token_expires_in=0.3) as server:
        yield server


@pytest.fixture
def target(running: TargetServer) -> TargetServer:
    """One server for all tests, its record emptied for each."""
    running.settled_stats()
    running.reset()
    return running
