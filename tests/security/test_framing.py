"""Where a body ends: one length for each, and a client that leaves before the end is no fault of the server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.server import ApiServer
from tests.security.attack import raw
from tests.security.sockets import connected, eventually, head

KEY = "9f1c6e0b7a3d5824c1e97b60d4f8a2534be17c09"
DOCUMENT = json.loads((Path(__file__).parents[2] / "openapi.json").read_text())
ROUTES = sorted((method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(tmp_path_factory.mktemp("framing") / "data", API_TEST_MACHINE_API_KEY=KEY).ready()
    yield started
    started.stop()


@pytest.mark.parametrize("path", ["/api/v1/runs", "/health/live", "/api/v1/session", "/metrics"])
@pytest.mark.parametrize(
    ("version", "lines"),
    [
        (b"1.1", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        (b"1.1", b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
        (b"1.0", b"Transfer-Encoding: chunked\r\n"),
        (b"1.1", b"Content-Length: 5\r\nContent-Length: 6\r\n"),
        (b"1.1", b"Transfer-Encoding: chunked, chunked\r\n"),
        (b"1.1", b"Transfer-Encoding: \x0bchunked\r\n"),
    ],
    ids=["length first", "chunks first", "HTTP/1.0", "two lengths", "chunks twice", "odd space"],
)
def test_a_body_of_two_lengths_is_refused_and_ends_its_connection(
    server: ApiServer, path: str, version: bytes, lines: bytes
) -> None:
    smuggled = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for body in (b"0\r\n\r\n", b""):
        start = b"POST " + path.encode() + b" HTTP/" + version + b"\r\nHost: 127.0.0.1\r\n"
        status, answer = raw(server.port, start + f"X-API-Key: {KEY}\r\n".encode() + lines + b"\r\n" + body + smuggled)
        assert status in (400, 501), answer
        assert answer.count(b"HTTP/1.1 ") == 1, answer


def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_fault(server: ApiServer) -> None:
    left = 0
    for method, template in ROUTES:
        path = re.sub(r"\{\w+\}", "a", template)
        for lines in (["Content-Length: 100"], ["Transfer-Encoding: chunked"]):
            kinds = ["application/json", "application/octet-stream", "application/x-www-form-urlencoded"]
            for kind in kinds:
                with connected(server.port) as opened:
                    opened.sendall(
                        head(method, path, server.port, *lines, f"X-API-Key: {KEY}", f"Content-Type: {kind}")
                        + (b'{"a":' if lines[0].startswith("C") else b'5\r\n{"a":\r\n')
                    )
                left += 1
    requests = f"{len(ROUTES)} routes"
    eventually(lambda: server.log().count('"milliseconds"') >= left)
    assert httpx.get(f"{server.url}/health/ready", trust_env=False, verify=False).status_code == 200, requests
    log = server.log()
    assert "Traceback" not in log
    assert '"level": "error"' not in log
    assert " 499" in log
