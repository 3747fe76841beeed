"""Read a response body from an untrusted server up to a limit that also holds after decompression."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

_ANY_WRAPPER = 47
"""zlib's wbits for detecting gzip or zlib from the data."""


async def read_bounded(response: httpx.Response, most_bytes: int) -> bytes | None:
    """Return the body of a streamed response; None if it is larger, or has an encoding other than gzip and deflate.

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
