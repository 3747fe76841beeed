"""What a request's head may look like, and how large its body may be: bounds that hold before a key is looked at."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import Scope

from atm.config import Settings

MAXIMUM_HEADERS = 100
BAD_FRAMING = "bad_framing"
"""Code of a refusal after which the connection ends: where the next request begins is uncertain."""
SESSION_BYTES = 4_096
"""A key and a few words are all that a log-in is made of."""


def refusal_of_head(scope: Scope) -> tuple[int, str, str] | None:
    """Status, message and code where a head is refused.

    RFC 9112, 3.2: one Host header, and only one; 6.1: a body has one length, by Content-Length or by its chunks, and
    HTTP/1.0 knows no chunks.
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
    """Host and port of an Origin header in lower case; empty for what is no origin."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def most_body_bytes(settings: Settings, path: str, *, is_bundle: bool) -> int:
    """The limit for the body of a request to this route."""
    if is_bundle:
        return settings.max_bundle_bytes
    return min(settings.max_body_bytes, SESSION_BYTES) if path.endswith("/session") else settings.max_body_bytes
