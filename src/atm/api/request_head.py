"""How large the body of a request may be, and which host its Origin names."""

from __future__ import annotations

from urllib.parse import urlsplit

from atm.config import Settings

SESSION_BYTES = 4_096
"""A key and a few words are all that a log-in is made of."""


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
