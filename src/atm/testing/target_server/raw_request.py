"""Find the end of a request in the bytes of a connection, for routes that return the raw bytes."""

from __future__ import annotations

RAW_LIMIT = 1 << 20


def message_length(data: bytes) -> int | None:
    """Return the length of the request at the start of `data`, head and framed body; None if it is incomplete.

    The request must have been accepted by the parser (RFC 9112, section 6); nothing is checked here.
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
