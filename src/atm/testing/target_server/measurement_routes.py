"""Routes to query and control the server: not recorded, and served during a stall."""

from __future__ import annotations

import base64
import json

from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.router import BadParameterError, Route
from atm.testing.target_server.tokens import TokenMode

JSON = "application/json"
PAGE_ROWS = 20_000


def _stats(exchange: Exchange) -> None:
    exchange.respond(200, json.dumps(exchange.connection.server.stats()).encode(), JSON)


def _record(exchange: Exchange) -> None:
    recorder = exchange.connection.server.recorder
    since = exchange.call.integer("since", 0)
    rows = list(recorder.rows(since, exchange.call.integer("limit", PAGE_ROWS, 1, PAGE_ROWS)))
    document = {"rows": rows, "next": since + len(rows), "total": recorder.row_count}
    exchange.respond(200, json.dumps(document, separators=(",", ":")).encode(), JSON)


def _reset(exchange: Exchange) -> None:
    if _posted(exchange):
        exchange.connection.server.reset()
        exchange.respond(204)


def _stall(exchange: Exchange) -> None:
    if _posted(exchange):
        seconds = exchange.call.number("seconds", most=3600)
        exchange.connection.server.stall.schedule(exchange.call.number("after", 0.0, most=3600), seconds)
        exchange.respond(204)


def _stalls(exchange: Exchange) -> None:
    exchange.respond(200, json.dumps(exchange.connection.server.stall.spans_ns).encode(), JSON)


def _tokens(exchange: Exchange) -> None:
    if not _posted(exchange):
        return
    store, call = exchange.connection.server.tokens, exchange.call
    mode = call.text("mode", TokenMode.OK)
    if mode not in tuple(TokenMode):
        raise BadParameterError(f"mode={mode} is none of {', '.join(TokenMode)}")
    store.set_mode(TokenMode(mode), call.integer("times", 0))
    store.expires_in = call.number("expires_in", store.expires_in)
    exchange.respond(204)


def _captured(exchange: Exchange) -> None:
    rows = [
        [one.call.counter.name, one.number, None if raw is None else base64.b64encode(raw).decode()]
        for one, raw in exchange.connection.server.captured
    ]
    exchange.respond(200, json.dumps(rows).encode(), JSON)


def _posted(exchange: Exchange) -> bool:
    if exchange.method == "POST":
        return True
    exchange.respond(405, b"POST this\n", headers=[("Allow", "POST")])
    return False


ROUTES = (
    Route("/__stats__", "The counts as JSON", _stats),
    Route("/__record__", "`?since=0&limit=`: rows of the record as JSON arrays, by pages", _record),
    Route("/__reset__", "POST: clear the record, count from one again", _reset),
    Route("/__stall__", "POST `?seconds=&after=0`: do not respond for that long", _stall),
    Route("/__stalls__", "Start and end of past stalls, monotonic ns", _stalls),
    Route("/__tokens__", "POST `?mode=ok&times=0&expires_in=`: how the token endpoint behaves from now on", _tokens),
    Route("/__captured__", "Raw bytes of the first requests (base64), if `capture` was set", _captured),
)
