"""Bounds of request heads and bodies that are checked before authentication."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from starlette.types import Scope

from atm.api.paths import route_path
from atm.config import Settings

BUNDLE = "/api/v1/import/bundle"
"""The route whose body may be as large as a bundle."""
SESSION_BYTES = 4_096
"""Body limit of a sign-in, which contains little more than a key."""

GRAPHQL = "/graphql"
"""The path of GraphQL operations and, for browsers, of a page to write them."""

_FILE_OF_TEST = re.compile(r"/api/v1/tests/[^/]+/files/[^/]+")


def is_file_upload(method: str, path: str) -> bool:
    """Return whether the body of a request is a file of a test, which is streamed, whatever its content type."""
    return method == "PUT" and _FILE_OF_TEST.fullmatch(path) is not None


def is_graphql_page(scope: Scope) -> bool:
    """Return whether a request to the path of GraphQL is for its page: it wants HTML, and has no operation."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or route_path(scope) != GRAPHQL:
        return False
    accepted = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    return b"text/html" in accepted and "query" not in parse_qs(scope["query_string"].decode("latin-1"), True)


def host_of_origin(origin: str) -> str:
    """Return host and port of an Origin header in lower case; empty if it is invalid."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def body_limit(settings: Settings, method: str, path: str) -> tuple[int, str]:
    """Return the body limit of a route in bytes, and the setting that decides it."""
    if method == "POST" and path == BUNDLE:
        return settings.max_bundle_bytes, "ATM_MAX_BUNDLE_BYTES"
    if is_file_upload(method, path):
        return settings.max_file_bytes, "ATM_MAX_FILE_BYTES"
    most = min(settings.max_body_bytes, SESSION_BYTES) if path.endswith("/session") else settings.max_body_bytes
    return most, "ATM_MAX_BODY_BYTES"
