from __future__ import annotations

import gzip
import time
import zlib

from atm.testing import TargetServer
from tests.steadiness import allowed
from tests.testing.wire import Wire


def test_a_chunked_body_has_its_chunks_and_trailers(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        answer = wire.get("/chunked?chunks=3&size=10&trailers=2")
        assert answer.body == b"0123456789" * 3
        assert answer.headers["trailer"] == "X-Trailer-1, X-Trailer-2"
        assert wire.get("/chunked?chunks=0").body == b""
        assert len(wire.get("/chunked?chunks=1000&size=1000").body) == 1_000_000
        began = time.monotonic()
        assert len(wire.get("/chunked?chunks=4&size=10&every_ms=10").body) == 40
        assert time.monotonic() - began >= 0.05


def test_gzip_and_deflate_decode_to_the_same_text(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        packed = wire.get("/gzip?bytes=5000")
        assert packed.headers["content-encoding"] == "gzip"
        text = gzip.decompress(packed.body)
        assert len(text) == 5000
        assert zlib.decompress(wire.get("/deflate?bytes=5000").body) == text


def test_a_large_body_arrives_whole_and_counts_every_byte(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        answer = wire.get("/bytes/20000001")
        assert len(answer.body) == 20_000_001
    row = target.record()[0]
    assert row.sent_bytes == len(answer.head) + 20_000_001


def test_a_large_upload_is_counted_without_being_kept(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        assert wire.get("/", method="POST", body=b"z" * 5_000_000).status == 200
    assert target.record()[0].body_bytes == 5_000_000


def test_a_slow_body_takes_its_time(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        began = time.monotonic()
        assert len(wire.get("/slow?bytes=1001&seconds=0.2").body) == 1001
        assert 0.2 <= time.monotonic() - began < 0.2 + allowed(0.8)


def test_a_body_until_close_ends_with_the_connection(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        answer = wire.get("/until-close?bytes=300000")
        assert len(answer.body) == 300_000
        assert "content-length" not in answer.headers
    assert target.settled_stats().completed == 1


def test_interim_answers_come_before_the_final_one(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        assert wire.get("/early-hints?count=2").status == 103
        assert wire.answer().status == 103
        assert wire.answer().status == 200
        wire.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert wire.answer().status == 100
        wire.send(b"ab")
        assert wire.answer().status == 200


def test_a_keep_alive_connection_ends_after_n_requests(target: TargetServer) -> None:
    for silent in (0, 1):
        with Wire(target.port) as wire:
            target_path = f"/keep-alive/2?silent={silent}"
            assert wire.get(target_path).body == b"more to come\n"
            last = wire.get(target_path)
            assert last.headers.get("connection") == (None if silent else "close")
            assert wire.everything() == b""
    assert target.settled_stats().completed == 4


def test_http_1_0_closes_unless_it_asks_to_stay(target: TargetServer) -> None:
    with Wire(target.port) as wire:
        wire.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert wire.answer().headers["connection"] == "keep-alive"
        wire.send(b"GET / HTTP/1.0\r\n\r\n")
        assert wire.answer().headers["connection"] == "close"
        assert wire.everything() == b""
