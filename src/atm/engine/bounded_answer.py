"""Answers of servers that others name, read up to a bound that holds after decompression too."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

_ANY_WRAPPER = 47
"""For zlib: gzip or zlib, as the data say."""


async def read_bounded(response: httpx.Response, most_bytes: int) -> bytes | None:
    """The body of an answer that is being streamed; None where it is larger, or encoded in another way than gzip.

    Raises httpx.HTTPError.
    """
    packed = bytearray()
    async for piece in response.aiter_raw():
        packed += piece
        if len(packed) > most_bytes:
            return None
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return bytes(packed)
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return None
    try:
        plain = zlib.decompressobj(_ANY_WRAPPER).decompress(bytes(packed), most_bytes + 1)
    except zlib.error:
        return None
    return plain if len(plain) <= most_bytes else None
