"""Normalise response heads that llhttp rejects although RFC 9112 requires clients to accept them.

RFC 9112 requires folded values (section 5.2) and repeated equal lengths (6.3) to be accepted, and allows lines that end
without CR (2.2). They are rare, so this is not on the hot path.
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
    """Has the callbacks of llhttp (`on_headers_complete`, `on_body`, …), and can change its parser."""

    def parse_with(self, parser: Any) -> None:
        """Read the rest of this response, and later ones, with another parser."""
        ...


def response_parser(listener: ParserListener) -> Any:
    """Return an llhttp response parser that accepts the spaces with which some servers pad chunk sizes."""
    parser = httptools.HttpResponseParser(listener)
    parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
    return parser


def may_be_normalised(raw: bytes) -> bool:
    """Return whether a head, complete or not, may be one of those."""
    return raw.startswith(b"HTTP/1.") and _UNUSUAL.search(raw) is not None


def normalised(heads: bytes) -> bytes:
    """Rewrite heads (1xx first): each value on one line, lines ended by CR LF, and a single Content-Length."""
    heads = _FOLD.sub(b" ", _BARE_FEED.sub(b"\r\n", heads))
    return b"\r\n\r\n".join(_with_one_length(head) for head in heads.split(b"\r\n\r\n"))


def _with_one_length(head: bytes) -> bytes:
    lengths = [length.strip() for match in _LENGTH.finditer(head) for length in match[1].split(b",")]
    if len(lengths) < 2 or len(set(lengths)) > 1:
        return head
    return _LENGTH.sub(b"", head) + b"\r\nContent-Length: " + lengths[0]


class LenientParser:
    """Replaces llhttp until a head is complete, then passes it, normalised, to a new llhttp parser."""

    def __init__(self, listener: ParserListener, refusal: Exception) -> None:
        self._listener = listener
        self._refusal = refusal
        self._raw = b""

    def feed_data(self, data: bytes) -> None:
        """Raises the original error if there is nothing to normalise, or llhttp's error for the normalised head."""
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
