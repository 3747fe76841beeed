"""While there is no key, only processes of the server's own account are let in, however they connect."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.server import ApiServer
from tests.cli.program import atm
from tests.security.attack import as_other_account, encoded, other_account, raw, readable_python

pytestmark = pytest.mark.timeout(300)

ASK = """
import socket, sys
host, port, request = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
with socket.create_connection((host, port), 60) as connection:
    connection.sendall(request)
    answer = b""
    while part := connection.recv(65536):
        answer += part
    sys.stdout.write(answer.decode("latin-1"))
"""
SEND_AND_LEAVE = """
import os, socket, struct, sys
port, request = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
for how in ("close", "shutdown", "reset", "exit") * 10:
    connection = socket.create_connection(("127.0.0.1", port), 60)
    connection.sendall(request)
    if how == "shutdown":
        connection.shutdown(socket.SHUT_WR)
    if how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if how == "exit" and not os.fork():
        os._exit(0)
    connection.close()
"""
RELAY = """
import socket, sys, threading
target = int(sys.argv[1])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
near, _ = listener.accept()
far = socket.create_connection(("127.0.0.1", target), 60)
def pump():
    while part := far.recv(65536):
        near.sendall(part)
    near.shutdown(socket.SHUT_WR)
threading.Thread(target=pump).start()
while part := near.recv(65536):
    far.sendall(part)
far.shutdown(socket.SHUT_WR)
"""
RUNS = "/api/v1/runs"
WEBSOCKET = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Without a key, on all addresses of both families: workers share a socket that takes both."""
    data_dir = tmp_path_factory.mktemp("loopback") / "data"
    started = ApiServer(data_dir, workers=2, options=("--host=::",))
    yield started.ready()
    started.stop()


def other_asks(
    server: ApiServer, target: bytes, method: bytes = b"GET", host: str = "127.0.0.1", headers: bytes = b""
) -> str:
    name = f"[{host}]" if ":" in host else host
    request = encoded(target, method, headers, host=name.encode())
    return as_other_account(ASK, host, str(server.port), request.hex())


def test_a_process_of_our_account_is_let_in(server: ApiServer) -> None:
    for host in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "127.0.0.2"):
        answer = httpx.get(f"http://{host}:{server.port}{RUNS}", trust_env=False, verify=False)
        assert answer.status_code == 200, (host, answer.text)
    assert "admin access only for processes of this machine that run as" in server.log()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.0.0.2"])
def test_a_process_of_another_account_is_refused(server: ApiServer, host: str) -> None:
    for method, path in (("GET", RUNS), ("GET", "/metrics"), ("GET", "/"), ("POST", RUNS), ("GET", "/api/v1/events")):
        answer = other_asks(server, path.encode(), method.encode(), host)
        assert answer.startswith("HTTP/1.1 403 "), (path, answer)
        assert "other_account" in answer
    assert other_asks(server, b"/api/v1/runs/x/ws", host=host, headers=WEBSOCKET).startswith("HTTP/1.1 403 ")
    assert other_asks(server, b"/health/live", host=host).startswith("HTTP/1.1 200 ")


def test_one_that_sends_and_leaves_at_once_changes_nothing(server: ApiServer) -> None:
    # The kernel says uid 0 of a socket that its process has closed: the request must not pass as root's.
    body = json.dumps({"name": "planted", "spec": {"name": "planted", "url": "http://127.0.0.1:9/"}}).encode()
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n".encode()
    request = encoded(b"/api/v1/tests", b"POST", length) + body
    as_other_account(SEND_AND_LEAVE, str(server.port), request.hex())
    # What came before is answered first.
    assert httpx.get(f"{server.url}/api/v1/tests", trust_env=False, verify=False).json()["tests"] == []


def test_our_own_requests_through_a_process_of_another_account_are_refused(server: ApiServer) -> None:
    # A reverse proxy that adds nothing to what it passes on.
    for target in (RUNS, "/metrics"):
        assert _through_other_account(server, encoded(target.encode())).startswith(b"HTTP/1.1 403 ")


def _through_other_account(server: ApiServer, request: bytes) -> bytes:
    account = other_account()
    relay = subprocess.Popen(
        [readable_python(), "-I", "-c", RELAY, str(server.port)],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        stdout=subprocess.PIPE,
        cwd="/",
    )
    with relay:
        assert relay.stdout is not None
        return raw(int(relay.stdout.readline()), request)[1]


@pytest.mark.parametrize(
    "header",
    [
        *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server"),
        *("Forwarded", "Via", "X-Real-IP", "X-Client-IP", "CF-Connecting-IP", "True-Client-IP", "X-Original-Host"),
        *("X-Cluster-Client-IP", "Fastly-Client-IP", "X-Envoy-External-Address", "x-forwarded-anything"),
    ],
)
def test_a_proxy_of_our_account_that_says_so_is_refused(server: ApiServer, header: str) -> None:
    answer = httpx.get(f"{server.url}{RUNS}", headers={header: "127.0.0.1"}, trust_env=False, verify=False)
    assert (answer.status_code, answer.json()["code"]) == (403, "no_key_yet")


def test_off_lets_everyone_in_and_every_start_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    for start in (1, 2):
        server = ApiServer(tmp_path / "data", ATM_AUTH="off").ready()
        try:
            assert other_asks(server, RUNS.encode()).startswith("HTTP/1.1 200 ")
        finally:
            server.stop()
        said = [line for line in server.log().splitlines() if "ATM_AUTH=off: every process and every user" in line]
        assert len(said) == start
    assert all('"level": "warning"' in line for line in said)


@pytest.fixture(scope="module")
def with_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """As on a system that does not name the owner of a connection."""
    server = ApiServer(tmp_path_factory.mktemp("token") / "data", ATM_AUTH="token")
    yield server.ready()
    server.stop()


def test_the_token_is_in_a_file_of_our_account_alone(with_token: ApiServer) -> None:
    path = with_token.data_dir / "local.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = path.read_text().strip()
    assert len(token) >= 43
    for header in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": ""}, {"X-API-Key": token[:-1]}):
        for target in (RUNS, "/metrics"):
            answer = httpx.get(f"{with_token.url}{target}", headers=header, trust_env=False, verify=False)
            assert (answer.status_code, answer.json()["code"]) == (401, "key_needed")
    for header in ({"X-API-Key": token}, {"Authorization": f"Bearer {token}"}):
        assert httpx.get(f"{with_token.url}{RUNS}", headers=header, trust_env=False, verify=False).status_code == 200
    assert token not in with_token.log()


def test_the_address_with_the_token_signs_a_browser_in(with_token: ApiServer) -> None:
    token = (with_token.data_dir / "local.token").read_text().strip()
    with httpx.Client(base_url=with_token.url, trust_env=False, verify=False) as browser:
        assert browser.get("/", params={"token": "wrong"}).status_code in (200, 401)
        assert not browser.cookies
        answer = browser.get("/", params={"token": token, "x": "1"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/?x=1")
        assert browser.get(RUNS).status_code == 200
        assert browser.get("/api/v1/session").json()["role"] == "admin"


def test_the_command_line_of_the_same_account_reads_the_token(with_token: ApiServer, tmp_path: Path) -> None:
    done = atm(with_token.data_dir, "list", "--server", with_token.url)
    assert done.code == 0, done.err
    assert atm(tmp_path, "list", "--server", with_token.url).code != 0


def test_agents_of_the_same_account_read_the_token(with_token: ApiServer, tmp_path: Path) -> None:
    from atm.config import Settings
    from atm.errors import AtmError
    from atm.mcp_server.backend import Backend

    async def asks(data_dir: Path) -> None:
        backend = Backend(Settings(data_dir=data_dir, api_url=with_token.url))
        try:
            await (await backend.control()).server()
        finally:
            await backend.close()

    asyncio.run(asks(with_token.data_dir))
    with pytest.raises(AtmError):
        asyncio.run(asks(tmp_path))


def test_a_token_that_others_may_read_is_refused(tmp_path: Path) -> None:
    from atm.access.token import local_token, token_for
    from atm.errors import SettingsError

    made = local_token(tmp_path)
    assert token_for("http://127.0.0.1:1/", tmp_path) == token_for("http://[::1]/", tmp_path) == made
    for elsewhere in ("http://example.com/", "http://127.0.0.1.example.com/", "http://192.0.2.1/", "http://["):
        assert token_for(elsewhere, tmp_path) is None
    (tmp_path / "local.token").chmod(0o644)
    assert token_for("http://127.0.0.1/", tmp_path) is None
    with pytest.raises(SettingsError):
        local_token(tmp_path)


def test_agents_over_http_are_let_in_by_account_too(tmp_path: Path) -> None:
    environment = {**os.environ, "ATM_DATA_DIR": str(tmp_path), "ATM_API_URL": "http://127.0.0.1:9"}
    port = ApiServerPort()
    command = [sys.executable, "-m", "atm", "mcp", "--http", f"--port={port.number}"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert "listens on" in process.stderr.readline()
            request = encoded(b"/mcp", b"POST", b"Content-Type: application/json\r\nContent-Length: 2\r\n") + b"{}"
            assert as_other_account(ASK, "127.0.0.1", str(port.number), request.hex()).startswith("HTTP/1.1 403 ")
            assert raw(port.number, request)[0] not in (0, 401, 403)
        finally:
            process.terminate()


class ApiServerPort:
    """A port that was free a moment ago."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.number: int = probe.getsockname()[1]
