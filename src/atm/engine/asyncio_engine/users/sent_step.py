"""What a request needs of its step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from atm.engine.asyncio_engine.transport.exchange import Response
from atm.engine.asyncio_engine.transport.known_response import KnownResponse
from atm.engine.asyncio_engine.users.renderer import Render


class SentStep(Protocol):
    """What a request is sent and judged by."""

    endpoint: int
    origin: int
    timeout_ns: int
    timeout_message: str
    head_only: bool
    is_idempotent: bool
    wants_body: bool
    closes_connection: bool
    follows_redirects: bool
    slots: frozenset[str]
    secret_headers: frozenset[str]
    has_secret_body: bool
    expected: frozenset[int]
    known: KnownResponse

    @property
    def constant(self) -> bytes | None:
        """The bytes of the request; None if `render` returns them."""
        ...

    @property
    def render(self) -> Render: ...

    @property
    def check(self) -> Callable[[Response], str | None] | None: ...

    def readable(self, request: bytes) -> bytes:
        """Return a request as a sample shows it."""
        ...

    def unexpected(self, status: int, *, withheld: bool = False) -> str:
        """Return the message of a full response with an unexpected status."""
        ...
