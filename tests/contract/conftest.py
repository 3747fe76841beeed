from __future__ import annotations

from collections.abc import Iterator

import pytest

from atm.engine.base import Engine
from atm.testing import TargetServer
from tests.contract.engines import ENGINES


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
def one_target() -> Iterator[TargetServer]:
    with TargetServer(client_certificate=False, tls=True, capture=200_000) as server:
        yield server


@pytest.fixture
def target(one_target: TargetServer) -> TargetServer:
    """One server for all tests, its record emptied for each."""
    one_target.settled_stats()
    one_target.reset()
    return one_target
