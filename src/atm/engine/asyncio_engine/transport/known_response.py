"""The last response to a step that was parsed, by which an equal one is recognised without parsing it.

Servers answer the same request with the same head, at least within a second, as `Date` has it. A head that is equal,
byte by byte, means the same, and if the whole response has the same length too, it is complete.
"""

from __future__ import annotations

from atm.engine.asyncio_engine.responses import is_encoded, sets_cookie

_TRIES = 64
_ROUND = 1024
"""Of this many responses without a recognised one between them, only the first tries are remembered."""


class KnownResponse:
    """Remembers a response that was read at once, with a body without framing, on a connection that stays open."""

    __slots__ = ("body_at", "head", "is_encoded", "misses", "sets_cookie", "size", "status")

    def __init__(self) -> None:
        self.head = b""
        self.size = 0
        """Bytes of the whole response; 0 if none is known."""
        self.body_at = 0
        self.status = 0
        self.sets_cookie = self.is_encoded = False
        self.misses = 0
        """Responses parsed since one was recognised."""

    def learn(self, data: bytes, status: int, body_bytes: int) -> None:
        """Remember a full response; `data` is all of it."""
        self.misses += 1
        if self.misses % _ROUND > _TRIES:
            return
        end = data.find(b"\r\n\r\n")
        if data.startswith(b"HTTP/1.1") and end >= 0 and len(data) - end - 4 == body_bytes:
            self.body_at = end + 4
            self.head = head = data[: end + 4]
            self.sets_cookie = sets_cookie(head)
            self.is_encoded = is_encoded(head)
            self.size = len(data)
            self.status = status
