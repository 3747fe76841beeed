from __future__ import annotations

import json
import time

import pytest

from atm.testing import TargetServer
from atm.testing.target_server.distributions import bimodal_ms, lognormal_ms, status_of
from tests.steadiness import allowed
from tests.testing.wire import Wire, request


def test_the_plain_routes_answer_with_exact_lengths(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        assert wire.get("/").body == b"hello from the target server\n"
        assert wire.get("/fixed?bytes=12345").body == b"x" * 12345


def test_head_and_204_and_304_have_no_body(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        head = wire.get("/fixed?bytes=100", method="HEAD")
        assert head.headers["content-length"] == "100"
        no_content = wire.get("/status/204")
        assert "content-length" not in no_content.headers
        assert wire.get("/status/304").status == 304
        for route in ("/bytes/100", "/chunked", "/slow", "/gzip"):
            assert wire.get(route, method="HEAD").status == 200
        assert wire.get("/").status == 200, "nothing was left on the connection"


@pytest.mark.parametrize("code", [200, 201, 301, 400, 404, 429, 500, 503, 599])
def test_a_fixed_status_is_that_status(target: TargetServer, code: int) -> None:
    with Wire(target.port) as wire:
        assert wire.get(f"/status/{code}").status == code


def test_the_status_share_is_what_the_seeded_function_says(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        statuses = [wire.get("/status?ok=201&other=503&share=0.2&seed=9").status for _ in range(300)]
    assert statuses == [status_of(201, 503, 0.2, 9, number) for number in range(1, 301)]
    assert 30 < statuses.count(503) < 90


def test_a_fixed_delay_is_never_shorter_than_asked(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        for _ in range(20):
            began = time.monotonic()
            wire.get("/delay/3")
            assert time.monotonic() - began >= 0.003
    services = [row.service_ns for row in target.record()]
    assert all(service is not None and service >= 3_000_000 for service in services)


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("/lognormal?median_ms=4&sigma=0.8&seed=5", lambda n: lognormal_ms(4, 0.8, 5, n)),
        ("/bimodal?fast_ms=1&slow_ms=20&share=0.3&seed=5", lambda n: bimodal_ms(1, 20, 0.3, 5, n)),
    ],
)
def test_a_seeded_delay_is_a_function_of_the_requests_number(target: TargetServer, route: str, expected) -> None:  # type: ignore[no-untyped-def]
    with Wire(target.port) as wire:
        for _ in range(30):
            wire.get(route)
    late = sorted((row.service_ns or 0) / 1e6 - expected(row.route_number) for row in target.record())
    assert len(late) == 30
    assert 0 <= late[0] <= late[15] < 3
    assert late[-1] < allowed(30)


def test_echo_tells_what_was_sent_and_raw_gives_the_bytes_back(target: TargetServer) -> None:
    sent = request("/echo?q=%20", "X-One: 1", "x-one: 2", method="PUT", body=b'{"a": 1}')
    with Wire(target.port) as wire:
        wire.send(sent)
        echoed = json.loads(wire.answer().body)
        assert (echoed["method"], echoed["target"], echoed["body"]) == ("PUT", "/echo?q=%20", '{"a": 1}')
        assert echoed["headers"][:3] == [["Host", "test"], ["X-One", "1"], ["x-one", "2"]]
        assert json.loads(wire.get("/headers", "A: b").body) == {"headers": [["Host", "test"], ["A", "b"]]}


@pytest.mark.parametrize(
    "body",
    [
        request("/echo/raw", "x-weird:   spaces  ", method="POST", body=b"\x00\xff\r\n\r\n"),
        b"POST /echo/raw HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n"
        b"3;ext=1\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 100000])
def test_raw_echo_is_exact_however_the_bytes_arrive_and_when_pipelined(
    target: TargetServer, body: bytes, piece: int
) -> None:
    everything = request("/") + body + request("/fixed?bytes=1", method="POST", body=b"zz") + body
    with Wire(target.port) as wire:
        for start in range(0, len(everything), piece):
            wire.send(everything[start : start + piece])
        assert wire.answer().status == 200
        assert wire.answer().body == body
        assert wire.answer().body == b"x"
        assert wire.answer().body == body


def test_redirects_count_down_cross_origins_and_loop(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        assert wire.get("/redirect/2?status=307").headers["location"] == "/redirect/1?status=307"
        crossing = wire.get("/redirect/1?to=http://localhost:1").headers["location"]
        assert crossing == "http://localhost:1/redirect/0?status=302"
        assert wire.get("/redirect/0").status == 200
        assert wire.get("/redirect/loop").headers["location"] == "/redirect/loop"


def test_a_bad_parameter_is_a_sentence(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        assert wire.get("/delay/soon").body == b"ms=soon is no number\n"
        assert wire.get("/status/1000").body == b"code=1000 is not between 200 and 599\n"
        assert wire.get("/bimodal?fast_ms=1").body == b"/bimodal needs slow_ms=\n"
        assert wire.get("/nowhere").status == 404
    assert target.stats().statuses == {400: 3, 404: 1}


def test_as_names_the_route_in_the_record(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        for name in ("a", "b", "a"):
            wire.get(f"/status/200?as={name}", f"X-Request-Number: {len(name)}7")
        wire.get("/orders/1")
        wire.get("/orders/2")
    stats = target.stats()
    assert {name: route.received for name, route in stats.routes.items()} == {"a": 2, "b": 1, "/orders/{id}": 2}
    assert [row.client_number for row in target.record()] == [17, 17, 17, None, None]


def test_the_shop_takes_orders_and_fails_some_of_them(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        assert len(json.loads(wire.get("/users").body)) == 4
        assert json.loads(wire.get("/orders/42").body)["id"] == "42"
        assert wire.get("/orders").status == 405
        assert wire.get("/orders", method="POST", body=b"{}").status == 201


def test_a_rate_limit_refuses_what_is_too_much_and_says_when_to_come_back(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        answers = [wire.get("/ratelimit?limit=3&window_ms=3600000&as=limited") for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert 3500 < int(answers[-1].headers["retry-after"]) <= 3600


def test_the_health_route_answers_at_once(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        assert json.loads(wire.get("/health").body) == {"status": "ok"}
