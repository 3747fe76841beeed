from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from atm.config import Settings
from atm.mcp_server.server import AgentServer
from atm.mcp_server.services import ToolServices
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
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One installation for all tests that only need one."""
    started = ApiServer(tmp_path_factory.mktemp("mcp") / "data", API_TEST_MACHINE_API_KEY="b7Qm2xVt9KsLw4Zr8NcFy6Hd")
    yield started.ready()
    started.stop()


@pytest.fixture
def settings(api: ApiServer) -> Settings:
    """Those of an MCP server for that installation, all limits as they are by default."""
    return Settings.model_construct(api_url=api.url, api_key=SecretStr("b7Qm2xVt9KsLw4Zr8NcFy6Hd"))


@pytest.fixture
def server(settings: Settings) -> AgentServer:
    """An MCP server in this process."""
    return AgentServer(ToolServices.of(settings))
