"""Frames on a byte stream between a worker process and its starter: a 4-byte big-endian length, then the bytes."""

from __future__ import annotations

from asyncio import StreamReader
from collections.abc import Callable

MOST_BYTES = 1 << 30
"""A longer frame is a defect: the largest message is a plan, of at most some hundred MiB."""
_LENGTH_BYTES = 4


def frame(message: bytes) -> bytes:
    """Return the frame of a message. Raises ValueError for one that is too long."""
    return _checked(len(message)).to_bytes(_LENGTH_BYTES, "big") + message


def read_frame(read: Callable[[int], bytes]) -> bytes | None:
    """Return the next message, or None at the end of the stream, even within a frame.

    `read` returns at most as many bytes as requested, none at the end.
    """
    head = _exactly(read, _LENGTH_BYTES)
    return None if head is None else _exactly(read, _checked(int.from_bytes(head, "big")))


async def receive_frame(reader: StreamReader) -> bytes:
    """Return the next message. Raises asyncio.IncompleteReadError at the end of the stream."""
    head = await reader.readexactly(_LENGTH_BYTES)
    return await reader.readexactly(_checked(int.from_bytes(head, "big")))


def _exactly(read: Callable[[int], bytes], count: int) -> bytes | None:
    parts: list[bytes] = []
    while count:
        part = read(count)
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _checked(length: int) -> int:
    if length > MOST_BYTES:
        raise ValueError(f"a frame of {length} bytes, at most {MOST_BYTES}")
    return length
