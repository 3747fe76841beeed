"""What all tests share: hypothesis profiles, a printed seed, tests that only `make prove` runs, servers."""

from __future__ import annotations

import asyncio
import atexit
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from atm.testing import TargetServer
from tests.contract.postgresql import PostgresqlServer
from tests.examples import PROFILE
from tools.postgresql import MISSING, binaries

settings.register_profile(
    PROFILE,
    deadline=None,
    print_blob=True,
    # Real servers and processes make examples slow at times, which says nothing about the property.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(PROFILE)

FULL_SIZE = pytest.StashKey[int]()
"""How many tests were left out because only `make prove` runs them."""


# Tests do not write to the history of the user who runs them; those about the history set a directory.
os.environ["ATM_NO_HISTORY"] = "1"
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="atm-tests-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)
os.environ["ATM_DATA_DIR"] = tempfile.mkdtemp(prefix="atm-tests-")
atexit.register(shutil.rmtree, os.environ["ATM_DATA_DIR"], ignore_errors=True)
os.environ.pop("ATM_API_URL", None)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(random.SystemRandom().getrandbits(32))


def pytest_report_header(config: pytest.Config) -> str:
    seed = config.getoption("hypothesis_seed")
    return f"property tests: profile {PROFILE}, seed {seed} (again: pytest --hypothesis-seed={seed})"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if PROFILE == "prove":
        return
    left_out = [item for item in items if item.get_closest_marker("prove")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
        config.stash[FULL_SIZE] = len(left_out)
        if hasattr(config, "workeroutput"):
            config.workeroutput["full_size"] = len(left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    from tests.distribution import OneAfterAnother

    return OneAfterAnother(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of pytest-xdist has ended; each collects the same."""
    config: pytest.Config = node.config
    if FULL_SIZE not in config.stash and (left_out := getattr(node, "workeroutput", {}).get("full_size")):
        config.stash[FULL_SIZE] = left_out
        # Only their number is known here.
        config.hook.pytest_deselected(items=[SimpleNamespace() for _ in range(left_out)])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if full_size := config.stash.get(FULL_SIZE, 0):
        terminalreporter.write_line(f"{full_size} tests at full size run in `make prove` only")


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


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """The server; its database `atm` is migrated."""
    from pydantic import SecretStr

    from atm.config import Settings
    from atm.storage import upgrade_storage

    if binaries() is None:
        pytest.skip(MISSING)
    server = PostgresqlServer()
    try:
        server.sql("CREATE DATABASE atm")
        asyncio.run(upgrade_storage(Settings(database_url=SecretStr(server.url("atm")))))
        yield server
    finally:
        server.stop()
