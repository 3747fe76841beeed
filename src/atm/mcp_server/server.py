"""The server itself: which tools there are, and what it says of itself. `transports.py` has its transports."""

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
from atm.mcp_server.tool import READ_ONLY, OurTool
from atm.mcp_server.tools import results, runs, schedules, specs
from atm.mcp_server.untrusted import WARNING
from atm.version import VERSION

NAME = "api-test-machine"


class AgentServer(MCPServer[None]):
    """An MCP server that lists what may be called, and says of the rest why not."""

    def __init__(self, services: ToolServices) -> None:
        self.services = services
        made = all_tools(services)
        self._listed = frozenset(each.name for each in made if each.only_reads or not services.limits.read_only)
        for each in made:
            if each.name not in self._listed:
                each.refuse(READ_ONLY)
        super().__init__(
            NAME,
            title="API Test Machine",
            version=VERSION,
            description="Load test an API, and know whether you can believe the result.",
            instructions=instructions(services),
            tools=list(made),
            lifespan=_until_closed,
            log_level="WARNING",
        )
        add_resources(self, services)
        add_prompts(self)

    async def list_tools(self) -> list[ToolDescription]:
        """The tools that may be called here."""
        return [each for each in await super().list_tools() if each.name in self._listed]


def all_tools(services: ToolServices) -> list[OurTool]:
    """Every tool, in the order in which agents see them."""
    return [*runs.tools(services), *results.tools(services), *specs.tools(services), *schedules.tools(services)]


def instructions(services: ToolServices) -> str:
    """What an agent is told before its first call."""
    limits = services.limits
    where = (
        "a server of its own, which ends when this MCP server does; runs that are still going are cancelled then"
        if services.backend.is_ours
        else "the server that it was set up with"
    )
    may = (
        "It is read-only: you may look at runs, and start none."
        if limits.read_only
        else f"Targets: {', '.join(limits.targets)}; no others. Limits: {limits.in_words()}. Beyond them a person is "
        "asked, or the call is refused: never split a test to get around them."
    )
    return (
        f"Load tests HTTP APIs, by way of {where}. Usual order: run_api_test, wait_for_test, explain_result, then "
        "compare_tests with an earlier run. Every result has two verdicts: `passed` (did the thresholds hold) and "
        "`measurement` (can the figures be believed): say both, and never quote times of an invalid measurement. "
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
    """The tools as the protocol lists them, without starting anything: for the reference."""
    return asyncio.run(AgentServer(ToolServices.of(settings)).list_tools())
