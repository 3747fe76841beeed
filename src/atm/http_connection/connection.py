"""One connection of a client: uvicorn's HTTP/1.1 with limits on what may come before anybody is known to have come.

Heads and bodies must arrive in time and heads within a size, answers must be read, and connections that only wait make
room for others. So none of it costs more than a bounded part of memory and descriptors, key or no key. Streams (SSE,
WebSocket) are answers that go on; they live as long as they are read.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger("atm.http")

MAXIMUM_HEAD_BYTES = 65_536
"""Request line and headers together; an event of h11 that is longer is refused."""
HEAD_SECONDS = 15.0
"""From the connection, or the end of the answer before, to the last byte of a request's head."""
BODY_SECONDS = 20.0
"""For a body to arrive, and one more second for each LEAST_BODY_RATE bytes that did; waits of ours do not count."""
LEAST_BODY_RATE = 1_024
MOST_LINES = 2_000
LEAST_LINE_BYTES = 16
"""After so many line ends a body must have so many bytes for each: parsing chunks of one byte is all work, no data."""
MOST_LEFT_OVER_BYTES = 2_097_152
"""What is still parsed of a body that has been answered, in the hope of its end."""
STALL_SECONDS = 60.0
"""A client that reads nothing of an answer for so long is left."""
_PIECE = 16_384
"""Heads are read in pieces, so that one that comes in a single large read is bounded as well."""
_TICK_SECONDS = 1.0
_TIMED_OUT = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 35\r\n"
    b"connection: close\r\n\r\nthe request did not arrive in time\n"
)
_TINY_CHUNKS = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 32\r\n"
    b"connection: close\r\n\r\nthe chunks of the body are tiny\n"
)
_INVALID = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 31\r\n"
    b"connection: close\r\n\r\nInvalid HTTP request received.\n"
)
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 45\r\n"
    b"retry-after: 5\r\nconnection: close\r\n\r\nthis server has no room for more connections\n"
)


class Connection(H11Protocol):
    """`config.limit_concurrency` is one more than the number of connections that a process takes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._since = self.loop.time()
        """When the head, or the body, that is being waited for could begin to arrive."""
        self._in_body = False
        self._body_bytes = 0
        self._lines = 0
        """Of the body so far: where it comes in chunks, there are two of them to each."""
        self._left_over_bytes = 0
        self._unread = (0, self._since)
        """What the client has left unread of an answer, and since when it is so much."""
        self._late = False
        self._ticking: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether it waits for a request: nothing is lost with it but a connection."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first

    @property
    def since(self) -> float:
        """Since when it waits (time of the event loop)."""
        return self._since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take it, in place of one that waits where there are too many, or say that there are too many."""
        if not make_room(self.connections, self.limit_concurrency):
            super().connection_made(transport)
            transport.write(_FULL)
            transport.close()
            return
        super().connection_made(transport)
        self._since = self.loop.time()
        self._ticking = self.loop.call_later(_TICK_SECONDS, self._tick)

    def end(self) -> None:
        """At once, for another one."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._stop_ticking()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand over what came, in pieces that the limit of a head can be held against."""
        if self._is_left_over(len(data)):
            return
        if self._in_body or self._left_over_bytes:
            self._body_bytes += len(data)
            self._lines += data.count(b"\r\n")
            if self._lines > MOST_LINES and self._body_bytes < self._lines * LEAST_LINE_BYTES:
                log.info("%s sends a body in tiny chunks", self.client[0] if self.client else "a client")
                self._refuse(_TINY_CHUNKS)
                return
        for start in range(0, len(data), _PIECE):
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                # Refused, or a WebSocket, whose client must not send before it is answered.
                break
            super().data_received(data[start : start + _PIECE])
        self._follow()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """From here on the WebSocket's own limits hold."""
        self._stop_ticking()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  (as uvicorn has it)
        """Answer what is no HTTP, here for the app as well where it has begun to work on the head."""
        self._refuse(_INVALID)

    def on_response_complete(self) -> None:
        """The next head may come."""
        self._since, self._late = self.loop.time(), False
        self._in_body = False
        super().on_response_complete()
        self._follow()

    def _is_left_over(self, length: int) -> bool:
        """Whether this belongs to a body that was answered without being read whole: some of it is parsed, so that the
        connection can be used again, the rest is dropped as it comes until the connection's time is over.
        """
        if self.waits and self.conn.their_state is h11.SEND_BODY:
            self._left_over_bytes += length
            return self._left_over_bytes > MOST_LEFT_OVER_BYTES
        self._left_over_bytes = 0
        return False

    def _follow(self) -> None:
        """Note when a body begins, and when the whole of it is there."""
        arriving = not self.waits and self.conn.their_state is h11.SEND_BODY
        if arriving and not self._in_body:
            self._since, self._late, self._body_bytes, self._lines = self.loop.time(), False, 0, 0
        self._in_body = arriving

    def _tick(self) -> None:
        self._ticking = None
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            return
        now = self.loop.time()
        if self._is_stalled(now):
            self.transport.abort()
            return
        if self._in_body and self.flow.read_paused:
            self._since += _TICK_SECONDS
        late = (self.waits and now - self._since > HEAD_SECONDS) or (
            self._in_body and now - self._since > BODY_SECONDS + self._body_bytes / LEAST_BODY_RATE
        )
        if late and self._late:
            self._time_out()
        else:
            # Once more: where the event loop was busy, it may all be there already.
            self._late = late
        self._ticking = self.loop.call_later(_TICK_SECONDS, self._tick)

    def _is_stalled(self, now: float) -> bool:
        unread = self.transport.get_write_buffer_size()
        if unread == 0 or unread != self._unread[0]:
            self._unread = (unread, now)
        return now - self._unread[1] > STALL_SECONDS

    def _time_out(self) -> None:
        if self.transport.is_closing():
            return
        log.info("a request of %s did not arrive in time", self.client[0] if self.client else "a client")
        self._refuse(_TIMED_OUT)

    def _refuse(self, answer: bytes) -> None:
        """Say why, where no other answer has begun, and end the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(answer)
        if not self.waits:
            # The app has no one to answer any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _stop_ticking(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None


def make_room(connections: set[Any], most: int | None) -> bool:
    """Whether one more connection may be taken; where there are too many, one that only waits is ended for it."""
    if most is None or len(connections) + 1 < most:
        return True
    # WebSockets never wait.
    waiting = [other for other in connections if getattr(other, "waits", False)]
    if not waiting:
        return False
    oldest = min(waiting, key=lambda other: other.since)
    connections.discard(oldest)
    oldest.end()
    return True


def most_connections(wanted: int) -> int:
    """How many connections a process takes: `wanted`, or what is left of its descriptors; raises their soft limit.

    Files of the storage, pipes to runs and connections to targets need descriptors too.
    """
    import resource

    kept_free = 128
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + kept_free
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        except (OSError, ValueError):
            # macOS caps it below what it says; the old limit holds.
            soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(8, min(wanted, soft - min(kept_free, soft // 2)))
