"""What all routes of the shop have in common: methods, sessions, bodies, errors as JSON, and the counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from atm.testing.target_server.connection import BODY_LIMIT
from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.router import BadParameterError, Handler, Route
from atm.testing.target_server.shop.accounts import Session
from atm.testing.target_server.shop.shop import Shop

JSON = "application/json"
COOKIE = "shop_session"


class RefusalError(Exception):
    """An error response of the shop: `{"error": code, "message": text}` with further fields."""

    def __init__(
        self,
        status: int,
        error: str,
        message: str,
        headers: Sequence[tuple[str, str]] = (),
        **fields: object,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.document = {"error": error, "message": message, **fields}


OpenHandler = Callable[[Shop, Exchange], None]
SessionHandler = Callable[[Shop, Exchange, Session], None]


def open_route(pattern: str, summary: str, handlers: Mapping[str, OpenHandler]) -> Route:
    """Return a route that needs no session, with a handler per method."""
    return _route(pattern, summary, {method: _plain(handler) for method, handler in handlers.items()})


def session_route(pattern: str, summary: str, handlers: Mapping[str, SessionHandler]) -> Route:
    """Return a route that answers 401 without a session."""
    return _route(pattern, summary, {method: _signed_in(handler) for method, handler in handlers.items()})


def respond(exchange: Exchange, status: int, document: object, headers: Sequence[tuple[str, str]] = ()) -> None:
    """Respond with JSON."""
    exchange.respond(status, json.dumps(document).encode(), JSON, headers)


def media_type(exchange: Exchange) -> bytes:
    """Return the type of the body without parameters, in lower case."""
    return (exchange.header(b"content-type") or b"").partition(b";")[0].strip().lower()


def fields(exchange: Exchange) -> dict[str, Any]:
    """Return the fields of a body of JSON, or of a form. An empty body has none."""
    if media_type(exchange) == b"application/x-www-form-urlencoded":
        return dict(parse_qsl(bytes(exchange.body).decode("utf-8", "replace"), keep_blank_values=True))
    document = json_body(exchange) if exchange.body else {}
    if not isinstance(document, dict):
        raise RefusalError(422, "invalid_body", "the body must be a JSON object or a form")
    return document


def json_body(exchange: Exchange) -> Any:
    """Return the body, which must be JSON."""
    try:
        return json.loads(bytes(exchange.body))
    except (ValueError, RecursionError) as cause:
        raise RefusalError(400, "invalid_json", "the body is not JSON") from cause


def whole_number(value: object, name: str, least: int, most: int) -> int:
    """Return a number of a body; digits in a string are accepted, as forms send them."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise RefusalError(422, "invalid_field", f"{name} must be a whole number from {least} to {most}", field=name)
    return value


def token_of(exchange: Exchange) -> str | None:
    """Return the bearer token of a request, or else its session cookie."""
    cookie: str | None = None
    for name, value in exchange.headers:
        if len(name) == 13 and name.lower() == b"authorization":
            scheme, _, token = value.partition(b" ")
            return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else None
        if len(name) == 6 and name.lower() == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                key, _, text = pair.strip().partition("=")
                if key == COOKIE:
                    cookie = text
    return cookie


def _route(pattern: str, summary: str, handlers: Mapping[str, OpenHandler]) -> Route:
    return Route(
        pattern,
        summary,
        _counting(pattern, handlers),
        wants_body=any(method not in ("GET", "DELETE") for method in handlers),
        named_by_pattern="{" in pattern,
    )


def _plain(handler: OpenHandler) -> OpenHandler:
    def serve(shop: Shop, exchange: Exchange) -> None:
        token = token_of(exchange)
        if token is not None:
            session = shop.accounts.session(token, exchange.arrived_ns)
            if session is not None:
                session.account.requests += 1
        handler(shop, exchange)

    return serve


def _signed_in(handler: SessionHandler) -> OpenHandler:
    def serve(shop: Shop, exchange: Exchange) -> None:
        token = token_of(exchange)
        session = None if token is None else shop.accounts.session(token, exchange.arrived_ns)
        if session is None:
            shop.refused += 1
            why = "sign in at /shop/login" if token is None else "the token is unknown, or its session has ended"
            raise RefusalError(401, "unauthorized", why, [("WWW-Authenticate", "Bearer")])
        session.account.requests += 1
        handler(shop, exchange, session)

    return serve


def _counting(pattern: str, handlers: Mapping[str, OpenHandler]) -> Handler:
    # The names in the books are made once, not with each request.
    by_method = {method: (f"{method} {pattern}", handler) for method, handler in handlers.items()}
    if "GET" in by_method:
        by_method["HEAD"] = by_method["GET"]
    allow = [("Allow", ", ".join(by_method))]

    def serve(exchange: Exchange) -> None:
        shop = exchange.connection.server.shop
        try:
            name, handler = by_method[exchange.method]
        except KeyError:
            _refuse(exchange, RefusalError(405, "method_not_allowed", f"{pattern} takes {', '.join(by_method)}", allow))
            return
        shop.requests[name] = shop.requests.get(name, 0) + 1
        if exchange.body_bytes > BODY_LIMIT:
            _refuse(exchange, RefusalError(413, "too_large", f"the body is larger than {BODY_LIMIT} bytes"))
            return
        try:
            handler(shop, exchange)
        except RefusalError as refusal:
            _refuse(exchange, refusal)
        except BadParameterError as problem:
            _refuse(exchange, RefusalError(422, "invalid_parameter", str(problem)))

    return serve


def _refuse(exchange: Exchange, refusal: RefusalError) -> None:
    respond(exchange, refusal.status, refusal.document, refusal.headers)
