"""Heads that llhttp refuses although a client is to understand them, put into words that it takes.

RFC 9112 wants folded values read (section 5.2) and equal lengths that are given more than once taken for one (6.3), and
lets lines end without CR (2.2). None of that is ordinary, so no ordinary answer comes here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httptools

from atm.engine.asyncio_engine.response_head import response_head

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.connection import Connection

_RESTATABLE = re.compile(rb"(?is)\n[ \t]|[^\r]\n|\ncontent-length:[^\n]*,|\ncontent-length:.*\ncontent-length")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:([^\r\n]*)")
_FOLD = re.compile(rb"[ \t]*\r\n[ \t]+")
_BARE_FEED = re.compile(rb"(?<!\r)\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n\Z")


def response_parser(connection: Connection) -> Any:
    """llhttp for answers, taking the space with which some servers fill up the size of a chunk."""
    parser = httptools.HttpResponseParser(connection)
    parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
    return parser


def may_be_restated(raw: bytes) -> bool:
    """Whether what there is of a head could be one of those."""
    return raw.startswith(b"HTTP/1.") and _RESTATABLE.search(raw) is not None


def restated(heads: bytes) -> bytes:
    """The same heads (1xx come first) with each value in one line, each line ended by CR LF, and one Content-Length."""
    heads = _FOLD.sub(b" ", _BARE_FEED.sub(b"\r\n", heads))
    return b"\r\n\r\n".join(_with_one_length(head) for head in heads.split(b"\r\n\r\n"))


def _with_one_length(head: bytes) -> bytes:
    lengths = [length.strip() for found in _LENGTH.finditer(head) for length in found[1].split(b",")]
    if len(lengths) < 2 or len(set(lengths)) > 1:
        return head
    return _LENGTH.sub(b"", head) + b"\r\nContent-Length: " + lengths[0]


class RestatingParser:
    """Stands in for llhttp until a head is whole, then hands it on in other words, with a parser of its own."""

    def __init__(self, connection: Connection, refusal: Exception) -> None:
        self._connection = connection
        self._refusal = refusal
        self._raw = b""

    def feed_data(self, data: bytes) -> None:
        """Raises what llhttp said first where other words change nothing, and what it says of those where it does."""
        self._raw += data
        end = response_head(self._raw).body_at
        if not _HEAD_END.search(self._raw, max(0, end - 4), end):
            return
        head = restated(self._raw[:end])
        if head == self._raw[:end]:
            raise self._refusal
        parser = response_parser(self._connection)
        self._connection.parse_with(parser)
        parser.feed_data(head + self._raw[end:])
