"""One connection: parses requests, runs exchanges in order, writes bytes. The hot path of the server."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import httptools

from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.raw_request import RAW_LIMIT, message_length
from atm.testing.target_server.router import BadParameterError

if TYPE_CHECKING:
    from atm.testing.target_server.server import Server

BODY_LIMIT = 64 << 20
_QUEUE_LIMIT = 64
_LINGER_RESET = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """Parses requests, runs their handlers in sequence, and writes directly to the kernel where possible."""

    def __init__(self, server: Server, tls: bool) -> None:
        self.server = server
        self.number = 0
        self.served = 0
        """Requests completed on this connection."""
        self._tls = tls
        self._transport: asyncio.Transport | None = None
        self._descriptor = -1
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._read_ns = 0
        self._begun_ns = 0
        self._incoming: Exchange | None = None
        self._current: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._reading = True
        self._closing = False
        self.counted = True
        self._congested = False
        self._on_drained: Callable[[], None] | None = None
        self._raw: bytes | None = b""
        self._passed = 0
        self._between = True

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Handle a new client (with TLS: after the handshake)."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)
        if not self._tls:
            self._descriptor = transport.get_extra_info("socket").fileno()
        self.number = self.server.connection_opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio says so)
        """Handle the end of the connection; every unfinished request was aborted by the client."""
        self._transport = None
        self._closing = True
        self._on_drained = None
        self.server.connection_closed(self)
        waiting = [self._current, *self._queue, self._incoming]
        self._current = self._incoming = None
        self._queue.clear()
        for exchange in waiting:
            if exchange is not None:
                exchange.broken_off()

    def data_received(self, data: bytes) -> None:
        """Parse, then run complete requests."""
        if self._closing:
            return
        self._read_ns = time.monotonic_ns()
        self._keep_raw(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            for exchange in (self._incoming, *self._queue):
                if exchange is not None:
                    exchange.keep_alive = False
        except httptools.HttpParserCallbackError:
            raise
        except httptools.HttpParserError as error:
            self._bad_request(error)
            return
        if self._current is None and self._queue:
            self._next()
        if len(self._queue) > _QUEUE_LIMIT and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Note that the transport has bytes that the kernel did not accept."""
        self._congested = True

    def resume_writing(self) -> None:
        """Note that the kernel has accepted everything."""
        self._congested = False
        callback, self._on_drained = self._on_drained, None
        if callback is not None:
            callback()

    # Called by the parser

    def on_message_begin(self) -> None:
        """Start a request in the bytes just read."""
        self._target = b""
        self._headers = []
        self._begun_ns = self._read_ns
        self._between = False

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer after a chunked body."""
        if self._incoming is None:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Handle a complete head: from here on the request counts."""
        call = self.server.routing.resolve(self._target)
        client_number = -1
        expects_continue = False
        for name, value in self._headers:
            if len(name) == 16 and name.lower() == b"x-request-number" and value.isdigit() and len(value) < 19:
                client_number = int(value)
            elif len(name) == 6 and name.lower() == b"expect":
                expects_continue = value.lower() == b"100-continue"
        parser = self._parser
        exchange = Exchange(
            self,
            call,
            parser.get_method().decode("latin-1"),
            self._target,
            self._headers,
            self._begun_ns,
            client_number,
        )
        exchange.keep_alive = parser.should_keep_alive()
        exchange.http_10 = parser.get_http_version() == "1.0"
        self._incoming = exchange
        if call.counted:
            self.server.request_counted()
        elif self.counted and not self.served:
            self.counted = False
            self.server.connection_measures()
        if call.route.before_body:
            self._queue.append(exchange)
        elif expects_continue and not exchange.http_10 and self._current is None:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, without chunk framing."""
        exchange = self._incoming
        if exchange is None:
            return
        exchange.body_bytes += len(body)
        if exchange.call.route.wants_body and exchange.body_bytes <= BODY_LIMIT:
            if not exchange.body:
                exchange.body = bytearray()
            cast(bytearray, exchange.body).extend(body)

    def on_message_complete(self) -> None:
        """Handle a complete request."""
        exchange, self._incoming = self._incoming, None
        self._between = True
        if exchange is None:
            return
        exchange.body_complete = True
        self._take_raw(exchange)
        if not exchange.call.route.before_body:
            self._queue.append(exchange)
        elif exchange.settled and not exchange.keep_alive:
            self.close()

    # Called by the exchange

    def write(self, data: bytes) -> bool:
        """Write bytes; return True if the kernel has accepted them all (with TLS: the TLS layer)."""
        transport = self._transport
        if transport is None or self._closing:
            return True
        if self._descriptor >= 0 and not transport.get_write_buffer_size():
            # Directly to the kernel, so that the time of the response is the time of the system call.
            try:
                written = os.write(self._descriptor, data)
            except BlockingIOError:
                written = 0
            except OSError:
                self.close(reset=True)
                return False
            if written == len(data):
                return True
            data = data[written:]
        transport.write(data)
        return not transport.get_write_buffer_size()

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call back when the kernel has accepted everything written."""
        transport = self._transport
        if transport is None or not transport.get_write_buffer_size():
            callback()
        elif self._congested:
            self._on_drained = callback
        else:
            # uvloop reports congestion only after its own attempt to write, at the end of this turn.
            self.server.loop.call_soon(self.when_drained, callback)

    def answered(self, exchange: Exchange) -> None:
        """Continue after a completed response: run the next exchange, or close."""
        if exchange is not self._current:
            return
        self._current = None
        self.served += 1
        if exchange.keep_alive:
            if self._queue:
                self.server.loop.call_soon(self._next)
        elif exchange.body_complete:
            self.close()
        else:
            # Closing with unread bytes would reset the connection and discard the response.
            self.server.loop.call_later(2.0, self.close)

    def close(self, *, reset: bool = False) -> None:
        """Close normally, or with a reset (SO_LINGER 0)."""
        transport = self._transport
        if transport is None or (self._closing and not reset):
            return
        self._closing = True
        for exchange in self._queue:
            exchange.dropped()
        if reset:
            with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as double:
                double.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
            transport.abort()
        else:
            transport.close()

    # Internal

    def _next(self) -> None:
        if self._current is not None or not self._queue or self._closing:
            return
        exchange = self._current = self._queue.popleft()
        if not self._reading and self._transport is not None and len(self._queue) <= _QUEUE_LIMIT // 2:
            self._reading = True
            self._transport.resume_reading()
        if exchange.call.counted and self.server.stall.closed:
            self.server.stall.when_open(lambda: self._run(exchange))
        else:
            self._run(exchange)

    def _run(self, exchange: Exchange) -> None:
        if exchange.settled:
            return
        try:
            exchange.call.route.handler(exchange)
        except BadParameterError as problem:
            exchange.respond(400, f"{problem}\n".encode())

    def _bad_request(self, error: httptools.HttpParserError) -> None:
        self.server.recorder.bad_requests += 1
        unanswered = [exchange for exchange in (self._current, *self._queue, self._incoming) if exchange is not None]
        if not unanswered:
            text = f"not a request: {error}\n".encode()
            self.write(
                b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(text), text)
            )
        for exchange in unanswered:
            exchange.leave()
        self.close()

    def _keep_raw(self, data: bytes) -> None:
        if self._between:
            self._raw = data
            self._passed = 0
        elif self._raw is not None:
            # It is unknown whether a pipelined successor needs its raw bytes, so all are kept up to the limit.
            self._raw = self._raw + data if len(self._raw) + len(data) <= RAW_LIMIT else None

    def _take_raw(self, exchange: Exchange) -> None:
        captures = self.server.captures_left > 0 and exchange.call.counted
        if not captures and not exchange.call.route.wants_raw:
            self._passed += 1
            return
        data = self._raw
        for _ in range(self._passed):
            length = None if data is None else message_length(data)
            data = None if data is None or length is None else data[length:]
        self._passed += 1
        length = None if data is None else message_length(data)
        exchange.raw = None if data is None or length is None else data[:length]
        if captures:
            self.server.capture(exchange)
