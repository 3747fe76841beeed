"""Keys, roles and sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints

from atm.models.control.base import Answer, Request

RoleName = Literal["viewer", "operator", "admin"]
"""Each may all that the one before it may: look; start, change and delete; make and revoke keys."""


class SessionRequest(Request):
    """POST /session."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=512)]


class SessionView(Answer):
    """Who is asking."""

    role: RoleName
    name: str
    """Of the key; `local` without one."""
    expires_at: datetime | None


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("should have printable characters only")
    return text


class KeyRequest(Request):
    """POST /keys."""

    name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128), AfterValidator(_printable)
    ]
    """Who or what will use it: ci, grafana, anna."""
    role: RoleName = "operator"


class KeyView(Answer):
    """An API key, without the key."""

    id: str
    name: str
    role: RoleName
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class KeyList(Answer):
    """GET /keys."""

    keys: list[KeyView]


class KeyCreated(KeyView):
    """The answer to POST /keys."""

    key: str
    """It is shown this once."""
