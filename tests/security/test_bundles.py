"""Attacks by bundles: what is in one is held to what the API accepts, and nothing of it is stored before that."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from atm.testing import TargetServer
from tests.api.server import ApiServer, ended
from tests.runs.installation import spec
from tests.security.sockets import resident_bytes

pytestmark = pytest.mark.timeout(300)

Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(tmp_path_factory.mktemp("bundles") / "data").ready()
    yield started
    log = started.log()
    started.stop()
    assert "Traceback" not in log


@pytest.fixture(scope="module")
def lines(server: ApiServer, running_target: TargetServer) -> Lines:
    """The documents of a good bundle."""
    with server.client() as client:
        made = client.post("/runs", json={"spec": spec(running_target, total_requests=3)}).json()["id"]
        ended(client, made)
        bundle = client.get(f"/runs/{made}/bundle").content
        client.delete(f"/runs/{made}")
    return [json.loads(line) for line in gzip.decompress(bundle).splitlines()]


def packed(lines: Lines) -> bytes:
    return gzip.compress("\n".join(json.dumps(line) for line in lines).encode() + b"\n")


def imported(server: ApiServer, bundle: bytes) -> httpx.Response:
    with server.client(**{"Content-Type": "application/octet-stream"}) as client:
        return client.post("/import/bundle", content=bundle)


def first(lines: Lines, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(line[kind] for line in lines if kind in line)
    return found


def summary(**changes: Any) -> Callable[[Lines], None]:
    return lambda lines: first(lines, "run")["summary"].update(changes)


def in_run(**changes: Any) -> Callable[[Lines], None]:
    return lambda lines: first(lines, "run").update(changes)


def event(**changes: Any) -> Callable[[Lines], None]:
    return lambda lines: first(lines, "event").update(changes)


def nested(depth: int) -> Any:
    document: Any = 1
    for _ in range(depth):
        document = [document]
    return document


ATTACKS: dict[str, Callable[[Lines], None]] = {
    "event without its fields": event(data={}),
    "event of an unknown kind": event(kind="invented"),
    "event in 2099": event(at="2099-01-01T00:00:00Z"),
    "endpoints that are none": lambda lines: first(lines, "event")["data"].update(endpoints=5),
    "end in 2099": summary(completed_at="2099-01-01T00:00:00Z"),
    "start out of range": summary(started_at="9999-12-31T23:59:59-23:00"),
    "made before all time": summary(created_at="0001-01-01T00:00:00+23:00"),
    "no zone": summary(created_at="2026-01-01T00:00:00"),
    "10^30": summary(total_requests=10**30),
    "10^30 in the result": lambda lines: first(lines, "result")["metrics"].update(successful_requests=10**30),
    "10^30 in a second": lambda lines: first(lines, "interval").update(second=10**30),
    "infinite": lambda lines: first(lines, "interval").update(offered=float("inf")),
    "not a number": summary(error_rate=float("nan")),
    "half a character": in_run(notes="\ud800"),
    "half a character in a name": summary(name="\udfff"),
    "deep spec": in_run(spec={"body": nested(900)}),
    "a spec that is a list": in_run(spec={"endpoints": [5]}),
    "a large spec": in_run(spec={"body": "a" * 1_100_000}),
    "100,000 tags": summary(tags=[f"{n:06}" for n in range(100_000)]),
    "a long URL": summary(url="http://a/" + "a" * 500_000),
    "a long name": summary(name="a" * 257),
    "a long method": summary(method="A" * 1_000),
    "long notes": in_run(notes="a" * 20_001),
    "a long message": summary(error_message="a" * 30_000),
    "an id that is a path": summary(id="../../x"),
    "a line that is too long": in_run(more="a" * 5_000_000),
    "nothing but braces": in_run(more=[[]] * 200_000),
    "no end": lambda lines: lines.__delitem__(-1),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_the_api_would_refuse_is_refused_and_leaves_nothing(server: ApiServer, lines: Lines, name: str) -> None:
    changed: Lines = json.loads(json.dumps(lines))
    ATTACKS[name](changed)
    answer = imported(server, packed(changed))
    assert answer.status_code == 422, answer.text[:500]
    assert len(answer.content) < 5_000
    assert str(server.data_dir) not in answer.text
    with server.client() as client:
        assert client.get("/runs").json()["total"] == 0
        assert client.get("/tests").status_code == 200
        assert httpx.get(f"{server.url}/metrics", trust_env=False, verify=False).status_code == 200


@pytest.mark.parametrize(
    "line", ["[" * 100_000, '{"a":' * 100_000, "9" * 100_000, '{"run": ' + "9" * 5_000 + "}", "null", "[]", "{", "\xff"]
)
def test_lines_that_are_hostile_json_are_refused(server: ApiServer, lines: Lines, line: str) -> None:
    head = json.dumps(lines[0])
    assert imported(server, gzip.compress(f"{head}\n{line}\n".encode("latin-1"))).status_code == 422
    assert imported(server, gzip.compress(f"{line}\n".encode("latin-1"))).status_code == 422


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_a_small_file_does_not_become_a_mountain(server: ApiServer, lines: Lines) -> None:
    before = resident_bytes(server.process.pid)
    for piece in (b" " * 1_000_000, b"[]," * 300_000):
        file = io.BytesIO()
        with gzip.GzipFile(fileobj=file, mode="wb") as bomb:
            bomb.write(json.dumps(lines[0]).encode() + b"\n")
            for _ in range(100):
                bomb.write(piece)
        assert imported(server, file.getvalue()).status_code == 422
    assert resident_bytes(server.process.pid) - before < 100_000_000


def test_a_good_bundle_comes_in_once_and_again_under_another_id(server: ApiServer, lines: Lines) -> None:
    with server.client(**{"Content-Type": "application/octet-stream"}) as client:
        assert client.post("/import/bundle", content=packed(lines)).status_code == 201
        assert client.post("/import/bundle", content=packed(lines)).status_code == 409
        assert client.post("/import/bundle", params={"id": "copy"}, content=packed(lines)).status_code == 201
        assert client.delete("/runs/copy").is_success
        assert httpx.get(f"{server.url}/metrics", trust_env=False, verify=False).status_code == 200
