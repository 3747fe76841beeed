"""Token responses of OAuth 2.0 (RFC 6749), and the credentials of a request."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, unquote_plus

from atm.testing.target_server.exchange import Exchange

JSON = "application/json"
_NO_STORE = ("Cache-Control", "no-store")


def grant(exchange: Exchange, grants: Sequence[str], issue: Callable[[], tuple[str, float]]) -> None:
    """Answer a token request: check its client and its grant, one of `grants`.

    `issue` returns a new token and its lifetime in seconds.
    """
    options = exchange.connection.server.options
    content_type = (exchange.header(b"content-type") or b"").partition(b";")[0].strip().lower()
    if content_type != b"application/x-www-form-urlencoded":
        refuse(exchange, 400, "invalid_request", "the body must be application/x-www-form-urlencoded")
        return
    fields = parse_qs(bytes(exchange.body).decode("utf-8", "replace"), keep_blank_values=True)
    form = {name: values[0] for name, values in fields.items()}
    grant_type = form.get("grant_type")
    header = basic_credentials(exchange)
    client = (unquote_plus(header[0]), unquote_plus(header[1])) if header else None
    given_id, given_secret = client or (form.get("client_id"), form.get("client_secret"))
    secret_holds = given_secret == options.client_secret or (grant_type == "password" and given_secret is None)
    if given_id != options.client_id or not secret_holds:
        refuse(exchange, 401, "invalid_client", headers=[("WWW-Authenticate", "Basic")] if header else [])
    elif grant_type not in grants:
        refuse(exchange, 400, "unsupported_grant_type" if grant_type else "invalid_request")
    elif grant_type == "password" and (form.get("username"), form.get("password")) != (
        options.username,
        options.password,
    ):
        refuse(exchange, 400, "invalid_grant")
    else:
        token, expires_in = issue()
        document: dict[str, object] = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(expires_in) if expires_in == int(expires_in) else expires_in,
        }
        if "scope" in form:
            document["scope"] = form["scope"]
        exchange.respond(200, json.dumps(document).encode(), JSON, headers=[_NO_STORE])


def refuse(
    exchange: Exchange, status: int, error: str, description: str = "", headers: list[tuple[str, str]] | None = None
) -> None:
    """Respond with an error document."""
    document = {"error": error} | ({"error_description": description} if description else {})
    exchange.respond(status, json.dumps(document).encode(), JSON, headers=[_NO_STORE, *(headers or [])])


def credentials(exchange: Exchange, scheme: bytes) -> str | None:
    """Return the Authorization header's value after a scheme (in lower case), or None."""
    kind, _, value = (exchange.header(b"authorization") or b"").partition(b" ")
    return value.strip().decode("latin-1") if kind.lower() == scheme and value.strip() else None


def basic_credentials(exchange: Exchange) -> tuple[str, str] | None:
    """Return name and password of HTTP Basic, or None."""
    encoded = credentials(exchange, b"basic")
    if encoded is None:
        return None
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None
