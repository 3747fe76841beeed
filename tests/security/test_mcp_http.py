"""`atm mcp --http` under attack: heads, bodies and JSON have the limits of the Control API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.server import free_port
from tests.security.sockets import answer, connected, head, resident_bytes, sent, status

pytestmark = pytest.mark.timeout(300)

KEY = "9f1c6e0b7a3d5824c1e97b60d4f8a2534be17c09"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
LINES = [
    f"Authorization: Bearer {KEY}",
    "Content-Type: application/json",
    "Accept: application/json, text/event-stream",
]


class McpServer:
    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._log = (directory / "mcp.log").open("ab")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("ATM_", "API_TEST"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "atm", "mcp", "--http", "--port", str(self.port)],
            env={**environment, "ATM_DATA_DIR": str(directory / "data"), "ATM_MCP_KEY": KEY},
            stderr=self._log,
        )
        self.file = directory / "mcp.log"

    def log(self) -> str:
        return self.file.read_text()

    def ready(self) -> McpServer:
        while "listens on" not in self.log():
            assert self.process.poll() is None, self.log()
            time.sleep(0.1)
        return self

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self._log.close()

    def post(self, document: Any, **headers: str) -> httpx.Response:
        named = {"Authorization": f"Bearer {KEY}", "Accept": "application/json, text/event-stream", **headers}
        url = f"http://127.0.0.1:{self.port}/mcp"
        return httpx.post(url, json=document, headers=named, trust_env=False, timeout=120)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[McpServer]:
    started = McpServer(tmp_path_factory.mktemp("mcp")).ready()
    yield started
    # After all of it, it still works.
    assert started.post(INITIALIZE).status_code == 200
    started.stop()
    assert "Traceback" not in started.log()


def request(port: int, body: bytes, *lines: str) -> bytes:
    return head("POST", "/mcp", port, *LINES, *lines) + body


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_has_a_limit(server: McpServer, is_chunked: bool) -> None:
    body = json.dumps({**INITIALIZE, "x": "a" * 2_000_000}).encode()
    if is_chunked:
        data = request(server.port, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), "Transfer-Encoding: chunked")
    else:
        data = request(server.port, body, f"Content-Length: {len(body)}")
    assert status(sent(server.port, data)) == 413


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_memory_does_not_follow_what_is_sent(server: McpServer) -> None:
    server.post(INITIALIZE)
    before = resident_bytes(server.process.pid)
    for _ in range(20):
        test_a_body_has_a_limit(server, is_chunked=True)
    assert resident_bytes(server.process.pid) - before < 60_000_000


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 5_000 + b"]" * 5_000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'{"jsonrpc":"2.0","id":1' + b"0" * 5_000 + b',"method":"initialize"}',
        b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
        b"[" + b"{}," * 200_000 + b"{}]",
        b"\xff\xfe",
        b"",
        b"NaN",
    ],
    ids=["lists", "objects", "digits", "surrogate", "many", "no text", "nothing", "no number"],
)
def test_hostile_json_is_4xx(server: McpServer, body: bytes) -> None:
    assert 400 <= status(sent(server.port, request(server.port, body, f"Content-Length: {len(body)}"))) < 500


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Host: 127.0.0.1", "Content-Length: 2"], 400),
        (["Transfer-Encoding: chunked", "Content-Length: 2"], 400),
        ([f"X-{number}: a" for number in range(100)] + ["Content-Length: 2"], 431),
        (["Origin: https://evil.example", "Content-Length: 2"], 403),
        (["Origin: null", "Content-Length: 2"], 403),
    ],
    ids=["two hosts", "two lengths", "many headers", "another origin", "no origin"],
)
def test_hostile_heads_are_4xx(server: McpServer, lines: list[str], expected: int) -> None:
    assert status(sent(server.port, request(server.port, b"{}", *lines))) == expected


def test_another_host_is_refused(server: McpServer) -> None:
    assert server.post(INITIALIZE, Host="evil.example").status_code in (403, 421)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Authorization: Bearer"],
        ["Authorization: Bearer "],
        [f"Authorization: bearer{KEY}"],
        [f"Authorization: Basic {KEY}"],
        [f"Authorization: Bearer {KEY}x"],
        [f"Authorization: Bearer {KEY[:-1]}"],
        [f"X-API-Key: {KEY}"],
        [f"Cookie: key={KEY}"],
        ["Authorization: Bearer \xe9"],
    ],
)
def test_only_the_key_opens(server: McpServer, lines: list[str]) -> None:
    for method, path in (("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/mcp"), ("POST", "/"), ("GET", "/mcp/x")):
        answered = sent(server.port, head(method, path, server.port, *lines, "Content-Length: 0"))
        assert status(answered) == 401, (method, path, answered)


def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_fault(server: McpServer) -> None:
    for lines in (["Content-Length: 100"], ["Transfer-Encoding: chunked"]):
        for _ in range(5):
            with connected(server.port) as opened:
                opened.sendall(request(server.port, b"5\r\n[1,2,\r\n", *lines))
    with connected(server.port) as opened:
        opened.sendall(request(server.port, b"zz\r\n", "Transfer-Encoding: chunked"))
        assert status(answer(opened)) == 400
