"""An agent, as far as a server can tell: the SDK's own client, over any transport, that notes what it was told."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitResult, TextContent

DEADLINE = 150.0


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """What a process of the program sees: nothing of whoever runs the tests."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("ATM_", "API_TEST"))}
    return {**plain, "ATM_DATA_DIR": str(data_dir), **more}


def tokens(text: str) -> int:
    """A generous estimate of what a text costs a model: words by six letters, numbers by three digits, every sign."""
    pieces = re.findall(r"[A-Za-z]+|\d+|[^\sA-Za-z\d]", text)
    return sum(-(-len(each) // (3 if each.isdecimal() else 6)) for each in pieces)


@dataclass(slots=True)
class Agent:
    """What a model would hold: the session, and what came of it."""

    client: Client
    called: list[str] = field(default_factory=list)
    progress: list[tuple[float, float | None, str | None]] = field(default_factory=list)
    text: str = ""
    """Of the last answer."""

    async def raw(self, tool: str, **arguments: Any) -> CallToolResult:
        async def noted(progress: float, total: float | None, message: str | None) -> None:
            self.progress.append((progress, total, message))

        result = await self.client.call_tool(tool, arguments, progress_callback=noted)
        assert isinstance(result, CallToolResult)
        [content] = result.content
        assert isinstance(content, TextContent)
        self.called.append(tool)
        self.text = content.text
        return result

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must work; its structured answer (which the client has held against its schema)."""
        result = await self.raw(tool, **arguments)
        assert not result.is_error, self.text
        assert result.structured_content is not None
        return dict(result.structured_content)

    async def refused(self, tool: str, **arguments: Any) -> str:
        """Call a tool that must refuse; what it said."""
        result = await self.raw(tool, **arguments)
        assert result.is_error, self.text
        return self.text


class Person:
    """Whoever sits before the agent, and answers every question alike."""

    def __init__(self, action: Any = "accept", approve: bool = True) -> None:
        self.questions: list[str] = []
        self._action = action
        self._approve = approve

    async def __call__(self, context: Any, params: Any) -> ElicitResult:  # noqa: ARG002  (names of a protocol)
        assert isinstance(params, ElicitRequestFormParams)
        assert params.requested_schema["required"] == ["approve"]
        self.questions.append(params.message)
        content: dict[str, Any] | None = {"approve": self._approve} if self._action == "accept" else None
        return ElicitResult(action=self._action, content=content)


@asynccontextmanager
async def session(server: Any, *, mode: str = "auto", person: Person | None = None) -> AsyncIterator[Agent]:
    """A session with a server: an address, a command, or the server itself."""
    client = Client(server, mode=mode, elicitation_callback=person, read_timeout_seconds=DEADLINE)
    async with client as connected:
        yield Agent(connected)


def command(data_dir: Path, *arguments: str, **more: str) -> StdioServerParameters:
    """`atm mcp` over standard input and output."""
    return StdioServerParameters(
        command=sys.executable, args=["-m", "atm", "mcp", *arguments], env=environment(data_dir, **more)
    )


@contextmanager
def http_server(data_dir: Path, *arguments: str, **more: str) -> Iterator[str]:
    """`atm mcp --http` in a process of its own; its address."""
    with (data_dir.parent / "mcp.log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "atm", "mcp", "--http", "--port=0", *arguments],
            env=environment(data_dir, **more),
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        try:
            yield _address(Path(log.name), process)
        finally:
            process.terminate()
            process.wait(20)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + DEADLINE
    while True:
        said = log.read_text()
        if found := re.search(r"listens on (\S+)", said):
            return found[1]
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.02)


@asynccontextmanager
async def with_key(url: str, key: str) -> AsyncIterator[Agent]:
    """A session over HTTP with a key."""
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, verify=False) as http,
        session(streamable_http_client(url, http_client=http)) as agent,
    ):
        yield agent
