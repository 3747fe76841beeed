"""Access rules by path: the requests that need no key. All others need one. Pure."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

from starlette.types import Scope

from atm.api.dashboard import is_dashboard
from atm.api.paths import route_path
from atm.api.request_head import GRAPHQL, is_graphql_page

SESSION = "/api/v1/session"
_HEALTH = re.compile(r"/(api/v1/)?health(/live|/ready)?")
"""Health checks, which expose no data."""
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of characters that no route contains: C0, DEL, C1, surrogates, line separators."""


class Access(StrEnum):
    """The authentication that a request needs."""

    OPEN = "open"
    """None: health."""
    PAGE = "page"
    """None: a file of the dashboard, which contains no data."""
    SIGN_IN = "sign-in"
    """None: the key is in the body."""
    INIT = "init"
    """A key, also in the first message of a WebSocket, because browsers cannot send headers with one."""
    KEY = "key"
    """A key, a session or local access."""


def has_control_characters(path: str) -> bool:
    """Whether a path has characters that parsers may interpret differently, such as a line feed."""
    return any(unicodedata.category(character) in _CONTROL for character in path)


def access_of(scope: Scope) -> Access:
    """Return the access rule of a request; `normalise_path` has run before."""
    path = route_path(scope)
    if scope["type"] != "http":
        return Access.INIT if path == GRAPHQL else Access.KEY
    method = scope["method"]
    if _HEALTH.fullmatch(path):
        return Access.OPEN
    if method in ("GET", "HEAD") and (is_dashboard(path) or is_graphql_page(scope)):
        return Access.PAGE
    if method == "POST" and path == SESSION:
        return Access.SIGN_IN
    return Access.KEY
