"""Protocols between the transport and the other parts: the request it carries, and the connection counters."""

from __future__ import annotations

from typing import Protocol

from atm.engine.asyncio_engine.transport.known_response import KnownResponse
from atm.models.outcome import Outcome


class Response(Protocol):
    """The response to an exchange, as far as it has been read. Times: ns of the monotonic clock."""

    status: int
    """The status code, once the head is complete."""
    first_byte: int
    """When the first byte of the (last) head was read; 0 before that."""
    received: int
    """Bytes read so far, including interim responses."""
    body_bytes: int
    """Bytes of the body without its framing."""

    @property
    def raw(self) -> bytes:
        """The raw bytes: the whole head, and the body up to the sampling limit."""
        ...

    @property
    def head_status(self) -> int | None:
        """The status code, None while the head is incomplete."""
        ...

    @property
    def sets_cookie(self) -> bool:
        """Whether the head may have a Set-Cookie line: that is so if it has one."""
        ...

    @property
    def is_encoded(self) -> bool:
        """Whether the head may have a Content-Encoding: that is so if it has one."""
        ...

    @property
    def body(self) -> bytes:
        """The start of the body without its framing, if the exchange `wants_body`."""
        ...


class Exchange(Protocol):
    """One request in transport, which reads its fields, counts its bytes and reports how it ended."""

    data: bytes
    """The bytes of the whole request."""
    origin: int
    """The destination: an index into the dialer's origins."""
    head_only: bool
    """A HEAD request: its response has no body."""
    wants_body: bool
    closes_connection: bool
    """The request has `Connection: close` (RFC 9112, section 9.6)."""
    known: KnownResponse
    """The last response to such a request."""
    has_redialled: bool
    hops: int
    """Redirects followed so far."""
    sent: int
    received: int

    @property
    def is_idempotent(self) -> bool: ...

    @property
    def secret_headers(self) -> frozenset[str]:
        """Lower-case names of headers that hold a secret; redirects drop them when they lead to another origin."""
        ...

    @property
    def has_secret_body(self) -> bool:
        """Whether the body holds a secret; redirects never send it to another origin."""
        ...

    def responded(self, response: Response, now: int) -> None:
        """Handle a full response, read at `now`."""
        ...

    def failed(self, outcome: Outcome, message: str, now: int, response: Response | None = None) -> None:
        """Handle an end without a full response; `response` is the part that was received."""
        ...

    def redialled(self) -> None:
        """Record that the server had closed the reused connection, so the request is sent on a new one."""
        ...


class ConnectionEvents(Protocol):
    """Counts connection events. Durations in ns."""

    def dialled(self) -> None: ...

    def opened(self) -> None: ...

    def closed(self) -> None: ...

    def lost(self) -> None:
        """Count a connection that the target closed or reset."""
        ...

    def connected(self, duration: int) -> None: ...

    def secured(self, duration: int) -> None: ...

    def resolved(self, duration: int) -> None: ...
