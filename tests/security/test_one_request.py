"""Attacks by single requests on everybody else: memory, descriptors, time of the event loop, size of answers."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from atm.http_connection import BODY_SECONDS, HEAD_SECONDS
from tests.api.server import ApiServer
from tests.examples import PROFILE
from tests.security.sockets import answer, connected, eventually, head, resident_bytes, sent, status
from tests.steadiness import allowed

pytestmark = pytest.mark.timeout(600)

KEY = "9f1c6e0b7a3d5824c1e97b60d4f8a2534be17c09"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
MB = 1_000_000


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server that asks for a key, which the attackers of the first tests do not have."""
    server = ApiServer(tmp_path_factory.mktemp("limits") / "data", API_TEST_MACHINE_API_KEY=KEY).ready()
    yield server
    log = server.log()
    server.stop()
    assert "Traceback" not in log


def flood(port: int, first: bytes, piece: bytes, total: int) -> bytes:
    """Send until the server has had enough, and return what it answers."""
    with connected(port) as opened:
        with suppress(BrokenPipeError, ConnectionResetError):
            opened.sendall(first)
            for _ in range(total // len(piece)):
                opened.sendall(piece)
        return answer(opened)


@LINUX
@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X-A: b\r\n" * 8_000),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ", b"a" * 64_000),
        (b"GET /", b"a" * 64_000),
        (b"", b"\r\n" * 32_000),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b" folded\r\n" * 8_000),
        (b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 64_000),
        (
            b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"A: b\r\n" * 9_000,
        ),
        (b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n", b"a" * 64_000),
        (b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 9_000),
    ],
    ids=["headers", "value", "path", "newlines", "folded", "extension", "trailers", "body", "chunks"],
)
def test_memory_does_not_follow_what_is_sent_without_a_key(guarded: ApiServer, first: bytes, piece: bytes) -> None:
    httpx.get(f"{guarded.url}/health/live", trust_env=False, verify=False)
    before = resident_bytes(guarded.process.pid)
    found = flood(guarded.port, first, piece, 30 * MB)
    assert not found or 400 <= status(found) < 500, found[:200]
    assert resident_bytes(guarded.process.pid) - before < 15 * MB


def test_a_head_is_complete_in_time_or_its_connection_ends(guarded: ApiServer) -> None:
    """Half-sent heads, one byte every second, and nothing at all; a concurrent stream is not affected."""
    with ExitStack() as stack:
        stream = stack.enter_context(httpx.Client(trust_env=False, verify=False, timeout=None))
        events = stack.enter_context(stream.stream("GET", f"{guarded.url}/api/v1/events", headers={"X-API-Key": KEY}))
        assert events.status_code == 200
        slow = [stack.enter_context(connected(guarded.port)) for _ in range(30)]
        for number, opened in enumerate(slow):
            if number % 3:
                opened.sendall(b"GET /health HTTP/1.1\r\nHost: local")
        began = time.monotonic()
        for opened in slow:
            opened.settimeout(0.01)
        left = set(slow)
        while left:
            assert time.monotonic() - began < allowed(HEAD_SECONDS + 15)
            for number, opened in enumerate(slow):
                if opened not in left:
                    continue
                try:
                    if number % 3 == 2:
                        opened.sendall(b"h")
                    if not opened.recv(1_000):
                        left.discard(opened)
                except TimeoutError:
                    continue
                except OSError:
                    left.discard(opened)
            time.sleep(0.5)
        assert time.monotonic() - began >= HEAD_SECONDS - 1
        # Still there: the next comment or event of it comes.
        assert next(events.iter_raw())


def test_a_body_is_complete_in_time_or_its_connection_ends(guarded: ApiServer) -> None:
    """Of one who has a key: without one a body is not waited for."""
    lines = (f"X-API-Key: {KEY}", "Content-Type: application/json", "Content-Length: 100")
    with connected(guarded.port) as opened:
        opened.sendall(head("POST", "/api/v1/specs/validate", guarded.port, *lines) + b"{")
        began = time.monotonic()
        assert status(answer(opened)) == 408
        assert BODY_SECONDS - 1 <= time.monotonic() - began < allowed(BODY_SECONDS + 15)
    assert status(sent(guarded.port, head("POST", "/api/v1/runs", guarded.port, "Content-Length: 100"))) == 401


def test_a_body_that_arrives_slowly_and_steadily_is_taken(guarded: ApiServer) -> None:
    body = json.dumps({"spec": {"name": "slow", "url": "http://127.0.0.1:9/"}}).encode()
    lines = (f"X-API-Key: {KEY}", "Content-Type: application/json", f"Content-Length: {len(body)}")
    with connected(guarded.port) as opened:
        opened.sendall(head("POST", "/api/v1/specs/validate", guarded.port, *lines))
        for byte in body:
            opened.sendall(bytes([byte]))
            time.sleep(0.01)
        assert status(answer(opened)) == 200


def test_connections_that_only_wait_make_room_for_others(tmp_path: Path) -> None:
    """With few descriptors, and more connections than they allow, everybody who asks something is answered."""
    few = "import resource, os, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)); "
    few += "os.execv(sys.argv[1], sys.argv[1:])"
    server = ApiServer(tmp_path / "data", within=(sys.executable, "-c", few)).ready()
    try:
        with ExitStack() as stack:
            for number in range(400):
                opened = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
                if number % 2:
                    with suppress(OSError):
                        opened.sendall(b"GET /health HTTP/1.1\r\n")
            for _ in range(20):
                assert (
                    httpx.get(f"{server.url}/health/live", trust_env=False, verify=False, timeout=60).status_code == 200
                )
    finally:
        server.stop()


def test_where_all_connections_are_at_work_the_next_is_told_so(tmp_path: Path) -> None:
    server = ApiServer(tmp_path / "data", ATM_MAX_CONNECTIONS="8").ready()
    try:
        with ExitStack() as stack:
            streams = httpx.Client(trust_env=False, verify=False, timeout=60, limits=httpx.Limits(max_connections=None))
            stack.enter_context(streams)
            for _ in range(8):
                stream = stack.enter_context(streams.stream("GET", f"{server.url}/api/v1/events"))
                assert stream.status_code == 200
            found = sent(server.port, head("GET", "/health", server.port))
            assert status(found) == 503
            assert b"no room for more connections" in found
        eventually(lambda: status(sent(server.port, head("GET", "/health/live", server.port))) == 200)
    finally:
        server.stop()


@pytest.mark.prove
def test_a_client_that_reads_nothing_does_not_keep_its_connection(guarded: ApiServer) -> None:
    """Its answers fill its buffer and ours, and then the time runs."""
    from atm.http_connection import STALL_SECONDS

    with socket.socket() as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        opened.connect(("127.0.0.1", guarded.port))
        opened.settimeout(0.5)
        request = head("GET", "/api/v1/openapi.json", guarded.port, f"X-API-Key: {KEY}")
        began = time.monotonic()
        while is_taken(opened, request):
            assert time.monotonic() - began < allowed(STALL_SECONDS + 30)


def is_taken(opened: socket.socket, data: bytes) -> bool:
    """Whether the connection is still there to be sent to."""
    try:
        opened.sendall(data)
    except TimeoutError:
        return True
    except OSError:
        return False
    return True


@pytest.mark.parametrize("path", ["/api/v1/session", "/api/v1/specs/validate", "/api/v1/runs", "/api/v1/tests"])
def test_an_answer_does_not_outgrow_its_request(guarded: ApiServer, path: str) -> None:
    """Unknown fields, each of which would be a problem of its own."""
    body = json.dumps({f"unknown-{number}": 1 for number in range(45_000)}).encode()
    began = time.monotonic()
    found = httpx.post(
        f"{guarded.url}{path}",
        content=body,
        headers={"X-API-Key": KEY, "Content-Type": "application/json"},
        trust_env=False,
        verify=False,
        timeout=240,
    )
    assert 400 <= found.status_code < 500
    assert len(found.content) < 60_000
    assert time.monotonic() - began < allowed(1)


def refused(server: ApiServer, data: bytes) -> None:
    found = sent(server.port, data)
    assert 400 <= status(found) < 500, found[:300]
    assert str(server.data_dir).encode() not in found


def test_heads_that_are_none_are_4xx_without_a_key(guarded: ApiServer) -> None:
    port = guarded.port
    refused(guarded, f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    refused(guarded, b"GET /api/v1/runs HTTP/1.1\r\n\r\n")
    refused(guarded, head("GET", "/api/v1/runs", port, *(f"X-{number}: a" for number in range(150))))
    for origin in ("http://[", "http://]", "[", "http://[::1", "//", "http://a b", "http://a:b:c", "null", "é" * 100):
        refused(guarded, head("GET", "/api/v1/runs", port, f"Origin: {origin}"))
        refused(guarded, head("POST", "/api/v1/session", port, f"Origin: {origin}", "Content-Length: 0"))
        assert status(sent(port, head("GET", "/health", port, f"Origin: {origin}"))) < 500


CURSORS = [
    "9999-12-31T23:59:59-23:00 a",
    "0001-01-01T00:00:00+23:00 a",
    "2026-01-01T00:00:00+00:00 ../../etc/passwd",
    "2026-01-01T00:00:00+00:00 \x00",
    "2026-01-01T00:00:00+00:00 " + "a" * 65,
    "2026-01-01 a",
    " ",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
]


def test_invented_cursors_and_moments_are_4xx(guarded: ApiServer) -> None:
    import base64

    with guarded.client(**{"X-API-Key": KEY}) as client:
        for cursor in CURSORS:
            text = base64.urlsafe_b64encode(cursor.encode()).decode().rstrip("=")
            assert client.get("/runs", params={"cursor": text}).status_code == 422, cursor
        for moment in ("9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00", "1e30", "NaN"):
            for name in ("since", "until"):
                assert client.get("/runs", params={name: moment}).status_code == 422, moment


def nested(depth: int, inner: str = "1") -> str:
    return "[" * depth + inner + "]" * depth


BODIES = [
    *(
        '{"spec": {"name": "deep", "url": "http://127.0.0.1:9/", "body": ' + nested(depth) + "}}"
        for depth in (70, 450, 900, 5_000)
    ),
    *('{"spec": ' + '{"a":' * depth + "1" + "}" * (depth + 1) for depth in (70, 450, 900, 100_000)),
    nested(100_000),
    '{"spec": {"name": "a", "url": "http://127.0.0.1:9/", "timeout": 1e400}}',
    '{"spec": {"name": "a", "url": "http://127.0.0.1:9/", "concurrency": ' + "9" * 5_000 + "}}",
    '{"spec": {"name": "a", "url": "http://127.0.0.1:9/", "concurrency": ' + "9" * 300 + "}}",
    '{"spec": {"name": "\\ud800", "url": "http://127.0.0.1:9/"}}',
    '{"spec": {"name": "a", "url": "http://127.0.0.1:9/", "headers": {"\\udfff": "b"}}}',
    '{"spec": {"name": "a", "url": "http://127.0.0.1:9/", "timeout": NaN}}',
    '{"spec": {"name": "a", "url": "http://[", "method": "\\u0000"}}',
]


@pytest.mark.parametrize("path", ["/specs/validate", "/specs/try", "/runs", "/tests", "/schedules", "/session"])
def test_hostile_json_is_4xx(guarded: ApiServer, path: str) -> None:
    with guarded.client(**{"X-API-Key": KEY, "Content-Type": "application/json"}) as client:
        for body in BODIES:
            found = client.post(path, content=body)
            good = (200,) if path == "/specs/validate" else ()
            assert found.status_code in (400, 413, 422, *good), (body[:80], found.text[:300])
            assert len(found.content) < 60_000
        assert client.get("/tests").status_code == 200
        assert client.get("/runs").json()["total"] == 0


LARGE = 1024 * 1024 - 2_000 if PROFILE == "prove" else 256 * 1024
"""A body as large as a server takes, and in `make test` a quarter of that."""
URL = "http://127.0.0.1:9/"


def with_endpoints(size: int, shape: str) -> str:
    """A spec of this size whose endpoints are numbered copies of this shape."""
    count = size // (len(shape) + 8)
    return '{"spec":{"name":"a","endpoints":[' + ",".join(shape.replace("#", str(n)) for n in range(count)) + "]}}"


def with_fields(**fields: Any) -> str:
    return json.dumps({"spec": {"name": "a", "url": URL, **fields}})


WORST = {
    "suggestions": with_fields(
        variables={f"user_identity_{n}": "1" for n in range(LARGE // 80)},
        body="".join(f"{{{{user_identety_{n}}}}}" for n in range(LARGE // 50)),
    ),
    "unclosed": with_fields(body="{{" * (LARGE // 2)),
    "spaces": with_fields(body="{{" + " " * LARGE + "x}}"),
    "expansion": with_fields(variables={"a": "x" * (LARGE // 2)}, body="{{a}}" * (LARGE // 12)),
    "unknown fields": with_fields(**{f"field_{n}": 1 for n in range(LARGE // 20)}),
    "origins": with_endpoints(LARGE, '{"name":"#","url":"http://h#.test/"}'),
    "equal names": with_endpoints(LARGE, '{"name":"same","url":"http://127.0.0.1:9/"}'),
    "headers": with_fields(headers={f"X-{n}": "a" for n in range(LARGE // 20)}),
    "backslashes": with_fields(url="\\" * (LARGE // 2)),
    "parameters": with_fields(url=URL + "?" + "&token=" * (LARGE // 7)),
    "thresholds": with_fields(thresholds=[f'p99 < 1s on "e{n}"' for n in range(LARGE // 30)]),
    "body": with_fields(body={f"password{n}": "{{a}}" for n in range(LARGE // 30)}),
    "text": with_fields(body="password=a&" * (LARGE // 11)),
    "brackets": '{"spec":{"name":"a","url":"http://127.0.0.1:9/","body":[' + "[]," * (LARGE // 4) + "[]]}}",
}
CURL = 199_000 if PROFILE == "prove" else 50_000
COMMANDS = {
    "curl headers": "curl http://a/ " + " ".join(f"-H 'X-{n}: a'" for n in range(CURL // 18)),
    "curl cookies": "curl http://a/ " + "-H 'Cookie: a=b' " * (CURL // 17),
    "curl backslashes": "curl " + "\\" * CURL,
    "curl quotes": "curl " + "'\\''" * (CURL // 4),
    "curl braces": "curl 'http://a/" + "{a,b}" * (CURL // 6) + "'",
    "curl data": "curl http://a/ " + "-d a=b " * (CURL // 8),
}
HEALTH_SECONDS = 0.2


@pytest.mark.parametrize("kind", [*WORST, *COMMANDS])
def test_a_large_body_of_the_worst_keeps_nobody_waiting(guarded: ApiServer, kind: str) -> None:
    """Each is answered within seconds, and the health of the server within a fraction of one meanwhile."""
    body = WORST.get(kind) or json.dumps({"command": COMMANDS[kind]})
    path = "specs/validate" if kind in WORST else "import/curl"
    answers: list[httpx.Response] = []

    def ask() -> None:
        headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
        url = f"{guarded.url}/api/v1/{path}"
        answers.append(httpx.post(url, content=body, headers=headers, trust_env=False, verify=False, timeout=500))

    thread = threading.Thread(target=ask)
    slowest = usual = 0.0
    with httpx.Client(base_url=guarded.url, trust_env=False, verify=False, timeout=240) as client:
        for _ in range(10):
            sent = time.monotonic()
            client.get("/health/live")
            usual = max(usual, time.monotonic() - sent)
        began = time.monotonic()
        thread.start()
        while thread.is_alive():
            sent = time.monotonic()
            assert client.get("/health/live").status_code == 200
            slowest = max(slowest, time.monotonic() - sent)
            time.sleep(0.02)
    thread.join()
    assert answers[0].status_code in (200, 422)
    assert len(answers[0].content) < 4 * LARGE
    assert time.monotonic() - began < allowed(10)
    assert slowest < max(allowed(HEALTH_SECONDS), 20 * usual)
