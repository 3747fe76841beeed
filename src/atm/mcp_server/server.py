"""The MCP server: its tools and instructions. The transports are in `transports.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.server.mcpserver import MCPServer
from mcp_types import Tool as ToolDescription

from atm.config import Settings
from atm.mcp_server.prompts import add_prompts
from atm.mcp_server.resources import add_resources
from atm.mcp_server.services import ToolServices
from atm.mcp_server.tool import READ_ONLY, StrictTool
from atm.mcp_server.tools import results, runs, schedules, specs
from atm.mcp_server.untrusted_text import WARNING
from atm.version import VERSION

NAME = "api-test-machine"


class AgentServer(MCPServer[None]):
    """An MCP server that lists only the permitted tools; calling another one returns the reason."""

    def __init__(self, services: ToolServices) -> None:
        self.services = services
        tools = all_tools(services)
        self._listed = frozenset(tool.name for tool in tools if tool.only_reads or not services.limits.read_only)
        for tool in tools:
            if tool.name not in self._listed:
                tool.refuse(READ_ONLY)
        super().__init__(
            NAME,
            title="API Test Machine",
            version=VERSION,
            description="Load test an API, and know whether you can believe the result.",
            instructions=instructions(services),
            tools=list(tools),
            lifespan=_until_closed,
            log_level="WARNING",
        )
        add_resources(self, services)
        add_prompts(self)

    async def list_tools(self) -> list[ToolDescription]:
        """Return the permitted tools."""
        return [tool for tool in await super().list_tools() if tool.name in self._listed]


def all_tools(services: ToolServices) -> list[StrictTool]:
    """Return every tool, in the order that agents see."""
    return [*runs.tools(services), *results.tools(services), *specs.tools(services), *schedules.tools(services)]


def instructions(services: ToolServices) -> str:
    """Return the instructions for agents."""
    limits = services.limits
    where = (
        "its own API server, which ends with this MCP server and cancels runs in progress"
        if services.backend.is_child
        else "the configured API server"
    )
    may = (
        "It is read-only: you may look at runs but not start any."
        if limits.read_only
        else f"Targets: {', '.join(limits.targets)}; no others. Limits: {limits.in_words()}. Beyond them a person "
        "must approve, or the call is refused: never split a test to get around them."
    )
    return (
        f"Load tests HTTP APIs through {where}. Usual order: run_api_test, wait_for_test, explain_result, then "
        "compare_tests with an earlier run. Every result has two verdicts: `passed` (did the thresholds hold) and "
        "`measurement` (are the figures reliable): report both, and never quote times of an invalid measurement. "
        "Times are response times; give units. "
        f"{may} {WARNING} Credentials are always shown as ***; write them as {{{{env:NAME}}}}."
    )


@asynccontextmanager
async def _until_closed(server: MCPServer[None]) -> AsyncIterator[None]:
    assert isinstance(server, AgentServer)
    try:
        yield
    finally:
        await server.services.close()


def described(settings: Settings) -> list[ToolDescription]:
    """Return the tools as listed by the protocol, without starting anything, for the reference."""
    return asyncio.run(AgentServer(ToolServices.of(settings)).list_tools())
