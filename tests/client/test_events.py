"""Server-sent events as the standard has them, however the network cuts them up."""

from __future__ import annotations

import itertools

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.client.events import Message, MessageParser, messages

STREAM = (
    ": a comment\r\nretry: 2500\r\n\r\n"
    "id: 1\nevent: started\ndata: {}\n\n"
    "data: first\rdata:second\rdata\r\r"
    "event: lonely\n\n"
    "id: 7\nunknown: field\ndata:  two spaces, \u2028 no end of a line\n\n"
    "data: never completed"
).encode()
EXPECTED = [
    Message("started", "{}", "1"),
    Message("message", "first\nsecond\n", "1"),
    Message("message", " two spaces, \u2028 no end of a line", "7"),
]


class _Pieces(httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        for piece in self._pieces:
            yield piece


async def read(pieces: list[bytes]) -> tuple[list[Message], MessageParser]:
    parser = MessageParser()
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=_Pieces(pieces))
    return [message async for message in messages(response, parser)], parser


@pytest.mark.anyio
async def test_a_stream_is_read_as_the_standard_says() -> None:
    found, parser = await read([STREAM])
    assert found == EXPECTED
    assert (parser.last_id, parser.retry_seconds) == ("7", 2.5)


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_where_the_network_cuts_it_does_not_matter(cuts: list[int]) -> None:
    import asyncio

    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in itertools.pairwise(edges) if end > start]
    found, _ = asyncio.run(read(pieces))
    assert found == EXPECTED


@given(fields=st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])), min_size=1))
def test_any_data_comes_through_as_it_was(fields: list[str]) -> None:
    parser = MessageParser()
    for line in fields:
        assert parser.line(f"data: {line}") is None
    assert parser.line("") == Message("message", "\n".join(fields), "")
