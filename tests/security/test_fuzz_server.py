"""Thousands of requests by seed over raw sockets, hostile ones among them: no fault, none slow, nothing kept."""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from atm.testing import TargetServer
from tests.api.server import ApiServer, ended
from tests.examples import PROFILE
from tests.runs.installation import spec
from tests.security.sockets import connected, resident_bytes
from tests.steadiness import allowed

pytestmark = pytest.mark.timeout(1_700 if PROFILE == "prove" else 580)

KEY = "9f1c6e0b7a3d5824c1e97b60d4f8a2534be17c09"
REQUESTS = 400_000 if PROFILE == "prove" else 3_000
WARM_UP = max(REQUESTS // 5, 2_000)
"""Once every route has been imported and every cache filled, memory must not grow."""
PIPELINED = 40
ATTACKERS = 2
"""Connections at a time."""
DOCUMENT = json.loads((Path(__file__).parents[2] / "openapi.json").read_text())
STREAMS = ("/events", "/ws", "/demo", "/specs/try")
"""What never ends, or starts load of its own."""
ROUTES = sorted(
    (method.upper(), path)
    for path, operations in DOCUMENT["paths"].items()
    for method in operations
    if not path.endswith(STREAMS) and "bundle" not in path
)
COSTLY = ("/metrics", "/api/v1/storage/overview")
"""Requested less often: each runs dozens of statements."""
NASTY = [
    *(
        "..",
        "%2e%2e",
        "%00",
        "%0a",
        "%0d%0a",
        "%ff",
        "%c0%ae",
        "%u0041",
        "%",
        "%zz",
        "//",
        ";",
        "\\",
        "'",
        '"',
        "<x>",
        "*",
    ),
    *(
        "0",
        "-1",
        "1e400",
        "9" * 40,
        "NaN",
        "null",
        "true",
        "[]",
        "{}",
        "a" * 300,
        "%F0%9F%92%A9",
        "%ED%A0%80",
        "~",
        "#",
        "?",
    ),
    *(
        "9999-12-31T23:59:59-23:00",
        "0001-01-01T00:00:00%2B23:00",
        "0123456789ab",
        "' OR 1=1 --",
        "${x}",
        "{{env:PATH}}",
    ),
]
HEADERS = ["Origin", "Host", "Cookie", "Authorization", "X-API-Key", "Content-Type", "Accept", "Range", "If-None-Match"]
HEADERS += [
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "Forwarded",
    "Last-Event-ID",
    "Idempotency-Key",
    "Upgrade",
    "Connection",
]
HEADERS += ["Transfer-Encoding", "Content-Length", "Expect", "Sec-Fetch-Site", "X-ATM-Source", "Accept-Encoding", "Via"]
VALUES = [
    *(
        "http://[",
        "null",
        "http://127.0.0.1",
        "*/*",
        "application/json",
        "text/html; charset=\xff",
        "bytes=0-",
        "W/",
        "=;=;=",
    ),
    *(
        "a=b; atm_session=x",
        "atm_session=" + "A" * 3_000,
        "Bearer ",
        "Basic Og==",
        "chunked",
        "identity",
        "0",
        "-1",
        "9" * 30,
    ),
    *(
        "websocket",
        "h2c",
        "keep-alive, upgrade",
        "close",
        "100-continue",
        "cross-site",
        "for=[::1",
        "\x7f",
        "a" * 5_000,
        "é",
    ),
]
CURSORS = [
    "9999-12-31T23:59:59-23:00 a",
    "0001-01-01T00:00:00+23:00 a",
    "2026-01-01T00:00:00+00:00 ../x",
    "x",
    " ",
    "\0",
]
JSONS: list[Any] = [None, True, -1, 10**30, 1e308, "", "a" * 1_000, "\ud800", "\0", [], {}, [[[[]]]], {"a": {"b": []}}]


class Attacker:
    """Makes requests by a seed; those of a batch go over one connection until one ends it."""

    def __init__(self, seed: int, port: int, ids: list[str], bundle: bytes) -> None:
        self._chance = random.Random(seed)
        self.port = port
        self._ids = ids
        self._bundle = bundle

    def batch(self) -> list[tuple[str, bytes]]:
        return [self._request() for _ in range(PIPELINED)]

    def _request(self) -> tuple[str, bytes]:
        kind = self._chance.choices(["route", "path", "head", "cursor", "body", "bundle"], [5, 4, 4, 2, 5, 0.3])[0]
        chance = self._chance
        if kind == "cursor":
            text = base64.urlsafe_b64encode(self._mutated(chance.choice(CURSORS).encode())).decode().rstrip("=")
            return self._wire("GET", f"/api/v1/runs?cursor={text}&limit={chance.choice(['1', '200', '0', 'x'])}")
        if kind == "path":
            path = "/".join(chance.choices([*NASTY, "api", "v1", "runs", "metrics", "assets"], k=chance.randint(1, 5)))
            return self._wire(chance.choice(["GET", "PUT", "DELETE", "PATCH", "TRACE", "X"]), f"/{path}")
        if kind == "bundle":
            data = self._mutated(self._bundle) if chance.random() < 0.5 else self._changed_bundle()
            return self._wire("POST", "/api/v1/import/bundle", data, "Content-Type: application/octet-stream")
        method, template = chance.choice(ROUTES)
        if template in COSTLY and chance.random() < 0.8:
            method, template = chance.choice(ROUTES)
        path = re.sub(r"\{\w+\}", lambda _: chance.choice([*self._ids, *NASTY]), template)
        if kind == "route" and chance.random() < 0.7:
            names = [
                "limit",
                "offset",
                "since",
                "until",
                "text",
                "name",
                "tag",
                "id",
                "start",
                "end",
                "resolution",
                "with",
            ]
            path += "?" + "&".join(
                f"{chance.choice(names)}={chance.choice(NASTY)}" for _ in range(chance.randint(1, 4))
            )
        if kind == "head":
            count = chance.randint(1, 6)
            lines = [f"{chance.choice(HEADERS)}: {chance.choice(VALUES)}" for _ in range(count)]
            return self._wire("GET", path, b"", *lines)
        body = json.dumps(self._document(3)).encode() if method in ("POST", "PUT", "PATCH") else b""
        return self._wire(method, path, self._mutated(body) if chance.random() < 0.2 else body)

    def _document(self, depth: int) -> Any:
        chance = self._chance
        if depth == 0 or chance.random() < 0.3:
            return chance.choice(JSONS)
        if chance.random() < 0.2:
            return [self._document(depth - 1) for _ in range(chance.randint(0, 3))]
        names = [
            "spec",
            "name",
            "url",
            "tags",
            "notes",
            "trigger",
            "type",
            "key",
            "role",
            "enabled",
            "endpoints",
            "test",
        ]
        names += ["thresholds", "headers", "body", "command", "notify", "seconds", "duration", "load", "\ud800", "auth"]
        found = {name: self._document(depth - 1) for name in chance.sample(names, chance.randint(0, 5))}
        if chance.random() < 0.3:
            found["spec"] = {"name": "fuzz", "url": "http://127.0.0.1:9/", **found}
        return found

    def _changed_bundle(self) -> bytes:
        lines = gzip.decompress(self._bundle).splitlines()
        place = self._chance.randrange(len(lines))
        lines[place] = self._mutated(lines[place])
        return gzip.compress(b"\n".join(lines) + b"\n", 1)

    def _mutated(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self._chance.randint(0, 3)):
            if changed:
                changed[self._chance.randrange(len(changed))] = self._chance.randrange(256)
        return bytes(changed)

    def _wire(self, method: str, path: str, body: bytes = b"", *lines: str) -> tuple[str, bytes]:
        target = path.replace(" ", "%20")
        key = [f"X-API-Key: {KEY}"] if self._chance.random() < 0.8 else []
        kind = [] if any(line.startswith("Content-Type") for line in lines) else ["Content-Type: application/json"]
        top = [
            f"{method} {target} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            *key,
            *kind,
            f"Content-Length: {len(body)}",
        ]
        return method, "\r\n".join([*top, *lines, "", ""]).encode("latin-1", "replace") + body


class Reader:
    """Answers of one connection, one after the other."""

    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened
        self._data = b""

    def status(self, method: str) -> int | None:
        """Of the next answer; None where the connection has ended."""
        while True:
            top = self._until(b"\r\n\r\n")
            if top is None:
                return None
            status = int(top.split(b" ", 2)[1])
            if status != 100:
                break
        length = re.search(rb"(?im)^content-length: *(\d+)", top)
        if re.search(rb"(?im)^transfer-encoding: *chunked", top):
            while (size := self._until(b"\r\n")) is not None and int(size, 16):
                self._skip(int(size, 16) + 2)
            self._skip(2)
        elif length and method != "HEAD" and status not in (204, 304):
            self._skip(int(length[1]))
        return status

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._data:
            if not self._read():
                return None
        found, _, self._data = self._data.partition(mark)
        return found

    def _skip(self, length: int) -> None:
        while len(self._data) < length and self._read():
            pass
        self._data = self._data[length:]

    def _read(self) -> bool:
        try:
            piece = self._opened.recv(262_144)
        except ConnectionResetError:
            return False
        self._data += piece
        return bool(piece)


@dataclass
class Answers:
    """What came back: statuses, and the longest wait for one in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0


def attack(attackers: list[Attacker], requests: int) -> Answers:
    """Send this many requests at least, from all attackers at once. Fails where one is answered with 500 or above."""
    with ThreadPoolExecutor(len(attackers)) as pool:
        parts = list(pool.map(lambda attacker: _attack(attacker, -(-requests // len(attackers))), attackers))
    return Answers(sum((part.statuses for part in parts), Counter()), max(part.slowest for part in parts))


def _attack(attacker: Attacker, requests: int) -> Answers:
    answers = Answers()
    while answers.statuses.total() < requests:
        batch = attacker.batch()
        with connected(attacker.port) as opened:
            for start in range(0, PIPELINED, 8):
                if not _exchange(opened, batch[start : start + 8], answers):
                    # What comes after a request that ends the connection is not answered.
                    break
    return answers


def _exchange(opened: socket.socket, batch: list[tuple[str, bytes]], answers: Answers) -> bool:
    """Send a few requests at once and read their answers; return whether the connection stays open."""
    with suppress(BrokenPipeError, ConnectionResetError):
        opened.sendall(b"".join(data for _, data in batch))
    reader = Reader(opened)
    for method, data in batch:
        began = time.monotonic()
        status = reader.status(method)
        answers.slowest = max(answers.slowest, time.monotonic() - began)
        if status is None:
            return False
        answers.statuses[status] += 1
        assert status < 500, (status, data[:2_000])
        if status == 101:
            return False
    return True


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Runs that are started wait, and would lead to this machine only."""
    server = ApiServer(
        tmp_path_factory.mktemp("fuzz") / "data",
        API_TEST_MACHINE_API_KEY=KEY,
        ATM_ALLOWED_TARGETS="127.0.0.1",
        ATM_MAX_RATE="10",
        ATM_MAX_REQUESTS="10",
        ATM_AGENT="off",
    ).ready()
    yield server
    log = server.log()
    server.stop()
    assert "Traceback" not in log


def test_nothing_that_is_sent_is_a_fault_or_keeps_others_waiting(
    fuzzed: ApiServer, running_target: TargetServer, request: pytest.FixtureRequest
) -> None:
    seed = int(request.config.getoption("hypothesis_seed"))
    with fuzzed.client(**{"X-API-Key": KEY}) as client:
        run = client.post("/runs", json={"spec": spec(running_target, total_requests=2)}).json()["id"]
        ended(client, run)
        bundle = client.get(f"/runs/{run}/bundle").content
        kept = {"name": "kept", "url": "http://127.0.0.1:9/", "total_requests": 2, "concurrency": 2}
        test = client.post("/tests", json={"spec": kept}).json()["id"]
    attackers = [
        Attacker(seed * ATTACKERS + number, fuzzed.port, [run, test, "kept"], bundle) for number in range(ATTACKERS)
    ]
    first = attack(attackers, WARM_UP)
    before = resident_bytes(fuzzed.process.pid) if sys.platform == "linux" else 0
    second = attack(attackers, REQUESTS - WARM_UP)
    statuses, slowest = first.statuses + second.statuses, max(first.slowest, second.slowest)
    assert statuses.total() >= REQUESTS
    assert httpx.get(f"{fuzzed.url}/health/ready", trust_env=False, verify=False).status_code == 200
    assert len(statuses) >= 6, statuses
    assert slowest < allowed(1), f"slowest {slowest:.2f} s"
    if before:
        assert resident_bytes(fuzzed.process.pid) - before < 50_000_000
