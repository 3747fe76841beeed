"""What the head of a request may look like: bounds of all our servers, checked before authentication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAXIMUM_HEADERS = 100
BAD_FRAMING = "bad_framing"
"""Code of a refusal that closes the connection: where the next request begins is uncertain."""


def refusal_of_head(scope: Mapping[str, Any]) -> tuple[int, str, str] | None:
    """Status, message and code when a head is refused.

    RFC 9112, 3.2: one Host header, and only one; 6.1: a body has one length, by Content-Length or by its chunks, and
    HTTP/1.0 knows no chunks.
    """
    headers = scope["headers"]
    if len(headers) > MAXIMUM_HEADERS:
        return 431, f"the request has more than {MAXIMUM_HEADERS} headers", "too_many_headers"
    if sum(name == b"host" for name, _ in headers) > 1:
        return 400, "the request names more than one host", "bad_host"
    if any(sum(name == secret for name, _ in headers) > 1 for secret in (b"authorization", b"x-api-key")):
        return 400, "the request has more than one key", "bad_key"
    names = {name for name, _ in headers}
    if b"transfer-encoding" in names and (b"content-length" in names or scope.get("http_version") == "1.0"):
        return 400, "the length of the body is given in two ways", BAD_FRAMING
    return None
