"""A small demo shop: lognormal latency as in real services, and a few failures of POST /orders."""

from __future__ import annotations

import json

from atm.testing.target_server.distributions import lognormal_ms, uniform
from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.router import Route

JSON = "application/json"
FAILING_SHARE = 0.003
_SEED = 20_240_229
_USERS = json.dumps(
    [
        {"id": 1, "name": "Ada"},
        {"id": 2, "name": "Barbara"},
        {"id": 3, "name": "Grace"},
        {"id": 4, "name": "Margaret"},
    ]
).encode()


def _users(exchange: Exchange) -> None:
    if _takes(exchange, "GET", "HEAD"):
        _respond_later(exchange, 6.0, 0.55, 200, _USERS)


def _order(exchange: Exchange) -> None:
    if _takes(exchange, "GET", "HEAD"):
        document = {"id": exchange.call.text("id"), "status": "shipped", "total": "42.00", "items": 3}
        _respond_later(exchange, 9.0, 0.6, 200, json.dumps(document).encode())


def _new_order(exchange: Exchange) -> None:
    if not _takes(exchange, "POST"):
        return
    if uniform(_SEED, exchange.number, 2) < FAILING_SHARE:
        _respond_later(exchange, 18.0, 0.7, 503, b'{"error":"pool exhausted"}')
    else:
        document = {"id": exchange.number, "status": "accepted"}
        _respond_later(exchange, 18.0, 0.7, 201, json.dumps(document).encode())


def _respond_later(exchange: Exchange, median_ms: float, sigma: float, status: int, body: bytes) -> None:
    milliseconds = lognormal_ms(median_ms, sigma, _SEED, exchange.number)
    exchange.later(milliseconds / 1e3, lambda: exchange.respond(status, body, JSON))


def _takes(exchange: Exchange, *methods: str) -> bool:
    if exchange.method in methods:
        return True
    exchange.respond(405, b'{"error":"method not allowed"}', JSON, headers=[("Allow", ", ".join(methods))])
    return False


ROUTES = (
    Route("/users", "GET: four users; median 6 ms, p99 about 22 ms", _users),
    Route("/orders/{id}", "GET: an order; median 9 ms, p99 about 36 ms", _order, named_by_pattern=True),
    Route("/orders", "POST: 201; median 18 ms, p99 about 92 ms; 0.3 % are 503 `pool exhausted`", _new_order),
)
