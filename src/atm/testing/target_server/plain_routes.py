"""Routes with an immediate or delayed response: fixed texts, delays, statuses, echo, redirects."""

from __future__ import annotations

import json
import math
import time

from atm.testing.target_server.connection import BODY_LIMIT
from atm.testing.target_server.distributions import bimodal_ms, lognormal_ms, status_of
from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.raw_request import RAW_LIMIT
from atm.testing.target_server.router import Route

JSON = "application/json"


def _root(exchange: Exchange) -> None:
    exchange.respond(200, b"hello from the target server\n")


def _fixed(exchange: Exchange) -> None:
    exchange.respond(200, b"x" * exchange.call.integer("bytes", 20, most=1 << 20))


def _delay(exchange: Exchange) -> None:
    _after(exchange, exchange.call.number("ms"))


def _lognormal(exchange: Exchange) -> None:
    call = exchange.call
    _after(
        exchange,
        lognormal_ms(
            call.number("median_ms"), call.number("sigma", 0.5, most=10), call.integer("seed", 1), exchange.number
        ),
    )


def _bimodal(exchange: Exchange) -> None:
    call = exchange.call
    _after(
        exchange,
        bimodal_ms(
            call.number("fast_ms"),
            call.number("slow_ms"),
            call.number("share", most=1),
            call.integer("seed", 1),
            exchange.number,
        ),
    )


def _status_share(exchange: Exchange) -> None:
    call = exchange.call
    status = status_of(
        call.integer("ok", 200, 200, 599),
        call.integer("other", 503, 200, 599),
        call.number("share", most=1),
        call.integer("seed", 1),
        exchange.number,
    )
    _with_status(exchange, status)


def _status_fixed(exchange: Exchange) -> None:
    _with_status(exchange, exchange.call.integer("code", None, 200, 599))


_WINDOWS: dict[str, tuple[float, int]] = {}
"""Per rate-limited route: when its window began (monotonic seconds) and the number of requests in it."""
_MOST_WINDOWS = 1000


def _rate_limit(exchange: Exchange) -> None:
    call = exchange.call
    limit = call.integer("limit", 10, 0)
    window = call.number("window_ms", 1000, least=1) / 1e3
    now = time.monotonic()
    if len(_WINDOWS) > _MOST_WINDOWS:
        _WINDOWS.clear()
    began, passed = _WINDOWS.get(call.counter.name, (now, 0))
    if now - began >= window:
        began, passed = now, 0
    _WINDOWS[call.counter.name] = began, passed + 1
    if passed < limit:
        exchange.respond(200, b"within the limit\n")
        return
    seconds = max(math.ceil(began + window - now), 1)
    exchange.respond(429, b"too many requests\n", headers=[("Retry-After", str(seconds))])


def _health(exchange: Exchange) -> None:
    _answer_json(exchange, {"status": "ok"})


def _echo(exchange: Exchange) -> None:
    if exchange.body_bytes > BODY_LIMIT:
        exchange.respond(413, b"echo takes bodies up to 64 MiB\n")
        return
    document = {
        "method": exchange.method,
        "target": exchange.target.decode("latin-1"),
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in exchange.headers],
        "body": bytes(exchange.body).decode("latin-1"),
        "number": exchange.number,
    }
    _answer_json(exchange, document)


def _echo_raw(exchange: Exchange) -> None:
    if exchange.raw is None:
        exchange.respond(413, f"the bytes of this request were not kept (limit {RAW_LIMIT})\n".encode())
    else:
        exchange.respond(200, exchange.raw, "application/octet-stream")


def _headers(exchange: Exchange) -> None:
    fields = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in exchange.headers]
    _answer_json(exchange, {"headers": fields})


def _redirect(exchange: Exchange) -> None:
    call = exchange.call
    left = call.integer("n", None, 0, 1000)
    if left == 0:
        exchange.respond(200, b"end of the chain\n")
        return
    status = call.integer("status", 302, 300, 399)
    origin = call.text("to", "")
    suffix = f"?status={status}" + (f"&to={origin}" if origin and left > 1 else "")
    exchange.respond(status, headers=[("Location", f"{origin}/redirect/{left - 1}{suffix}")])


def _redirect_loop(exchange: Exchange) -> None:
    exchange.respond(302, headers=[("Location", "/redirect/loop")])


def _after(exchange: Exchange, milliseconds: float) -> None:
    if milliseconds <= 0:
        exchange.respond(200, b"at once\n")
    else:
        exchange.later(milliseconds / 1e3, lambda: exchange.respond(200, b"after a delay\n"))


def _with_status(exchange: Exchange, status: int) -> None:
    exchange.respond(status, b"" if status in (204, 304) else f"status {status}\n".encode())


def _answer_json(exchange: Exchange, document: object) -> None:
    exchange.respond(200, json.dumps(document).encode(), JSON)


ROUTES = (
    Route("/", "A short fixed text, at once", _root),
    Route("/fixed", "`?bytes=20`: that many bytes (up to 1 MiB), at once", _fixed),
    Route("/delay/{ms}", "A short text after that many milliseconds, never earlier", _delay),
    Route("/lognormal", "`?median_ms=&sigma=0.5&seed=1`: after a delay drawn for the request's number", _lognormal),
    Route("/bimodal", "`?fast_ms=&slow_ms=&share=&seed=1`: `slow_ms` for that share of requests", _bimodal),
    Route("/status", "`?ok=200&other=503&share=&seed=1`: `other` for that share of requests", _status_share),
    Route("/status/{code}", "That status", _status_fixed),
    Route(
        "/ratelimit",
        "`?limit=10&window_ms=1000`: 200 for that many requests in each window, then 429 with `Retry-After` (seconds)",
        _rate_limit,
    ),
    Route("/health", '`{"status": "ok"}`, at once', _health),
    Route("/echo", "Method, target, headers in order and body (latin-1) as JSON", _echo, wants_body=True),
    Route("/echo/raw", "The exact bytes of the request (up to 1 MiB)", _echo_raw, wants_raw=True),
    Route("/headers", "The request's headers in order as JSON", _headers),
    Route("/redirect/loop", "302 to itself", _redirect_loop),
    Route(
        "/redirect/{n}",
        "`?status=302&to=ORIGIN`: a chain of n redirects; `to` makes the next hop cross-origin",
        _redirect,
    ),
)
