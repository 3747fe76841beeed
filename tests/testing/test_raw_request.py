from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atm.testing.target_server.raw_request import message_length
from tests.testing.wire import request

bodies = st.binary(max_size=60)


def chunked(pieces: list[bytes], trailers: list[str]) -> bytes:
    head = b"POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n"
    chunks = b"".join(b"%X;x=y\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)
    return head + chunks + b"0\r\n" + "".join(f"{name}: 1\r\n" for name in trailers).encode() + b"\r\n"


messages = st.one_of(
    st.builds(lambda body: request("/", method="POST", body=body), bodies),
    st.builds(chunked, st.lists(bodies, max_size=4), st.lists(st.sampled_from(["T", "Other"]), max_size=2)),
)


@given(message=messages, after=bodies)
def test_a_message_ends_where_it_ends_whatever_follows(message: bytes, after: bytes) -> None:
    assert message_length(message + after) == len(message)


@given(message=messages)
def test_no_beginning_of_a_message_is_taken_for_the_whole(message: bytes) -> None:
    assert all(message_length(message[:end]) is None for end in range(len(message)))
