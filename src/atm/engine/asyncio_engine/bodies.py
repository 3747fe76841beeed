"""Bodies that came compressed, as text."""

from __future__ import annotations

import zlib

CHECKED_BYTES = 4 * 1024 * 1024
"""Checks see so much of a body (decoded); what comes after is read and counted only."""

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


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
