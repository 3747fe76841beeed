"""What all tests share: hypothesis profiles, a seed that is always printed, tests that only `make prove` runs."""

from __future__ import annotations

import asyncio
import atexit
import os
import random
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from pydantic import SecretStr

from atm.config import Settings
from atm.storage import upgrade_storage
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


# No test leaves anything in the history of whoever runs it; those about the history say where theirs is.
os.environ["ATM_NO_HISTORY"] = "1"
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    deselected = terminalreporter.stats.get("deselected", [])
    full_size = sum(1 for item in deselected if item.get_closest_marker("prove"))
    if full_size:
        terminalreporter.write_line(f"{full_size} tests at full size run in `make prove` only")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """The server; its database `atm` is migrated."""
    if binaries() is None:
        pytest.skip(MISSING)
    server = PostgresqlServer()
    try:
        server.sql("CREATE DATABASE atm")
        asyncio.run(upgrade_storage(Settings(database_url=SecretStr(server.url("atm")))))
        yield server
    finally:
        server.stop()
