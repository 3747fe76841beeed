"""Routes to register and sign in."""

from __future__ import annotations

from atm.testing.target_server import oauth
from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.shop import accounts
from atm.testing.target_server.shop.accounts import Session
from atm.testing.target_server.shop.service import (
    COOKIE,
    RefusalError,
    fields,
    open_route,
    respond,
    session_route,
)
from atm.testing.target_server.shop.shop import Shop

_MOST_PASSWORD = 256


def _register(shop: Shop, exchange: Exchange) -> None:
    name, password = _credentials(exchange)
    if not accounts.is_name(name):
        raise RefusalError(422, "invalid_field", "name must be 1 to 64 letters, digits and . _ @ + -", field="name")
    if shop.accounts.exists(name):
        raise RefusalError(409, "name_taken", f"there is an account {name}")
    if len(shop.accounts.registered) >= accounts.REGISTRATIONS_LIMIT:
        raise RefusalError(409, "too_many_accounts", "the shop takes no more accounts; POST /shop/reset")
    shop.accounts.register(name, password)
    respond(exchange, 201, {"name": name})


def _login(shop: Shop, exchange: Exchange) -> None:
    name, password = _credentials(exchange)
    session = shop.accounts.login(name, password, exchange.arrived_ns)
    if session is None:
        raise RefusalError(401, "wrong_credentials", "wrong name or password", [("WWW-Authenticate", "Bearer")])
    cookie = f"{COOKIE}={session.token}; Path=/shop; Max-Age={shop.options.session_s}; HttpOnly; SameSite=Lax"
    respond(
        exchange,
        200,
        {"token": session.token, "account": name, "expires_in": shop.options.session_s},
        [("Set-Cookie", cookie), ("Cache-Control", "no-store")],
    )


def _logout(shop: Shop, exchange: Exchange, session: Session) -> None:
    shop.accounts.logout(session)
    exchange.respond(204, headers=[("Set-Cookie", f"{COOKIE}=; Path=/shop; Max-Age=0; HttpOnly; SameSite=Lax")])


def _token(shop: Shop, exchange: Exchange) -> None:
    client = exchange.connection.server.options.client_id

    def issue() -> tuple[str, float]:
        return shop.accounts.open(client, exchange.arrived_ns).token, shop.options.session_s

    oauth.grant(exchange, ("client_credentials",), issue)


def _credentials(exchange: Exchange) -> tuple[str, str]:
    given = fields(exchange)
    values = []
    for name in ("name", "password"):
        value = given.get(name)
        if not isinstance(value, str) or not value or len(value) > _MOST_PASSWORD:
            raise RefusalError(
                422, "invalid_field", f"{name} must be a text of 1 to {_MOST_PASSWORD} characters", field=name
            )
        values.append(value)
    return values[0], values[1]


ROUTES = (
    open_route(
        "/shop/accounts", "POST `name`, `password`: 201, a new account; 409 if the name is taken", {"POST": _register}
    ),
    open_route(
        "/shop/login", "POST `name`, `password`: a token, and a cookie `shop_session`; or 401", {"POST": _login}
    ),
    session_route("/shop/logout", "POST: 204, the session ends", {"POST": _logout}),
    open_route(
        "/shop/oauth/token",
        "POST, form-encoded: the grant client_credentials (RFC 6749); a session of the client",
        {"POST": _token},
    ),
)
