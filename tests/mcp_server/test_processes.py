"""The program as a process: what it starts, what it leaves behind, whom it answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from atm.testing import TargetServer
from tests.mcp_server.agent import DEADLINE, command, environment, http_server, session, with_key
from tests.runs.installation import processes_of

pytestmark = pytest.mark.timeout(400)


def children_of(data_dir: Path) -> list[int]:
    """The processes of this machine whose history is there."""
    mine = f"ATM_DATA_DIR={data_dir}".encode()
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and mine in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def has_ended(pid: int) -> bool:
    """Whether it is gone, or waits for its parent to look: its last thread has left, and its connections with it."""
    process = Path("/proc") / str(pid)
    try:
        left = (process / "stat").read_text().rpartition(") ")[2][0] in "ZX"
        return left and len(list((process / "task").iterdir())) == 1
    except OSError:
        return True


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def status_of_last(data_dir: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "atm", "status", "last", "--json"],
        env=environment(data_dir),
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)["status"])


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc here")


@needs_proc
@pytest.mark.anyio
async def test_a_server_that_dies_is_started_again_and_the_end_of_a_session_ends_it_and_its_runs(
    tmp_path: Path, target: TargetServer
) -> None:
    data = tmp_path / "data"
    async with session(command(data)) as agent:
        # Listing tools needs no server, and starts none.
        await agent.client.list_tools()
        [ours] = children_of(data)
        await agent.call("list_tests")
        [child] = [pid for pid in children_of(data) if pid != ours]
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: has_ended(child))
        await agent.call("list_tests")
        assert len(children_of(data)) == 2
        run = await agent.call("run_api_test", url=f"{target.url}/fixed", requests_per_second=5, duration=100)
        wait_for(lambda: target.stats().received > 0)
        assert len(children_of(data)) > 1
    wait_for(lambda: children_of(data) == [] and processes_of(run["run_id"]) == {})
    assert status_of_last(data) == "cancelled"


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_program_that_is_killed_leaves_no_server_behind(number: signal.Signals, tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = subprocess.Popen(
        [sys.executable, "-m", "atm", "mcp"],
        env=environment(data),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    for message in (
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_tests", "arguments": {}}},
    ):
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
    answers = [json.loads(process.stdout.readline()) for _ in range(2)]
    # Raw JSON-RPC of an older protocol, one message a line, and nothing else on standard output.
    assert [each["id"] for each in answers] == [1, 2]
    assert answers[0]["result"]["protocolVersion"] == "2025-06-18"
    assert answers[1]["result"]["structuredContent"] == {"tests": []}
    assert len(children_of(data)) == 2
    process.send_signal(number)
    assert process.wait(DEADLINE) == -number
    process.stdin.close()
    process.stdout.close()
    wait_for(lambda: children_of(data) == [])


@pytest.mark.anyio
async def test_a_server_that_does_not_start_is_told_with_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a directory should be")
    async with session(command(tmp_path / "data")) as agent:
        said = await agent.refused("list_tests")
    assert "[own_server_failed]" in said
    assert "data" in said
    assert "`atm serve`" in said


@pytest.mark.anyio
async def test_over_http_only_who_has_the_key_and_comes_from_no_page_of_others_is_answered(tmp_path: Path) -> None:
    with http_server(
        tmp_path / "data", ATM_MCP_KEY="b7Qm2xVt9KsLw4Zr8NcFy6Hd", ATM_API_URL="http://127.0.0.1:9"
    ) as url:
        first = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        right = {"Accept": "application/json, text/event-stream", "Authorization": "Bearer b7Qm2xVt9KsLw4Zr8NcFy6Hd"}
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "b7Qm2xVt9KsLw4Zr8NcFy6Hd"}):
                answer = await client.post(url, json=first, headers=headers)
                assert answer.status_code == 401
                assert "ATM_MCP_KEY" in answer.text
                assert "b7Qm2xVt9KsLw4Zr8NcFy6Hd" not in answer.text
            rebound = await client.post(url, json=first, headers={**right, "Host": "evil.example"})
            assert rebound.status_code in (403, 421)
            other = await client.post(url, json=first, headers={**right, "Origin": "http://evil.example"})
            assert other.status_code == 403
        async with with_key(url, "b7Qm2xVt9KsLw4Zr8NcFy6Hd") as agent:
            assert len((await agent.client.list_tools()).tools) > 10


def test_beyond_this_machine_it_does_not_listen_without_a_key(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "atm", "mcp", "--http", "--host", "0.0.0.0"],
        env=environment(tmp_path / "data"),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 2
    assert "error: 0.0.0.0 is reachable from other machines, and no key is set [key_needed]" in done.stderr
    assert "hint: set ATM_MCP_KEY" in done.stderr


def test_the_command_line_imports_no_sdk() -> None:
    program = "import sys; from atm.cli.main import main; main(['--help']); main(['mcp', '--help']); "
    program += "loaded = {name.partition('.')[0] for name in sys.modules}; "
    program += "assert not loaded & {'mcp', 'mcp_types', 'httpx', 'httpx2', 'starlette', 'uvicorn'}, loaded"
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=DEADLINE)
