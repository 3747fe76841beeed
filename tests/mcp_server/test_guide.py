"""Every configuration of the guide is one that works."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from mcp import StdioServerParameters

from tests.mcp_server.agent import environment, session

GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "from-an-llm-agent.md").read_text("utf-8")
READERS = {"json": json.loads, "toml": tomllib.loads}
HOLDERS = {"mcpServers", "servers", "context_servers", "mcp_servers"}
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


def entries() -> list[dict[str, Any]]:
    found = []
    for language, text in re.findall(r"^```(json|toml)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL):
        [(holder, servers)] = READERS[language](text).items()
        assert holder in HOLDERS
        [(name, entry)] = servers.items()
        assert name == "api-test-machine"
        found.append(entry)
    return found


def test_the_guide_has_an_entry_for_each_of_the_common_clients() -> None:
    assert len(entries()) == 7
    for client in ("Claude Desktop", "Claude Code", "Cursor", "Gemini", "VS Code", "Zed", "Codex", "Windsurf"):
        assert client in GUIDE


async def test_what_the_entries_start_answers(tmp_path: Path) -> None:
    programs = {json.dumps([each["args"], each.get("env", {})]): each for each in entries() if "command" in each}
    assert len(programs) == 3
    for each in programs.values():
        assert each["command"] == "atm"
        program = shutil.which("atm", path=Path(sys.executable).parent) or "atm"
        started = StdioServerParameters(
            command=program, args=each["args"], env=environment(tmp_path / "data", **each.get("env", {}))
        )
        async with session(started) as agent:
            listed = {tool.name for tool in (await agent.client.list_tools()).tools}
            assert ("run_api_test" in listed) == ("--read-only" not in each["args"])
            said = agent.client.instructions or ""
            assert ("staging.example.com" in said) == ("ATM_MCP_ALLOWED_TARGETS" in each.get("env", {}))
