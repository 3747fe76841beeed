"""Responses as text, for redirects, checks and samples: the head, a chunked body, a compressed body.

Framing is llhttp's work; these functions read heads that it has accepted, and show broken ones as they came.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

CHECKED_BYTES = 4 * 1024 * 1024
"""Checks see this much of a body (decoded); what comes after is read and counted only."""

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}

_END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The last head among the bytes of an answer (1xx come before it), and where its body begins in them."""

    status_line: str
    headers: tuple[tuple[str, str], ...]
    body_at: int

    def get(self, name: str) -> str | None:
        """The first value of a header, by its lower-case name."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def is_chunked(self) -> bool:
        return (self.get("transfer-encoding") or "").lower().endswith("chunked")

    @property
    def ends_with_connection(self) -> bool:
        """True when nothing but the end of the connection tells the end of the body (RFC 9112, section 6.3, rule 8)."""
        return not self.is_chunked and (self.get("content-length") is None or self.get("transfer-encoding") is not None)


def response_head(raw: bytes) -> ResponseHead:
    """Read the head of an answer; whatever is missing (a broken answer) is left empty."""
    at = 0
    while True:
        end = _END.search(raw, at)
        lines = raw[at : end.start() if end else len(raw)].decode("latin-1").splitlines()
        if end and re.match(r"HTTP/1\.\d 1\d\d\b", lines[0] if lines else ""):
            at = end.end()
            continue
        headers = [line.partition(":") for line in lines[1:]]
        return ResponseHead(
            lines[0] if lines else "",
            tuple((name.strip(), value.strip()) for name, _, value in headers),
            end.end() if end else len(raw),
        )


def dechunked(raw: bytes) -> bytes:
    """The content of a chunked body that may be cut short; what is no chunk ends it."""
    content = bytearray()
    at = 0
    while True:
        line_end = raw.find(b"\r\n", at)
        if line_end < 0:
            return bytes(content)
        size_text = raw[at:line_end].partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", size_text):
            return bytes(content)
        size = int(size_text, 16)
        if size == 0:
            return bytes(content)
        content += raw[line_end + 2 : line_end + 2 + size]
        at = line_end + 2 + size + 2


def decoded(body: bytes, content_encoding: str | None, limit: int) -> bytes:
    """`body` without its gzip or deflate encoding, at most `limit` bytes; as it is where that is not possible."""
    encoding = (content_encoding or "").strip().lower()
    if encoding not in _WINDOW_BITS:
        return body[:limit]
    try:
        return zlib.decompressobj(_WINDOW_BITS[encoding]).decompress(body, limit)
    except zlib.error:
        # Some servers send deflate without its zlib wrapper.
        try:
            return zlib.decompressobj(-15).decompress(body, limit)
        except zlib.error:
            return body[:limit]
