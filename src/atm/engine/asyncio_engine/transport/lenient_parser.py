"""Normalise response heads that llhttp rejects although RFC 9112 requires clients to accept them.

RFC 9112 wants folded values read (section 5.2) and equal lengths that are given more than once taken for one (6.3), and
lets lines end without CR (2.2). None of that is ordinary, so no ordinary answer comes here.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import httptools

from atm.engine.asyncio_engine.responses import response_head

_UNUSUAL = re.compile(rb"(?is)\n[ \t]|[^\r]\n|\ncontent-length:[^\n]*,|\ncontent-length:.*\ncontent-length")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:([^\r\n]*)")
_FOLD = re.compile(rb"[ \t]*\r\n[ \t]+")
_BARE_FEED = re.compile(rb"(?<!\r)\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n\Z")


class ParserListener(Protocol):
    """Has the methods that llhttp calls back (`on_headers_complete`, `on_body`, …), and can change its parser."""

    def parse_with(self, parser: Any) -> None:
        """Read the rest of this answer, and those after it, with another parser."""
        ...


def response_parser(listener: ParserListener) -> Any:
    """llhttp for answers, taking the space with which some servers fill up the size of a chunk."""
    parser = httptools.HttpResponseParser(listener)
    parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
    return parser


def may_be_normalised(raw: bytes) -> bool:
    """Whether a head, complete or not, may be one of those."""
    return raw.startswith(b"HTTP/1.") and _UNUSUAL.search(raw) is not None


def normalised(heads: bytes) -> bytes:
    """The same heads (1xx come first) with each value in one line, each line ended by CR LF, and one Content-Length."""
    heads = _FOLD.sub(b" ", _BARE_FEED.sub(b"\r\n", heads))
    return b"\r\n\r\n".join(_with_one_length(head) for head in heads.split(b"\r\n\r\n"))


def _with_one_length(head: bytes) -> bytes:
    lengths = [length.strip() for found in _LENGTH.finditer(head) for length in found[1].split(b",")]
    if len(lengths) < 2 or len(set(lengths)) > 1:
        return head
    return _LENGTH.sub(b"", head) + b"\r\nContent-Length: " + lengths[0]


class LenientParser:
    """Stands in for llhttp until a head is complete, then passes it on, normalised, to a new llhttp parser."""

    def __init__(self, listener: ParserListener, refusal: Exception) -> None:
        self._listener = listener
        self._refusal = refusal
        self._raw = b""

    def feed_data(self, data: bytes) -> None:
        """Raises the first refusal where there is nothing to normalise, and llhttp's second one where there was."""
        self._raw += data
        end = response_head(self._raw).body_at
        if not _HEAD_END.search(self._raw, max(0, end - 4), end):
            return
        head = normalised(self._raw[:end])
        if head == self._raw[:end]:
            raise self._refusal
        parser = response_parser(self._listener)
        self._listener.parse_with(parser)
        parser.feed_data(head + self._raw[end:])
