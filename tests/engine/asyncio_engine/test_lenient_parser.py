from __future__ import annotations

import pytest

from atm.engine.asyncio_engine.transport.lenient_parser import may_be_normalised, normalised


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\t c\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b c\r\n\r\n"),
        (b"HTTP/1.1 200 OK\nA: b\n c\n\n", b"HTTP/1.1 200 OK\r\nA: b c\r\n\r\n"),
        (
            b"HTTP/1.1 200 OK\r\nContent-length: 5\r\nA: b\r\nContent-Length:5,5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\n",
        ),
        (
            b"HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
            b"HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        ),
    ],
)
def test_what_a_client_must_accept_is_normalised(head: bytes, words: bytes) -> None:
    assert may_be_normalised(head)
    assert normalised(head) == words


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_lengths_that_contradict_each_other_stay_so(head: bytes) -> None:
    assert normalised(head) == head


@pytest.mark.parametrize("noise", [b"220 mail.test\n", b"\n \n", b"HTTP/2 200\n\n", b""])
def test_what_is_no_answer_is_left_to_the_parser(noise: bytes) -> None:
    assert not may_be_normalised(noise)
