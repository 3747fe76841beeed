"""One HTTP/2 connection of the test server, and the record of all of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Callable
from dataclasses import asdict, field
from typing import cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from atm.dataclass import dataclass
from atm.testing.http2_server.routes import respond

_RESET = struct.pack("ii", 1, 0)
_MOST_ROWS = 100_000


@dataclass(slots=True)
class Row:
    """A request; the fields are those of `Http2Request`."""

    connection: int
    stream: int
    method: str
    scheme: str
    authority: str
    path: str
    headers: list[tuple[str, str]]
    body_bytes: int = 0
    whole: bool = False
    reset: bool = False


@dataclass(slots=True)
class Seen:
    """The record of all connections, and their initial settings."""

    max_streams: int
    window: int
    rows: list[Row] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_streams: int = 0
    faults: list[str] = field(default_factory=list)
    goodbyes: list[str] = field(default_factory=list)

    def note(self, row: Row) -> None:
        if len(self.rows) < _MOST_ROWS:
            self.rows.append(row)

    def forget(self) -> None:
        self.rows.clear()
        self.faults.clear()
        self.goodbyes.clear()
        self.connections = self.most_streams = 0

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves the record over HTTP/1.1 to the test that owns this server."""
        line = await reader.readuntil(b"\r\n\r\n")
        if line.startswith(b"GET /__reset__"):
            self.forget()
        body = json.dumps(
            {
                "requests": [asdict(row) for row in self.rows],
                "connections": self.connections,
                "connections_open": self.open,
                "most_streams": self.most_streams,
                "faults": self.faults,
                "goodbyes": self.goodbyes,
            }
        ).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()


class Connection(asyncio.Protocol):
    """Passes frames to `h2`; the routes respond through `h2` or with exact bytes."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.number = 0
        self._transport: asyncio.Transport | None = None
        self._codec = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="latin-1")
        )
        self._requests: dict[int, Row] = {}
        self._bodies: dict[int, bytearray] = {}
        self._waiting: dict[int, tuple[memoryview, list[tuple[str, str]]]] = {}
        """Per stream: the part of a response body that waits for window, and its trailers."""

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.seen.connections += 1
        self.seen.open += 1
        self.number = self.seen.connections
        codes = h2.settings.SettingCodes
        self._codec.local_settings = h2.settings.Settings(
            client=False, initial_values={codes.MAX_CONCURRENT_STREAMS: self.seen.max_streams}
        )
        self._codec.initiate_connection()
        # A window applies from the client's acknowledgement on, so it must not be among the initial values.
        self._codec.update_settings({codes.INITIAL_WINDOW_SIZE: self.seen.window})
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio says so)
        self.seen.open -= 1
        self._transport = None
        self._requests.clear()

    def data_received(self, data: bytes) -> None:
        try:
            events = self._codec.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self.seen.faults.append(f"{type(error).__name__}: {error}")
            self.flush()
            self.close()
            return
        for event in events:
            self._on_event(event)
        self.flush()

    # Called by the routes

    def send_head(self, stream: int, status: int, fields: list[tuple[str, str]], *, end: bool = False) -> None:
        """Send the head of a response, or an interim response."""
        if self._requests.get(stream) is not None:
            self._codec.send_headers(stream, [(":status", str(status)), *fields], end_stream=end)

    def send_body(self, stream: int, body: bytes, trailers: list[tuple[str, str]] | None = None) -> None:
        """Send the body of a response and its end, as fast as the client's windows allow."""
        if self._requests.get(stream) is not None:
            self._waiting[stream] = (memoryview(body), trailers or [])
            self._go_on(stream)
            self.flush()

    def send_raw(self, data: bytes) -> None:
        """Send exactly these bytes, bypassing `h2`."""
        if self._transport is not None:
            self._transport.write(data)

    def say_goodbye(self, last: int) -> None:
        """Send GOAWAY without an error: streams up to `last` are completed."""
        self._codec.close_connection(last_stream_id=last)
        # Streams in progress continue, which h2 does not support after a GOAWAY, so its state is reset.
        self.flush()
        self._codec.state_machine.state = h2.connection.ConnectionState.SERVER_OPEN

    def reset_stream(self, stream: int, code: int) -> None:
        """RST_STREAM."""
        self._requests.pop(stream, None)
        self._codec.reset_stream(stream, code)
        self.flush()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Call a function after a delay, unless the connection is closed by then."""

        def when_due() -> None:
            if self._transport is not None:
                act()
                self.flush()

        asyncio.get_running_loop().call_later(seconds, when_due)

    def close(self, *, reset: bool = False) -> None:
        """Close normally, or with a reset (SO_LINGER 0)."""
        if self._transport is None:
            return
        if reset:
            with socket.socket(fileno=socket.dup(self._transport.get_extra_info("socket").fileno())) as double:
                double.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()
        else:
            self._transport.close()

    def flush(self) -> None:
        """Write the pending output of `h2`."""
        data = self._codec.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)

    # Internal

    def _on_event(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._begin(event)
        elif isinstance(event, h2.events.DataReceived):
            self._take(event)
        elif isinstance(event, h2.events.StreamEnded):
            self._finish(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            row = self._requests.pop(event.stream_id, None)
            self._waiting.pop(event.stream_id, None)
            if row is not None:
                row.reset = True
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for stream in list(self._waiting):
                # A stream that the client reset at the same time is among the following events.
                with contextlib.suppress(h2.exceptions.StreamClosedError):
                    self._go_on(stream)
        elif isinstance(event, h2.events.ConnectionTerminated):
            code = event.error_code
            self.seen.goodbyes.append(code.name if isinstance(code, h2.errors.ErrorCodes) else str(code))

    def _begin(self, event: h2.events.RequestReceived) -> None:
        fields = [(str(name), str(value)) for name, value in event.headers or ()]
        pseudo = {name: value for name, value in fields if name.startswith(":")}
        stream = event.stream_id
        row = Row(
            self.number,
            stream,
            method=pseudo.get(":method", ""),
            scheme=pseudo.get(":scheme", ""),
            authority=pseudo.get(":authority", ""),
            path=pseudo.get(":path", ""),
            headers=[(name, value) for name, value in fields if not name.startswith(":")],
        )
        self._requests[stream] = row
        self._bodies[stream] = bytearray()
        self.seen.note(row)
        self.seen.most_streams = max(self.seen.most_streams, len(self._requests))

    def _take(self, event: h2.events.DataReceived) -> None:
        stream, data = event.stream_id, event.data or b""
        row = self._requests.get(stream)
        if row is not None:
            row.body_bytes += len(data)
            self._bodies[stream] += data
            if row.path != "/unread":
                self._codec.acknowledge_received_data(event.flow_controlled_length or 0, stream)

    def _finish(self, stream: int) -> None:
        row = self._requests.get(stream)
        if row is not None:
            row.whole = True
            respond(self, row, bytes(self._bodies.pop(stream, b"")))

    def _go_on(self, stream: int) -> None:
        left, trailers = self._waiting[stream]
        while left:
            room = min(self._codec.local_flow_control_window(stream), self._codec.max_outbound_frame_size, len(left))
            if room <= 0:
                self._waiting[stream] = (left, trailers)
                return
            self._codec.send_data(stream, left[:room].tobytes())
            left = left[room:]
        del self._waiting[stream]
        self._requests.pop(stream, None)
        if trailers:
            self._codec.send_headers(stream, trailers, end_stream=True)
        else:
            self._codec.end_stream(stream)
