"""The Ray cluster of these tests. It ends with the last of them, as its processes use the processor for as long as they
live."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from atm.fleet.ray_session import RaySession
from tests.fleet.ray_cluster import MISSING, RayCluster, is_installed


@pytest.fixture(scope="package")
def ray_cluster() -> Iterator[RayCluster]:
    """A Ray cluster of three nodes, whose token is in the environment of this process."""
    if not is_installed():
        pytest.skip(MISSING)
    cluster = RayCluster()
    yield cluster
    cluster.close()


@pytest.fixture(scope="package")
def ray_session(ray_cluster: RayCluster) -> Iterator[RaySession]:
    """One connection for the tests that need none of their own, as each takes seconds."""
    session = RaySession.connect(ray_cluster.address)
    yield session
    session.close()
