"""One connection: sends a request, reads its response with llhttp, and reports how the exchange ended.

`data_received` is the engine's hot path. It stores the raw bytes of the head and of the start of the body for samples,
redirects and checks, which few responses need, so that headers are not parsed on the hot path.
"""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import Any, Protocol, cast

import httptools

from atm.engine.asyncio_engine.responses import (
    CHECKED_BYTES,
    ResponseHead,
    bad_header,
    is_encoded,
    response_head,
    sets_cookie,
)
from atm.engine.asyncio_engine.transport.exchange import ConnectionEvents, Exchange
from atm.engine.asyncio_engine.transport.failures import lost_connection
from atm.engine.asyncio_engine.transport.known_response import ROUND, TRIES, KnownResponse
from atm.engine.asyncio_engine.transport.lenient_parser import LenientParser, may_be_normalised, response_parser
from atm.engine.asyncio_engine.transport.reading_limits import ReadingLimits
from atm.models.outcome import Outcome

LONGEST_HEAD = 65_536
_LARGE_REQUEST = 65_536


class Owner(Protocol):
    """Holds idle connections, and redials for an exchange whose reused connection was closed."""

    def remove(self, connection: Connection) -> bool:
        """Remove `connection`; return whether it was in the pool."""
        ...

    def dial(self, exchange: Exchange, origin: int) -> None:
        """Send an exchange on a new connection."""
        ...


class Connection(asyncio.Protocol):
    """A connection of one user to one origin. It is idle when no `exchange` waits for a response."""

    __slots__ = (
        "_body",
        "_body_grew_at",
        "_body_limit",
        "_body_seen",
        "_collects_body",
        "_complete",
        "_events",
        "_head_complete",
        "_head_judged",
        "_keep_alive",
        "_kept_until",
        "_known",
        "_later_chunks",
        "_limits",
        "_owner",
        "_parser",
        "_surplus",
        "_transport",
        "_write",
        "body_bytes",
        "exchange",
        "first_byte",
        "first_chunk",
        "origin",
        "received",
        "reused",
        "status",
    )

    status: int
    _kept_until: int
    _complete: bool

    def __init__(self, limits: ReadingLimits, events: ConnectionEvents, owner: Owner, origin: int) -> None:
        self._limits = limits
        self._events = events
        self._owner = owner
        self.origin = origin
        self.exchange: Exchange | None = None
        self.first_chunk = b""
        self._later_chunks: list[bytes] | None = None
        self._body: bytearray | bytes = b""
        self._head_complete = False
        self._known: KnownResponse | None = None
        """What the response is equal to; None if it was parsed."""
        self._transport: asyncio.Transport | None = None
        self._parser: Any = response_parser(self)
        self.reused = False
        """A response was read on it."""
        self._keep_alive = True

    # Called by the owner

    def send(self, exchange: Exchange) -> None:
        """Send a request; the connection must be idle."""
        request = exchange.data
        self.exchange = exchange
        self.received = 0
        self.first_byte = 0
        self.body_bytes = 0
        exchange.sent += len(request)
        self._write(request)

    def abandon(self) -> None:
        """Close at once without reporting anything."""
        self.exchange = None
        self.close()

    def close(self) -> None:
        """Close without waiting for pending writes."""
        self._owner.remove(self)
        if self._transport is not None:
            self._transport.abort()

    @property
    def raw(self) -> bytes:
        """The raw bytes of the response: the whole head, and the body up to the sampling limit."""
        return self.first_chunk if self._later_chunks is None else b"".join((self.first_chunk, *self._later_chunks))

    @property
    def head_status(self) -> int | None:
        """The status code of the response, None while its head is incomplete."""
        return self.status if self._head_complete else None

    @property
    def body(self) -> bytes:
        """The body without its framing, for checks; at most `CHECKED_BYTES`."""
        return bytes(self._body)

    @property
    def sets_cookie(self) -> bool:
        return sets_cookie(self.raw) if self._known is None else self._known.sets_cookie

    @property
    def is_encoded(self) -> bool:
        return is_encoded(self.raw) if self._known is None else self._known.is_encoded

    # Called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport without being a subclass.
        self._transport = cast("asyncio.Transport", transport)
        self._write = self._transport.write
        self._events.opened()

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            # Bytes after the end of a response: later responses could not be distinguished.
            self.close()
            return
        now = monotonic_ns()
        last = exchange.known
        if self.received or len(data) != last.size or not data.startswith(last.head):
            self._parse(exchange, data, now)
            return
        # It means the same as a known response.
        last.misses = 0
        self._known = last
        self.first_chunk = data
        self._later_chunks = None
        self.first_byte = now
        self.received = last.size
        self.status = last.status
        self._head_complete = True
        self.body_bytes = last.size - last.body_at
        self._body = data[last.body_at :] if exchange.wants_body else b""
        self.exchange = None
        self.reused = True
        exchange.received += last.size
        if exchange.closes_connection or (exchange.sent > _LARGE_REQUEST and self._is_still_sending()):
            self.close()
        exchange.responded(self, now)

    def eof_received(self) -> None:
        if self.exchange is None:
            self._lost_while_idle()

    def connection_lost(self, error: Exception | None) -> None:
        self._events.closed()
        self._parser = None  # breaks a cycle: it holds this object's methods
        exchange = self.exchange
        if exchange is None:
            self._lost_while_idle()
            return
        self.exchange = None
        self._owner.remove(self)
        now = monotonic_ns()
        if self.received and error is None and self._head_complete and self._head().ends_with_connection:
            exchange.received += self.received
            exchange.responded(self, now)
            return
        self._events.lost()
        if self.received:
            exchange.failed(*lost_connection(error, "closed in the middle of the answer"), now, self)
        elif self.reused and exchange.is_idempotent and not exchange.has_redialled:
            exchange.redialled()
            self._owner.dial(exchange, self.origin)
        else:
            exchange.failed(*lost_connection(error, "closed before any byte of the answer"), now, self)

    # Called by the parser

    def on_headers_complete(self) -> None:
        parser = self._parser
        if not self._complete:
            self._head_complete = True
            self.status = parser.get_status_code()
            self._keep_alive = parser.should_keep_alive()
            self._kept_until = self.received + self._limits.kept_body_bytes

    def on_body(self, body: bytes) -> None:
        if self._complete:
            return
        self.body_bytes += len(body)
        if self._collects_body and len(self._body) < CHECKED_BYTES:
            self._body += body[: CHECKED_BYTES - len(self._body)]

    def on_message_complete(self) -> None:
        if self._complete:
            self._surplus = True
        elif 100 <= self.status < 200 and self.status != 101:
            self._head_complete = False
            self.first_byte = 0
        else:
            self._complete = True

    # A response

    def _parse(self, exchange: Exchange, data: bytes, now: int) -> None:
        """Parse bytes of a response, read at `now`."""
        if not self.received:
            self._begin_response(exchange, data)
        elif not self._head_complete or self.received < self._kept_until:
            self._keep(data)
        if not self.first_byte:
            self.first_byte = now
        self.received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._complete:
                self._surplus = True
            elif not self._read_again(error):
                self._parse_failed(exchange, error, now)
                return
        if self._complete:
            self._answered(exchange, now)
        else:
            self._continue(exchange, now)

    def _begin_response(self, exchange: Exchange, data: bytes) -> None:
        """Prepare to parse a response that begins with `data`."""
        self._known = None
        self.first_chunk = data
        self._later_chunks = None
        self._kept_until = 0
        self._collects_body = exchange.wants_body
        self._body = bytearray() if self._collects_body else b""
        self._head_complete = False
        self._head_judged = False
        self._body_grew_at = 0
        self._body_seen = 0
        self._complete = False
        self._surplus = False

    def _answered(self, exchange: Exchange, now: int) -> None:
        if not self.first_chunk.startswith(b"HTTP/1.1"):
            raw = self.raw.lstrip(b"\r\n")
            if not raw.startswith(b"HTTP/1."):
                self._fail(exchange, Outcome.PROTOCOL_ERROR, "not HTTP: not version 1", now)
                return
            # For HTTP/1.0, llhttp keeps a connection open that has both options, keep-alive and close.
            self._keep_alive = self._keep_alive and (raw.startswith(b"HTTP/1.1") or self._head().keeps_alive)
        if self.status < 100:
            self._fail(exchange, Outcome.PROTOCOL_ERROR, "not HTTP: bad status code", now)
            return
        if self.status == 101:
            self._fail(exchange, Outcome.PROTOCOL_ERROR, "not HTTP: unrequested switch of protocol", now)
            return
        if self.received > LONGEST_HEAD and self._head().body_at > LONGEST_HEAD:
            self._fail(exchange, Outcome.RESPONSE_TOO_LARGE, "headers over 64 KiB", now)
            return
        limit = self._limits.response_bytes
        if limit is not None and self.body_bytes > limit:
            self._fail(exchange, Outcome.RESPONSE_TOO_LARGE, f"over {limit} bytes", now)
            return
        if not self.first_byte:
            self.first_byte = now
        self.exchange = None
        self.reused = True
        exchange.received += self.received
        if (
            not self._keep_alive
            or self._surplus
            or exchange.closes_connection
            or (exchange.sent > _LARGE_REQUEST and self._is_still_sending())
        ):
            self.close()
        else:
            last = exchange.known
            last.misses += 1
            if last.misses & ROUND < TRIES and self.received == len(self.first_chunk):
                last.learn(self.first_chunk, self.status, self.body_bytes)
        exchange.responded(self, now)

    def _continue(self, exchange: Exchange, now: int) -> None:
        """Handle a response that has not ended with these bytes: it may have no body, or be too large."""
        if not self._head_complete:
            if self.received > LONGEST_HEAD:
                self._fail(exchange, Outcome.RESPONSE_TOO_LARGE, "headers over 64 KiB", now)
            return
        if exchange.head_only or self.status in (204, 304):
            # llhttp does not know the request's method. Bytes after the head cannot belong to this response.
            self._complete = True
            self._surplus = self.body_bytes > 0
            self._parser = response_parser(self)
            self.body_bytes = 0
            self._keep_alive = self._keep_alive or self._head().keeps_alive
            self._answered(exchange, now)
            return
        fault = self._size_fault()
        if fault:
            self._fail(exchange, Outcome.RESPONSE_TOO_LARGE, fault, now)

    def _size_fault(self) -> str:
        """Describe why an unfinished response is already too large; empty if it is not."""
        limit = self._limits.response_bytes
        if not self._head_judged and (limit is not None or self.received > LONGEST_HEAD):
            self._head_judged = True
            head = self._head()
            if head.body_at > LONGEST_HEAD:
                return "headers over 64 KiB"
            if limit is not None and int(head.get("content-length") or 0) > limit:
                return f"over {limit} bytes"
        if limit is not None and self.body_bytes > limit:
            return f"over {limit} bytes"
        if self.body_bytes > self._body_seen:
            self._body_seen = self.body_bytes
            self._body_grew_at = self.received
        elif self.received - self._body_grew_at > LONGEST_HEAD:
            return "headers over 64 KiB"  # endless trailers or chunk extensions
        return ""

    def _keep(self, data: bytes) -> None:
        if self._later_chunks is None:
            self._later_chunks = []
        room = self._kept_until - self.received if self._head_complete else LONGEST_HEAD
        self._later_chunks.append(data if len(data) <= room else data[:room])

    def parse_with(self, parser: Any) -> None:
        """Read the rest of this response, and later ones, with another parser."""
        self._parser = parser

    def _read_again(self, error: Exception) -> bool:
        """Parse a head again, normalised, if clients must accept what llhttp rejects; return whether this was done."""
        raw = self.raw
        if self._head_complete or isinstance(self._parser, LenientParser) or not may_be_normalised(raw):
            return False
        self._parser = LenientParser(self, error)
        try:
            self._parser.feed_data(raw)
        except httptools.HttpParserError:
            return False
        return True

    def _parse_failed(self, exchange: Exchange, error: Exception, now: int) -> None:
        if not self._head_complete and self.received > LONGEST_HEAD:
            self._fail(exchange, Outcome.RESPONSE_TOO_LARGE, "headers over 64 KiB", now)
        else:
            reason = "" if self._head_complete else bad_header(self.raw)
            reason = reason or str(error).strip() or type(error).__name__
            self._fail(exchange, Outcome.PROTOCOL_ERROR, f"not HTTP: {reason}", now)

    def _fail(self, exchange: Exchange, outcome: Outcome, message: str, now: int) -> None:
        self.exchange = None
        self.close()
        exchange.failed(outcome, message, now, self)

    def _is_still_sending(self) -> bool:
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def _head(self) -> ResponseHead:
        return response_head(self.raw)

    def _lost_while_idle(self) -> None:
        if self._owner.remove(self):
            self._events.lost()
            if self._transport is not None:
                self._transport.abort()
