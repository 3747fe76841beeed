"""uvicorn's HTTP/1.1 connection with limits that apply before authentication.

Heads and bodies must arrive in time and heads within a size, responses must be read, and idle connections are closed to
accept new ones. So every client, authenticated or not, costs only bounded memory and descriptors. Streams (SSE,
WebSocket) are long responses; they live while the client reads them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger("atm.http")

MAXIMUM_HEAD_BYTES = 65_536
"""Request line and headers together; a longer h11 event is refused."""
HEAD_SECONDS = 15.0
"""From the connection, or the end of the previous response, to the last byte of a request's head."""
BODY_SECONDS = 20.0
"""For a body to arrive, plus one second for each LEAST_BODY_RATE bytes received; time paused by us does not count."""
LEAST_BODY_RATE = 1_024
MOST_LINES = 2_000
LEAST_LINE_BYTES = 16
"""After MOST_LINES line ends a body must average this many bytes per line, as parsing one-byte chunks is costly."""
MAXIMUM_SURPLUS_BYTES = 2_097_152
"""How much of a body is still parsed after its response, so that the connection can be reused if the body ends."""
STALL_SECONDS = 60.0
"""How long a client may read nothing of a response before the connection is closed."""
_CHUNK_BYTES = 16_384
"""Data is parsed in chunks, so that the head limit also applies within one large read."""
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
    """An HTTP/1.1 connection. `config.limit_concurrency` is the number of connections of a process plus one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._since = self.loop.time()
        """When the expected head or body could start to arrive."""
        self._in_body = False
        self._body_bytes = 0
        self._lines = 0
        """Line ends in the body so far: a chunked body has two per chunk."""
        self._surplus_bytes = 0
        self._unread = (0, self._since)
        """The unread bytes of a response, and since when the number is unchanged."""
        self._was_late = False
        self._ticking: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, so that it can be closed without losing one."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first

    @property
    def idle_since(self) -> float:
        """When it became idle (time of the event loop)."""
        return self._since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Accept the connection; at the limit close the longest idle one for it, or refuse it with 503."""
        if not make_room(self.connections, self.limit_concurrency):
            super().connection_made(transport)
            transport.write(_FULL)
            transport.close()
            return
        super().connection_made(transport)
        self._since = self.loop.time()
        self._ticking = self.loop.call_later(_TICK_SECONDS, self._tick)

    def end(self) -> None:
        """Close at once, to make room for another connection."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        self._stop_ticking()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received data in chunks, so that the limit of a head applies."""
        if self._must_drop(len(data)):
            return
        if self._in_body or self._surplus_bytes:
            self._body_bytes += len(data)
            self._lines += data.count(b"\r\n")
            if self._lines > MOST_LINES and self._body_bytes < self._lines * LEAST_LINE_BYTES:
                log.info("%s sends a body in tiny chunks", self.client[0] if self.client else "a client")
                self._refuse(_TINY_CHUNKS)
                return
        for start in range(0, len(data), _CHUNK_BYTES):
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                # Refused, or a WebSocket, whose client must not send before the handshake response.
                break
            super().data_received(data[start : start + _CHUNK_BYTES])
        self._track_body()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Stop the timer: a WebSocket has its own limits."""
        self._stop_ticking()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  (as uvicorn has it)
        """Refuse invalid HTTP, and disconnect the app if it is already handling the head."""
        self._refuse(_INVALID)

    def on_response_complete(self) -> None:
        """Expect the next head."""
        self._since, self._was_late = self.loop.time(), False
        self._in_body = False
        super().on_response_complete()
        self._track_body()

    def _must_drop(self, length: int) -> bool:
        """Return whether to drop data of a body whose response is complete.

        Up to a limit it is parsed, so that the connection can be reused; the rest is dropped until the timeout.
        """
        if self.is_idle and self.conn.their_state is h11.SEND_BODY:
            self._surplus_bytes += length
            return self._surplus_bytes > MAXIMUM_SURPLUS_BYTES
        self._surplus_bytes = 0
        return False

    def _track_body(self) -> None:
        """Track the start and the end of a body."""
        arriving = not self.is_idle and self.conn.their_state is h11.SEND_BODY
        if arriving and not self._in_body:
            self._since, self._was_late, self._body_bytes, self._lines = self.loop.time(), False, 0, 0
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
        late = (self.is_idle and now - self._since > HEAD_SECONDS) or (
            self._in_body and now - self._since > BODY_SECONDS + self._body_bytes / LEAST_BODY_RATE
        )
        if late and self._was_late:
            self._time_out()
        else:
            # Check twice: after a busy event loop the data may already have arrived.
            self._was_late = late
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

    def _refuse(self, response: bytes) -> None:
        """Send the response if none has started, and close the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(response)
        if not self.is_idle:
            # Tell the app that its client is gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _stop_ticking(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None


def make_room(connections: set[Any], most: int | None) -> bool:
    """Return whether one more connection can be accepted, closing the longest idle one at the limit."""
    if most is None or len(connections) + 1 < most:
        return True
    # WebSockets are never idle.
    idle = [connection for connection in connections if getattr(connection, "is_idle", False)]
    if not idle:
        return False
    oldest = min(idle, key=lambda connection: connection.idle_since)
    connections.discard(oldest)
    oldest.end()
    return True


def most_connections(limit: int) -> int:
    """Return how many connections a process accepts: `limit`, or as many as its file descriptors allow.

    Raises the soft limit of descriptors if needed. Some are reserved for storage, pipes to runs and target connections.
    """
    import resource

    reserved = 128
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = limit + reserved
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        except (OSError, ValueError):
            # macOS caps it below the reported maximum; keep the old limit.
            soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return limit
    return max(8, min(limit, soft - min(reserved, soft // 2)))
