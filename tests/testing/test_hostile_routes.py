from __future__ import annotations

import base64
import socket
import time

import pytest

from atm.testing import TargetServer
from atm.testing.target_server import Outcome
from tests.testing.wire import Wire, request

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def outcomes(target: TargetServer) -> list[Outcome]:
    target.settled_stats()
    return [row.outcome for row in target.record()]


def test_close_ends_without_a_byte(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        wire.send(request("/close"))
        assert wire.everything() == b""
    assert outcomes(target) == [Outcome.BROKEN]


def test_reset_is_a_reset(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        wire.send(request("/reset"))
        with pytest.raises(ConnectionResetError):
            wire.everything()
    assert outcomes(target) == [Outcome.BROKEN]


def test_half_of_an_answer_is_cut_in_body_or_head(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        wire.send(request("/half?bytes=10"))
        assert wire.everything().endswith(b"\r\n\r\n01234")
    with Wire(target.port) as wire:
        wire.send(request("/half?head=1"))
        assert b"\r\n\r\n" not in wire.everything()
    with Wire(target.port) as wire:
        wire.send(request("/half?bytes=10&reset=1"))
        assert wire.head().headers["content-length"] == "10"
        with pytest.raises(ConnectionResetError):
            wire.everything()
    assert outcomes(target) == [Outcome.BROKEN] * 3


def test_garbage_is_no_http_and_differs_by_request(target: TargetServer) -> None:
    seen = []
    for _ in range(2):
        with Wire(target.port) as wire:
            wire.send(request("/garbage?bytes=64&seed=3"))
            seen.append(wire.everything())
    assert [len(data) for data in seen] == [64, 64]
    assert seen[0] != seen[1]
    assert not seen[0].startswith(b"HTTP/")


def test_the_endless_header_ends_at_its_limit(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        wire.send(request("/endless-header"))
        data = wire.everything()
    assert b"\r\n\r\n" not in data
    assert 1 << 20 <= len(data) < (1 << 20) + 10_000


def test_a_wrong_length_lies_both_ways(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        wire.send(request("/wrong-length?declared=10000000000&sent=3"))
        assert wire.everything().endswith(b"Content-Length: 10000000000\r\n\r\n012")
    with Wire(target.port) as wire:
        assert wire.get("/wrong-length?declared=3&sent=5").body == b"012"
        assert wire.exactly(2) == b"34"
    assert outcomes(target) == [Outcome.BROKEN, Outcome.COMPLETED]


def test_never_is_in_progress_until_the_client_goes(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        wire.send(request("/never"))
        wire.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            wire.everything()
        assert target.stats().in_progress == 1
    assert outcomes(target) == [Outcome.ABORTED]


def test_a_client_that_gives_up_during_a_delay_aborts(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        wire.send(request("/delay/60000"))
        time.sleep(0.02)
    assert outcomes(target) == [Outcome.ABORTED]


def test_an_early_answer_comes_before_the_body(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        wire.send(b"POST /early-answer HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n")
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        wire.send(b"z" * 400_000)
        assert wire.everything() == b"", "it read the body and closed in order"
    assert outcomes(target) == [Outcome.COMPLETED]


@pytest.mark.parametrize("cut", [0, 1, 17, len(ANSWER) - 1])
def test_raw_bytes_can_be_cut_anywhere(target: TargetServer, cut: int) -> None:
    encoded = base64.urlsafe_b64encode(ANSWER).decode().rstrip("=")
    with Wire(target.port) as wire:
        wire.send(request(f"/raw?base64={encoded}&cut={cut}"))
        assert wire.everything() == ANSWER[:cut]
    assert outcomes(target) == [Outcome.BROKEN]


def test_raw_bytes_can_come_one_by_one_and_be_a_full_answer(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        route = "/raw?at_a_time=1&every_ms=1&then=keep&complete=200"
        assert wire.get(route, method="POST", body=ANSWER).body == b"hello"
        assert wire.get("/").status == 200
        row = target.record()[0]
        assert (row.status, row.sent_bytes, row.outcome) == (200, len(ANSWER), Outcome.COMPLETED)
        assert row.service_ns is not None
        assert row.service_ns >= (len(ANSWER) - 1) * 1_000_000


def test_what_is_no_request_is_answered_400_and_counted(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert wire.everything().startswith(b"HTTP/1.1 400 ")
    assert (target.stats().bad_requests, target.stats().received) == (1, 0)


def test_a_wish_to_upgrade_is_answered_in_http_1_1(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        answer = wire.get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert wire.everything() == b""


def test_requests_behind_a_closing_one_are_broken_not_aborted(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        wire.send(request("/keep-alive/1") + request("/") + request("/"))
        assert wire.answer().headers["connection"] == "close"
        assert wire.everything() == b""
    assert outcomes(target) == [Outcome.COMPLETED, Outcome.BROKEN, Outcome.BROKEN]


def test_a_client_that_does_not_read_holds_the_answer_back(target: TargetServer) -> None:
    client = socket.create_connection(("127.0.0.1", target.port))
    client.sendall(request("/bytes/500000000"))
    time.sleep(0.1)
    assert target.stats().in_progress == 1
    client.close()
    row_outcomes = outcomes(target)
    assert row_outcomes == [Outcome.ABORTED]
    assert target.record()[0].sent_bytes < 100_000_000
