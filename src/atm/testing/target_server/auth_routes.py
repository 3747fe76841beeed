"""Routes that require credentials, and an OAuth2 token endpoint (RFC 6749)."""

from __future__ import annotations

import json

from atm.testing.target_server import oauth
from atm.testing.target_server.exchange import Exchange
from atm.testing.target_server.router import BadParameterError, Route
from atm.testing.target_server.tokens import TokenMode

JSON = "application/json"


def _bearer(exchange: Exchange) -> None:
    server = exchange.connection.server
    token = oauth.credentials(exchange, b"bearer")
    expected = exchange.call.text("token", server.options.bearer_token)
    issued = "token" not in exchange.call.parameters and token is not None and server.tokens.refusal(token) is None
    _decide(exchange, token == expected or issued, "Bearer", "wrong token" if token else "no bearer token")


def _oauth(exchange: Exchange) -> None:
    token = oauth.credentials(exchange, b"bearer")
    refusal = "no bearer token" if token is None else exchange.connection.server.tokens.refusal(token)
    _decide(exchange, refusal is None, 'Bearer error="invalid_token"', refusal or "")


def _basic_auth(exchange: Exchange) -> None:
    options, call = exchange.connection.server.options, exchange.call
    expected = (call.text("username", options.username), call.text("password", options.password))
    given = oauth.basic_credentials(exchange)
    _decide(exchange, given == expected, 'Basic realm="atm"', "wrong name or password" if given else "no Basic header")


def _api_key(exchange: Exchange) -> None:
    call = exchange.call
    expected = call.text("key", exchange.connection.server.options.api_key)
    name = call.text("header", "X-API-Key")
    given = exchange.header(name.lower().encode("latin-1"))
    allowed = given is not None and given.decode("latin-1") == expected
    _decide(exchange, allowed, f'ApiKey header="{name}"', "wrong key" if given is not None else f"no {name} header")


def _jwt_auth(exchange: Exchange) -> None:
    import jwt as pyjwt  # Imported here because it loads cryptography, which most servers do not need.

    options, call = exchange.connection.server.options, exchange.call
    token = oauth.credentials(exchange, b"bearer")
    if token is None:
        _decide(exchange, False, "Bearer", "no bearer token")
        return
    algorithm = call.text("algorithm", "HS256")
    if algorithm not in ("HS256", "RS256"):
        raise BadParameterError(f"algorithm={algorithm} is neither HS256 nor RS256")
    secret = call.text("secret", options.jwt_secret) if algorithm == "HS256" else options.jwt_public_key
    if secret is None:
        raise BadParameterError("algorithm=RS256 needs a server with jwt_public_key")
    audience, issuer = call.parameters.get("audience"), call.parameters.get("issuer")
    try:
        claims = pyjwt.decode(
            token, secret, [algorithm], audience=audience, issuer=issuer, options={"verify_aud": audience is not None}
        )
    except pyjwt.InvalidTokenError as error:
        _decide(exchange, False, 'Bearer error="invalid_token"', str(error))
        return
    exchange.respond(200, json.dumps(claims).encode(), JSON)


def _token_endpoint(exchange: Exchange) -> None:
    server = exchange.connection.server
    if exchange.method != "POST":
        exchange.respond(405, b"POST this\n", headers=[("Allow", "POST")])
        return
    mode = server.tokens.next_mode()
    if mode is TokenMode.NEVER:
        return
    if mode is TokenMode.SERVER_ERROR:
        exchange.respond(500, b"the token server is having a bad day\n")
    elif mode is TokenMode.GARBAGE:
        exchange.respond(200, b"<html>this is no token</html>", JSON)
    elif mode is TokenMode.NO_TOKEN:
        exchange.respond(200, b'{"token_type": "Bearer"}', JSON)
    elif mode is TokenMode.INVALID_CLIENT:
        oauth.refuse(exchange, 401, "invalid_client")
    else:
        _grant(exchange)


def _grant(exchange: Exchange) -> None:
    tokens = exchange.connection.server.tokens
    oauth.grant(exchange, ("client_credentials", "password"), lambda: (tokens.issue(), tokens.expires_in))


def _decide(exchange: Exchange, allowed: bool, challenge: str, refusal: str) -> None:
    if allowed:
        exchange.respond(200, b"welcome\n")
    else:
        exchange.respond(401, f"{refusal}\n".encode(), headers=[("WWW-Authenticate", challenge)])


ROUTES = (
    Route(
        "/auth/bearer", "`?token=`: a bearer token, the fixed one, the given one, or a live one issued here", _bearer
    ),
    Route("/auth/oauth", "A bearer token that was issued here and has not expired", _oauth),
    Route("/auth/basic", "`?username=&password=`: HTTP Basic", _basic_auth),
    Route("/auth/key", "`?header=X-API-Key&key=`: a key in a header", _api_key),
    Route(
        "/auth/jwt", "`?algorithm=HS256&secret=&audience=&issuer=`: a JWT (HS256, RS256); returns its claims", _jwt_auth
    ),
    Route(
        "/oauth/token",
        "POST, form-encoded: the grants client_credentials and password, the client in the body or as Basic",
        _token_endpoint,
        wants_body=True,
    ),
)
