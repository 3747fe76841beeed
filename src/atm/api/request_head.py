"""Bounds of request heads and bodies that are checked before authentication."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import Scope

from atm.config import Settings

MAXIMUM_HEADERS = 100
BAD_FRAMING = "bad_framing"
"""Code of a refusal that closes the connection, because the start of the next request is uncertain."""
SESSION_BYTES = 4_096
"""Body limit of a sign-in, which contains little more than a key."""


def refusal_of_head(scope: Scope) -> tuple[int, str, str] | None:
    """Return status, message and code for an invalid head; None for a valid one.

    RFC 9112, 3.2: exactly one Host header; 6.1: one body length, by Content-Length or chunked, and HTTP/1.0 has no
    chunked encoding.
    """
    headers = scope["headers"]
    if len(headers) > MAXIMUM_HEADERS:
        return 431, f"the request has more than {MAXIMUM_HEADERS} headers", "too_many_headers"
    if sum(name == b"host" for name, _ in headers) > 1:
        return 400, "the request names more than one host", "bad_host"
    names = {name for name, _ in headers}
    if b"transfer-encoding" in names and (b"content-length" in names or scope.get("http_version") == "1.0"):
        return 400, "the length of the body is given in two ways", BAD_FRAMING
    return None


def host_of_origin(origin: str) -> str:
    """Return host and port of an Origin header in lower case; empty if it is invalid."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def most_body_bytes(settings: Settings, path: str, *, is_bundle: bool) -> int:
    """Return the body limit of a route."""
    if is_bundle:
        return settings.max_bundle_bytes
    return min(settings.max_body_bytes, SESSION_BYTES) if path.endswith("/session") else settings.max_body_bytes
