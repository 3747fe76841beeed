"""What the transport asks of the other parts: the request that it carries, and the counters of connections."""

from __future__ import annotations

from typing import Protocol

from atm.models.outcome import Outcome


class Answer(Protocol):
    """The answer to an exchange, as a connection has read it so far. Moments: ns of the monotonic clock."""

    status: int
    """The status code, once the head is complete."""
    first_byte: int
    """The moment of the first byte of the (last) head; 0 while nothing has come."""
    received: int
    """Bytes read so far, interim answers included."""
    body_bytes: int
    """Bytes of the body without its framing."""

    @property
    def raw(self) -> bytes:
        """The bytes as they came: the whole head, and the body up to what samples keep of it."""
        ...

    @property
    def answered_status(self) -> int | None:
        """The status code, None while the head is not complete."""
        ...

    @property
    def body(self) -> bytes:
        """The start of the body without its framing, where the exchange `wants_body`."""
        ...


class Exchange(Protocol):
    """One request on its way. The transport reads its fields, counts its bytes and reports how it ended."""

    data: bytes
    """The whole request."""
    origin: int
    """Where it goes: an index into the dialer's origins."""
    head_only: bool
    """A HEAD request: its answer has no body."""
    wants_body: bool
    closes_connection: bool
    """The request says that its connection is not used again (RFC 9112, section 9.6)."""
    has_redialled: bool
    hops: int
    """Redirects that were followed."""
    sent: int
    received: int

    @property
    def is_idempotent(self) -> bool: ...

    @property
    def secret_headers(self) -> frozenset[str]:
        """Lower-case names of headers that hold a secret: no redirect takes them to another origin."""
        ...

    @property
    def has_secret_body(self) -> bool:
        """Whether the body holds a secret: then no redirect takes it to another origin."""
        ...

    def answered(self, answer: Answer, now: int) -> None:
        """A full response has been read at `now`."""
        ...

    def failed(self, outcome: Outcome, message: str, now: int, answer: Answer | None = None) -> None:
        """It has ended without a full response; `answer` is what has come of one."""
        ...

    def redialled(self) -> None:
        """The server had closed the kept connection, so the request goes out on a new one."""
        ...


class ConnectionEvents(Protocol):
    """Counts what happens to connections. Durations in ns."""

    def dialled(self) -> None: ...

    def opened(self) -> None: ...

    def closed(self) -> None: ...

    def lost(self) -> None:
        """The target closed or reset it."""
        ...

    def connected(self, duration: int) -> None: ...

    def secured(self, duration: int) -> None: ...

    def resolved(self, duration: int) -> None: ...
