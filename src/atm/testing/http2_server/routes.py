"""Routes of the HTTP/2 test server, by path.

- `/`, `/status/N`, `/bytes/N`, `/delay/MS`, `/echo` (returns the body), `/trailers`, `/hints` (103 first),
  `/never`, `/unread` (never reopens the body's windows): correct responses;
- `/goaway?at=before|after|mid`: GOAWAY that refuses the request, follows its response, or is sent within it;
- `/reset?code=N&after=BYTES`: RST_STREAM, at once or after the head and part of a body;
- `/close?head=0&reset=0`: closes the connection, before or after the response's head;
- `/raw?base64=…&times=1&then=hang|close`: exactly these bytes, repeated, each `STRM` replaced by the request's stream.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from atm.testing.http2_server.connection import Connection, Row

_TIMES_A_TURN = 3_200


def respond(connection: Connection, row: Row, body: bytes) -> None:
    """Respond to a complete request."""
    parts = urlsplit(row.path)
    name, _, argument = parts.path.strip("/").partition("/")
    handler = _ROUTES.get(name)
    if handler is None:
        _text(connection, row, 404, b"no such route\n")
    else:
        handler(connection, row, argument, dict(parse_qsl(parts.query)), body)


def _text(connection: Connection, row: Row, status: int, body: bytes) -> None:
    bodiless = row.method == "HEAD" or status in (204, 304)
    fields = [] if status == 204 else [("content-length", str(len(body))), ("content-type", "text/plain")]
    connection.send_head(row.stream, status, fields)
    connection.send_body(row.stream, b"" if bodiless else body)


def _status(connection: Connection, row: Row, argument: str, _: dict[str, str], __: bytes) -> None:
    _text(connection, row, int(argument or 200), b"hello")


def _bytes(connection: Connection, row: Row, argument: str, _: dict[str, str], __: bytes) -> None:
    _text(connection, row, 200, b"x" * int(argument))


def _delay(connection: Connection, row: Row, argument: str, _: dict[str, str], __: bytes) -> None:
    connection.later(float(argument) / 1e3, lambda: _text(connection, row, 200, b"hello"))


def _echo(connection: Connection, row: Row, _: str, __: dict[str, str], body: bytes) -> None:
    _text(connection, row, 200, body)


def _trailers(connection: Connection, row: Row, _: str, __: dict[str, str], ___: bytes) -> None:
    connection.send_head(row.stream, 200, [])
    connection.send_body(row.stream, b"hello", [("x-trailer", "there")])


def _hints(connection: Connection, row: Row, _: str, __: dict[str, str], ___: bytes) -> None:
    connection.send_head(row.stream, 103, [("link", "</style.css>")])
    _text(connection, row, 200, b"hello")


def _never(_: Connection, __: Row, ___: str, ____: dict[str, str], _____: bytes) -> None:
    """Do nothing: the request stays in progress until the client cancels it."""


def _goaway(connection: Connection, row: Row, _: str, query: dict[str, str], __: bytes) -> None:
    if query["at"] == "before":
        connection.say_goodbye(row.stream - 2 if row.stream > 1 else 0)
        connection.later(0.05, connection.close)
    elif query["at"] == "after":
        _text(connection, row, 200, b"hello")
        connection.say_goodbye(row.stream)
    else:
        connection.send_head(row.stream, 200, [("content-length", "5")])
        connection.say_goodbye(row.stream)
        connection.later(0.01, lambda: connection.send_body(row.stream, b"hello"))


def _reset(connection: Connection, row: Row, _: str, query: dict[str, str], __: bytes) -> None:
    if "after" in query:
        connection.send_head(row.stream, 200, [])
    connection.reset_stream(row.stream, int(query.get("code", "8")))


def _close(connection: Connection, row: Row, _: str, query: dict[str, str], __: bytes) -> None:
    if query.get("head") == "1":
        connection.send_head(row.stream, 200, [("content-length", "5")])
        connection.flush()
    connection.later(0.005, lambda: connection.close(reset=query.get("reset") == "1"))


def _raw(connection: Connection, row: Row, _: str, query: dict[str, str], __: bytes) -> None:
    text = query.get("base64", "")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).replace(b"STRM", row.stream.to_bytes(4, "big"))
    left = int(query.get("times", "1"))

    def go_on() -> None:
        nonlocal left
        # Yield between repetitions, so that the client's frames are read and a flood can be ended.
        count = min(left, _TIMES_A_TURN)
        connection.send_raw(data * count)
        left -= count
        if left:
            connection.later(0, go_on)
        elif query.get("then") == "close":
            connection.later(0.005, connection.close)

    go_on()


_Handler = Callable[[Any, Any, str, dict[str, str], bytes], None]
_ROUTES: dict[str, _Handler] = {
    "": _status, "status": _status, "bytes": _bytes, "delay": _delay, "echo": _echo, "trailers": _trailers,
    "hints": _hints, "never": _never, "unread": _status, "goaway": _goaway, "reset": _reset, "close": _close,
    "raw": _raw,
}  # fmt: skip
