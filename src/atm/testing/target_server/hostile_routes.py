"""Routes that misbehave on purpose. Without a full, valid response, the request ends as `broken`."""

from __future__ import annotations

import base64
import binascii
import random

from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.router import BadParameterError, Route

_FILLER = b"0123456789abcdef" * 4096


def _close(exchange: Exchange) -> None:
    exchange.later(exchange.call.number("after_ms", 0.0) / 1e3, exchange.leave)


def _reset(exchange: Exchange) -> None:
    exchange.later(exchange.call.number("after_ms", 0.0) / 1e3, lambda: exchange.leave(reset=True))


def _half(exchange: Exchange) -> None:
    size = exchange.call.integer("bytes", 100, 1, len(_FILLER))
    head = exchange.head(200, [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
    exchange.write(head[: len(head) // 2] if exchange.call.flag("head") else head + _FILLER[: size // 2])
    # An immediate reset would discard the bytes written before it.
    exchange.later(0.005, lambda: exchange.leave(reset=exchange.call.flag("reset")))


def _garbage(exchange: Exchange) -> None:
    call = exchange.call
    source = random.Random(call.integer("seed", 1) * 1_000_003 + exchange.number)
    exchange.write(source.randbytes(call.integer("bytes", 64, 1, 1 << 20)))
    exchange.leave()


def _endless_header(exchange: Exchange) -> None:
    left = exchange.call.integer("limit", 1 << 20, 1, 1 << 30)
    exchange.status = 200
    exchange.write(b"HTTP/1.1 200 OK\r\n")

    def go_on() -> None:
        nonlocal left
        while left > 0 and not exchange.settled:
            part = b"".join(b"X-Endless-%d: %s\r\n" % (left - index, _FILLER[:64]) for index in range(100))
            left -= len(part)
            if not exchange.write(part):
                exchange.when_written(go_on)
                return
        exchange.leave()

    go_on()


def _wrong_length(exchange: Exchange) -> None:
    declared = exchange.call.integer("declared")
    sent = exchange.call.integer("sent", None, 0, len(_FILLER))
    head = exchange.head(200, [("Content-Type", "application/octet-stream"), ("Content-Length", str(declared))])
    exchange.write(head + _FILLER[:sent])
    if sent >= declared:
        exchange.end()
    elif not exchange.call.flag("hang"):
        exchange.leave()


def _never(exchange: Exchange) -> None:
    """Do nothing: the request stays in progress until the client disconnects."""


def _early_answer(exchange: Exchange) -> None:
    exchange.respond(exchange.call.integer("status", 413, 200, 599), b"answered before the body was read\n", close=True)


def _raw(exchange: Exchange) -> None:
    call = exchange.call
    # The parameter takes precedence: a client such as a token request may have its own body.
    data = _decoded(call.text("base64", "")) or bytes(exchange.body)
    then = call.text("then", "close")
    if then not in ("close", "reset", "hang", "keep"):
        raise BadParameterError(f"then={then} is none of close, reset, hang, keep")
    if then == "keep" and not call.integer("complete", 0):
        raise BadParameterError("then=keep needs complete=STATUS: what is kept must have been a full answer")
    data = data[: call.integer("cut", len(data))]
    step = call.integer("at_a_time", 0) or max(1, len(data))
    every = call.number("every_ms", 0.0) / 1e3
    parts = [data[start : start + step] for start in range(0, len(data), step)]
    position = 0

    def go_on() -> None:
        nonlocal position
        while position < len(parts):
            exchange.write(parts[position])
            position += 1
            if position < len(parts) and len(parts) > 1:
                exchange.later(every, go_on)
                return
        _end_raw(exchange, then)

    go_on()


def _end_raw(exchange: Exchange, then: str) -> None:
    complete = exchange.call.integer("complete", 0)
    if complete:
        exchange.status = complete
        exchange.keep_alive = then in ("keep", "hang")
        exchange.end()
    elif then == "reset":
        exchange.later(0.005, lambda: exchange.leave(reset=True))
    elif then == "close":
        exchange.leave()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as cause:
        raise BadParameterError(f"base64 does not read: {cause}") from cause


ROUTES = (
    Route("/close", "`?after_ms=0`: closes without a response", _close),
    Route("/reset", "`?after_ms=0`: resets the connection (RST) without a response", _reset),
    Route("/half", "`?bytes=100&head=0&reset=0`: half of the body (or of the head), then closes or resets", _half),
    Route("/garbage", "`?bytes=64&seed=1`: random bytes, then closes", _garbage),
    Route("/endless-header", "`?limit=1048576`: header after header, then closes", _endless_header),
    Route(
        "/wrong-length",
        "`?declared=&sent=&hang=0`: a Content-Length that lies; if too little was sent it closes, or hangs",
        _wrong_length,
    ),
    Route("/never", "Never responds; in progress until the client disconnects", _never),
    Route(
        "/early-answer",
        "`?status=413`: responds before reading the body, reads it, closes",
        _early_answer,
        before_body=True,
    ),
    Route(
        "/raw",
        "`?base64=` or the request's body: exactly these bytes; `cut=` ends early, `at_a_time=&every_ms=` splits, "
        "`then=close` (reset, hang, keep), `complete=STATUS` declares it a full response",
        _raw,
        wants_body=True,
    ),
)
