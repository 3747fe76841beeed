"""What is sent, byte for byte: every engine renders the same."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from atm.engine.base import Engine
from atm.plan.connections import Connections
from atm.plan.randomness import random_int, uuid4
from atm.plan.template_parts import Encoding
from atm.testing import TargetServer
from tests.contract.engine_runs import run
from tests.contract.plans import closed, http, plan, step


def sent(target: TargetServer, route: str = "/echo/raw") -> list[bytes]:
    return [request.raw or b"" for request in target.captured() if request.route.startswith(route)]


def test_a_request_is_written_as_the_plan_says(engine: Engine, target: TargetServer) -> None:
    one = step("/echo/raw?a=1&b=%25", headers=(("X-B", "two"), ("x-a", "ÿ one")))
    ran = run(engine, plan(http(target), one))
    expected = "GET /echo/raw?a=1&b=%25 HTTP/1.1\r\nHost: target.test\r\nX-B: two\r\nx-a: ÿ one\r\n\r\n".encode()
    assert sent(target) == [expected]
    assert ran.total().bytes_sent == len(expected)


def test_content_length_stands_last_where_there_is_a_body_or_should_be(engine: Engine, target: TargetServer) -> None:
    for method, body, length in (
        ("POST", "añ%", b"Content-Length: 4\r\n"),
        ("POST", None, b"Content-Length: 0\r\n"),
        ("PUT", None, b"Content-Length: 0\r\n"),
        ("PATCH", "", b"Content-Length: 0\r\n"),
        ("DELETE", None, b""),
        ("DELETE", "x", b"Content-Length: 1\r\n"),
        ("GET", "x", b"Content-Length: 1\r\n"),
        ("OPTIONS", None, b""),
    ):
        target.reset()
        run(engine, plan(http(target), step("/echo/raw", method=method, body=body, headers=(("X-A", "b"),))))
        head = f"{method} /echo/raw HTTP/1.1\r\nHost: target.test\r\nX-A: b\r\n".encode()
        assert sent(target) == [head + length + b"\r\n" + (body or "").encode()]


def test_variables_are_functions_of_seed_and_number(engine: Engine, target: TargetServer) -> None:
    one = step(
        "/echo/raw?id={{uuid}}&n={{request_number}}",
        method="POST",
        headers=(("X-Id", "{{uuid}}"), ("X-Random", "{{random_int}}")),
        body='{"n": {{request_number}}, "id": "{{uuid}}", "r": {{random_int}}, "100%": 1}',
        encoding=Encoding.JSON,
    )
    run(engine, plan(http(target), one, load=closed(3), total=120, seed=424242))
    found = {}
    for raw in sent(target):
        number = int(re.search(rb"&n=(\d+) ", raw)[1])  # type: ignore[index]
        found[number] = raw
    assert sorted(found) == list(range(1, 121))
    for number, raw in found.items():
        identity, random = uuid4(424242, number), random_int(424242, number)
        body = f'{{"n": {number}, "id": "{identity}", "r": {random}, "100%": 1}}'
        assert (
            raw
            == (
                f"POST /echo/raw?id={identity}&n={number} HTTP/1.1\r\nHost: target.test\r\nX-Id: {identity}\r\n"
                f"X-Random: {random}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )


def test_times_are_of_the_moment(engine: Engine, target: TargetServer) -> None:
    import time
    from datetime import UTC, datetime

    before = datetime.now(UTC)
    run(engine, plan(http(target), step("/echo/raw", headers=(("X-T", "{{timestamp}} {{timestamp_unix}}"),))))
    text = re.search(rb"X-T: (\S+) (\S+)\r\n", sent(target)[0])
    assert text
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", text[1].decode())
    assert before <= datetime.fromisoformat(text[1].decode()) <= datetime.now(UTC)
    assert abs(int(text[2]) - time.time()) < 5
    target.reset()
    run(engine, plan(http(target), step("/echo/raw?t={{timestamp}}", encoding=Encoding.PERCENT)))
    assert re.search(rb"\?t=\d{4}-\d\d-\d\dT\d\d%3A\d\d%3A\d\d\.\d{6}%2B00%3A00 ", sent(target)[0])


def test_secrets_are_encoded_for_their_place(engine: Engine, target: TargetServer) -> None:
    value = 'a b/"ü\\%?~'
    one = step(
        "/echo/raw?k={{secret:key}}", method="POST", body='{"k": "{{secret:key}}"}', encoding=Encoding.JSON,
        headers=(("X-Key", "{{secret:key}}"),),
    )  # fmt: skip
    run(engine, plan(http(target), one), {"key": value})
    raw = sent(target)[0]
    assert f"?k={quote(value, safe='')} ".encode() in raw
    assert f"X-Key: {value}\r\n".encode() in raw
    assert json.loads(raw.partition(b"\r\n\r\n")[2]) == {"k": value}


def test_a_connection_is_not_asked_to_close(engine: Engine, target: TargetServer) -> None:
    run(engine, plan(http(target), step("/echo/raw"), connections=Connections(keep_alive=False)))
    assert sent(target) == [b"GET /echo/raw HTTP/1.1\r\nHost: target.test\r\n\r\n"]


def test_a_large_body_arrives_whole(engine: Engine, target: TargetServer) -> None:
    body = "0123456789" * 300_000
    ran = run(engine, plan(http(target), step("/fixed", method="PUT", body=body), load=closed(2), total=6))
    assert ran.total().ok == 6
    assert [row.body_bytes for row in target.record()] == [3_000_000] * 6
    assert ran.total().bytes_sent > 18_000_000
