"""Where one request ends in the bytes of a connection, for the routes that give the exact bytes back."""

from __future__ import annotations

RAW_LIMIT = 1 << 20


def message_length(data: bytes) -> int | None:
    """The length of the request that `data` begins with, head and framed body; None if it is not complete.

    Assumes a request that the parser has accepted (RFC 9112, section 6), so it checks nothing.
    """
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    start = head_end + 4
    length = 0
    for line in data[:head_end].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        name = name.strip().lower()
        if name == b"transfer-encoding" and value.strip().lower().endswith(b"chunked"):
            return _chunked_end(data, start)
        if name == b"content-length":
            length = int(value)
    return start + length if start + length <= len(data) else None


def _chunked_end(data: bytes, start: int) -> int | None:
    while True:
        line_end = data.find(b"\r\n", start)
        if line_end < 0:
            return None
        size = int(data[start:line_end].partition(b";")[0], 16)
        start = line_end + 2
        if size == 0:
            break
        start += size + 2
        if start > len(data):
            return None
    while True:
        line_end = data.find(b"\r\n", start)
        if line_end < 0:
            return None
        if line_end == start:
            return start + 2
        start = line_end + 2
