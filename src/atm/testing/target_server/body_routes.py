"""Routes for the framing and pacing of response bodies, all valid HTTP/1.1."""

from __future__ import annotations

import gzip as gzip_format
import math
import zlib

from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.router import Route

_BLOCK = b"0123456789abcdef" * 16384
_BINARY = ("Content-Type", "application/octet-stream")
_TEXT_LINE = b"the quick brown fox jumps over the lazy dog\n"
_PIECES_PER_SECOND = 200


def _chunked(exchange: Exchange) -> None:
    call = exchange.call
    count, size = call.integer("chunks", 4, 0, 1_000_000), call.integer("size", 16, 1, len(_BLOCK))
    trailers = [(f"X-Trailer-{index + 1}", str(index + 1)) for index in range(call.integer("trailers", 0, 0, 100))]
    every = call.number("every_ms", 0.0) / 1e3
    fields = [_BINARY, ("Transfer-Encoding", "chunked")]
    if trailers:
        fields.append(("Trailer", ", ".join(name for name, _ in trailers)))
    last = b"0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in trailers).encode() + b"\r\n"
    chunk = b"%x\r\n%s\r\n" % (size, _BLOCK[:size])
    exchange.write(exchange.head(200, fields))
    if exchange.method == "HEAD":
        exchange.end()
    elif every > 0:
        _paced(exchange, [chunk] * count + [last], every)
    else:
        _pump(exchange, chunk, count * len(chunk), last)


def _gzip(exchange: Exchange) -> None:
    _compressed(exchange, "gzip", gzip_format.compress(_text(exchange), mtime=0))


def _deflate(exchange: Exchange) -> None:
    _compressed(exchange, "deflate", zlib.compress(_text(exchange)))


def _large(exchange: Exchange) -> None:
    size = exchange.call.integer("n", None, 0, 1 << 40)
    exchange.write(exchange.head(200, [_BINARY, ("Content-Length", str(size))]))
    if exchange.method == "HEAD":
        exchange.end()
    else:
        _pump(exchange, _BLOCK, size)


def _slow(exchange: Exchange) -> None:
    call = exchange.call
    size, seconds = call.integer("bytes", 100, 1, len(_BLOCK)), call.number("seconds", 1.0, most=3600)
    pieces = max(1, min(size, round(seconds * _PIECES_PER_SECOND)))
    step = math.ceil(size / pieces)
    parts = [_BLOCK[start : min(start + step, size)] for start in range(0, size, step)]
    exchange.write(exchange.head(200, [_BINARY, ("Content-Length", str(size))]))
    if exchange.method == "HEAD":
        exchange.end()
    else:
        _paced(exchange, parts, seconds / len(parts))


def _until_close(exchange: Exchange) -> None:
    size = exchange.call.integer("bytes", 20, 0, 1 << 40)
    exchange.keep_alive = False
    exchange.write(exchange.head(200, [_BINARY]))
    if exchange.method == "HEAD":
        exchange.end()
    else:
        _pump(exchange, _BLOCK, size)


def _early_hints(exchange: Exchange) -> None:
    status = exchange.call.integer("status", 103, 100, 199)
    interim = f"HTTP/1.1 {status} Interim\r\nLink: </style.css>; rel=preload\r\n\r\n".encode()
    exchange.write(interim * exchange.call.integer("count", 1, 0, 1000))
    exchange.respond(200, b"after the hints\n")


def _keep_alive(exchange: Exchange) -> None:
    last = exchange.connection.served + 1 >= exchange.call.integer("n", None, 1)
    if last and exchange.call.flag("silent"):
        exchange.respond(200, b"the last one, unannounced\n")
        exchange.connection.close()
    else:
        exchange.respond(200, b"the last one\n" if last else b"more to come\n", close=last)


def _compressed(exchange: Exchange, encoding: str, body: bytes) -> None:
    exchange.respond(200, body, headers=[("Content-Encoding", encoding)])


def _text(exchange: Exchange) -> bytes:
    size = exchange.call.integer("bytes", 1000, 0, 16 << 20)
    return (_TEXT_LINE * (size // len(_TEXT_LINE) + 1))[:size]


def _pump(exchange: Exchange, block: bytes, size: int, last: bytes = b"") -> None:
    """Write `size` bytes of repetitions of `block`, then `last`, as fast as the client reads them."""
    big = block * max(1, min(len(_BLOCK), size) // len(block))
    left = size

    def go_on() -> None:
        nonlocal left
        while left > 0 and not exchange.settled:
            part = big if left >= len(big) else big[:left]
            left -= len(part)
            if not exchange.write(part):
                exchange.when_written(go_on)
                return
        if last:
            exchange.write(last)
        exchange.end()

    go_on()


def _paced(exchange: Exchange, parts: list[bytes], every: float) -> None:
    """Write one part every `every` seconds, the first after that time."""
    waiting = iter(parts)
    left = len(parts)

    def go_on() -> None:
        nonlocal left
        exchange.write(next(waiting))
        left -= 1
        if left:
            exchange.later(every, go_on)
        else:
            exchange.end()

    exchange.later(every, go_on)


ROUTES = (
    Route("/chunked", "`?chunks=4&size=16&trailers=0&every_ms=0`: a chunked body, optionally with trailers", _chunked),
    Route("/gzip", "`?bytes=1000`: that much text, gzip-encoded whatever was accepted", _gzip),
    Route("/deflate", "`?bytes=1000`: that much text, deflate-encoded (zlib)", _deflate),
    Route("/bytes/{n}", "A body of n bytes (up to 1 TiB), as fast as they are taken", _large),
    Route("/slow", "`?bytes=100&seconds=1`: the head at once, the body evenly over that time", _slow),
    Route("/until-close", "`?bytes=20`: a body that ends with the connection", _until_close),
    Route("/early-hints", "`?count=1&status=103`: interim responses, then a 200", _early_hints),
    Route("/keep-alive/{n}", "`?silent=0`: the connection's n-th request is its last, announced or not", _keep_alive),
)
