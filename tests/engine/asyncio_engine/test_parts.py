"""The parts of the engine that are pure enough to be looked at alone."""

from __future__ import annotations

import errno
import gc
import socket
import ssl
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.engine.asyncio_engine.engine import SWITCH_INTERVAL, tuned_interpreter
from atm.engine.asyncio_engine.responses import dechunked, decoded, response_head
from atm.engine.asyncio_engine.transport.failures import connect_failure, tls_failure
from atm.models.outcome import Outcome
from tests.examples import examples


def test_the_interpreter_is_tuned_during_a_run_and_as_before_after_it() -> None:
    before = (sys.getswitchinterval(), gc.get_threshold())
    with tuned_interpreter():
        assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL)
        with tuned_interpreter():
            pass
        assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL)
        assert gc.get_freeze_count() > 0
    assert (sys.getswitchinterval(), gc.get_threshold()) == before
    assert gc.get_freeze_count() == 0


def test_bodies_are_decoded_as_far_as_they_can_be() -> None:
    text = b"hello " * 100
    assert decoded(zlib.compress(text), "deflate", 10_000) == text
    raw = zlib.compressobj(wbits=-15)
    assert decoded(raw.compress(text) + raw.flush(), "Deflate", 10_000) == text
    packed = zlib.compressobj(wbits=31)
    gzip = packed.compress(text) + packed.flush()
    assert decoded(gzip, "gzip", 10_000) == text
    assert decoded(gzip, "gzip", 7) == text[:7]
    assert text.startswith(decoded(gzip[:20], "gzip", 10_000))
    assert decoded(text, "gzip", 10_000) == text
    assert decoded(text, "br", 5) == text[:5]
    assert decoded(zlib.compress(b"\0" * 10_000_000), "deflate", 1_000) == b"\0" * 1_000


def test_a_head_is_read_past_interim_answers() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
    raw = interim + b"HTTP/1.1 200 OK\r\nX-A:  b \r\nTransfer-Encoding: gzip, chunked\r\n\r\nbody"
    head = response_head(raw)
    assert head.status_line == "HTTP/1.1 200 OK"
    assert head.get("x-a") == "b"
    assert head.is_chunked
    assert raw[head.body_at :] == b"body"
    assert response_head(b"garbage").status_line == "garbage"
    assert response_head(b"").headers == ()


@given(st.lists(st.binary(min_size=1, max_size=50)), st.integers(0, 400))
@examples(100)
def test_chunks_are_joined_and_a_cut_ends_them(chunks: list[bytes], cut: int) -> None:
    raw = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    assert dechunked(raw) == b"".join(chunks)
    assert b"".join(chunks).startswith(dechunked(raw[:cut]))


def test_errors_of_sockets_have_an_outcome_and_a_message() -> None:
    for number, outcome, message in (
        ("ECONNREFUSED", Outcome.CONNECT_ERROR, "connection refused"),
        ("ENETUNREACH", Outcome.CONNECT_ERROR, "network unreachable"),
        ("EHOSTUNREACH", Outcome.CONNECT_ERROR, "no route to host"),
        ("EADDRNOTAVAIL", Outcome.GENERATOR_ERROR, "no free local port"),
        ("EMFILE", Outcome.GENERATOR_ERROR, "no free file descriptor"),
        ("EPIPE", Outcome.CONNECT_ERROR, "broken pipe"),
    ):
        assert connect_failure(OSError(getattr(errno, number), "")) == (outcome, message)
    assert connect_failure(socket.gaierror("odd")) == (Outcome.CONNECT_ERROR, "odd")
    assert tls_failure(ConnectionResetError()) == "closed during the handshake"
    assert tls_failure(ssl.SSLError(1, "WRONG_VERSION_NUMBER")) == "wrong version number"
