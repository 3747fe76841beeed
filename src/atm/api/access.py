"""Rules of access by address: what is answered without a key. Everything that no rule names needs one. Pure."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

from starlette.types import Scope

from atm.api.dashboard import is_ours
from atm.api.paths import route_path

SESSION = "/api/v1/session"
_HEALTH = re.compile(r"/(api/v1/)?health(/live|/ready)?")
"""Says only whether the server is well."""
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of characters that no address of ours has: C0, DEL, C1, surrogates, separators of lines."""


class Access(StrEnum):
    """What a request needs."""

    OPEN = "open"
    """Nothing: health."""
    PAGE = "page"
    """Nothing: a file of the dashboard, which holds no data."""
    SIGN_IN = "sign-in"
    """Nothing: it brings the key in its body."""
    KEY = "key"
    """A principal."""


def has_control_characters(path: str) -> bool:
    """Whether an address has characters that the parts which read it may not agree about, as a line feed."""
    return any(unicodedata.category(character) in _CONTROL for character in path)


def access_of(scope: Scope) -> Access:
    """What this request needs; `settle` has run before."""
    path = route_path(scope)
    if scope["type"] != "http":
        return Access.KEY
    method = scope["method"]
    if _HEALTH.fullmatch(path):
        return Access.OPEN
    if method in ("GET", "HEAD") and is_ours(path):
        return Access.PAGE
    if method == "POST" and path == SESSION:
        return Access.SIGN_IN
    return Access.KEY
