"""Bounds of request heads and bodies that are checked before authentication."""

from __future__ import annotations

from urllib.parse import urlsplit

from atm.config import Settings

SESSION_BYTES = 4_096
"""Body limit of a sign-in, which contains little more than a key."""


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
