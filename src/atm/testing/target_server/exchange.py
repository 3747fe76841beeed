"""One request and its response: the interface for route handlers."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from atm.testing.target_server.record import Outcome
from atm.testing.target_server.recorder import NO_ROW

if TYPE_CHECKING:
    from atm.testing.target_server.connection import Connection
    from atm.testing.target_server.router import Call

REASONS = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = frozenset({204, 304})


class Exchange:
    """A request whose head is complete, with methods to respond. Ends exactly once, in one `Outcome`.

    `number` is the request's number within its route (1-based), the argument of the seeded routes; 0 on measurement
    routes. `body` stays empty unless the route wants it; `body_bytes` is always counted.
    """

    __slots__ = (
        "arrived_ns",
        "body",
        "body_bytes",
        "body_complete",
        "call",
        "connection",
        "headers",
        "http_10",
        "keep_alive",
        "method",
        "number",
        "raw",
        "recorder",
        "row",
        "sent",
        "settled",
        "status",
        "target",
        "timer",
    )

    def __init__(
        self,
        connection: Connection,
        call: Call,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        arrived_ns: int,
        client_number: int,
    ) -> None:
        self.connection = connection
        self.call = call
        self.method = method
        self.target = target
        self.headers = headers
        self.arrived_ns = arrived_ns
        self.recorder = connection.server.recorder
        self.body: bytes | bytearray = b""
        self.body_bytes = 0
        self.body_complete = False
        self.http_10 = False
        self.keep_alive = True
        self.raw: bytes | None = None
        self.status: int | None = None
        self.sent = 0
        self.settled = False
        self.timer: asyncio.TimerHandle | None = None
        if call.counted:
            self.row = self.recorder.arrive(call.counter, connection.number, arrived_ns, client_number)
            self.number = call.counter.received
        else:
            self.row = NO_ROW
            self.number = 0

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header, by its lower-case name."""
        for header, value in self.headers:
            if header.lower() == name:
                return value
        return None

    # Responding

    def respond(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = "text/plain; charset=utf-8",
        headers: Sequence[tuple[str, str]] = (),
        close: bool = False,
    ) -> None:
        """Send a full response with a Content-Length and settle the exchange. HEAD, 204 and 304 have no body."""
        if close:
            self.keep_alive = False
        fields = [("Content-Type", content_type), *headers] if body else list(headers)
        if status not in _BODILESS:
            fields.append(("Content-Length", str(len(body))))
        head = self.head(status, fields)
        self.write(head if self.method == "HEAD" or status in _BODILESS else head + body)
        self.end()

    def head(self, status: int, fields: Sequence[tuple[str, str]]) -> bytes:
        """Return a status line and these fields, with `Connection` if needed; records the status."""
        self.status = status
        text = f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}\r\n"
        for name, value in fields:
            text += f"{name}: {value}\r\n"
        if not self.keep_alive:
            text += "Connection: close\r\n\r\n"
        elif self.http_10:
            text += "Connection: keep-alive\r\n\r\n"
        else:
            text += "\r\n"
        return text.encode("latin-1")

    def write(self, data: bytes) -> bool:
        """Write raw bytes of the response. Return True if the kernel has accepted them all."""
        if self.settled:
            return True
        self.sent += len(data)
        return self.connection.write(data)

    def when_written(self, callback: Callable[[], None]) -> None:
        """Call back when the kernel has accepted everything (at once if it has). Waits for the end of a stall."""
        self.connection.when_drained(lambda: self.connection.server.stall.when_open(callback))

    def end(self) -> None:
        """Finish the response: settle it as completed when its last byte is handed over."""
        if not self.settled:
            self.connection.when_drained(self._completed)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back after a delay, never earlier, unless the client has disconnected. Waits for the end of a stall."""
        self._arm(time.monotonic_ns() + round(seconds * 1e9), callback)

    def leave(self, *, reset: bool = False) -> None:
        """End without a full, valid response: close (after flushing), or reset."""
        if self.settled:
            return
        self._settle(Outcome.BROKEN)
        self.connection.close(reset=reset)

    def dropped(self) -> None:
        """End the exchange because the server closes first: called by the connection."""
        if not self.settled:
            self._settle(Outcome.BROKEN)

    def broken_off(self) -> None:
        """End the exchange because the connection is closed: called by the connection."""
        if not self.settled:
            self._settle(Outcome.ABORTED)

    # Internal

    def _arm(self, due_ns: int, callback: Callable[[], None]) -> None:
        # The loop's timers have whole milliseconds and may fire up to one too early, so check the time again.
        wait = max(0.001, math.ceil((due_ns - time.monotonic_ns()) / 1e6) / 1e3)
        self.timer = self.connection.server.loop.call_later(wait, self._fire, due_ns, callback)

    def _fire(self, due_ns: int, callback: Callable[[], None]) -> None:
        self.timer = None
        if self.settled:
            return
        if time.monotonic_ns() < due_ns:
            self._arm(due_ns, callback)
        else:
            self.connection.server.stall.when_open(callback)

    def _completed(self) -> None:
        if self.settled:
            return
        self.settled = True
        if self.call.counted and self.status is not None:
            self.recorder.completed(
                self.call.counter, self.row, self.status, time.monotonic_ns(), self.body_bytes, self.sent
            )
        self.connection.answered(self)

    def _settle(self, outcome: Outcome) -> None:
        self.settled = True
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.call.counted:
            self.recorder.left(
                self.call.counter, self.row, outcome, self.status, time.monotonic_ns(), self.body_bytes, self.sent
            )
