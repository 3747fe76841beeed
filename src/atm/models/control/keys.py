"""API keys, roles and sessions."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from atm.access.names import key_name
from atm.models.control.base import Answer, Request, Tags

RoleName = Literal["viewer", "operator", "admin"]
"""Each role includes the previous one: view; start, change and delete; create and revoke keys."""


class SessionRequest(Request):
    """POST /session."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=512)]


class SessionView(Answer):
    """The authenticated client."""

    role: RoleName
    name: str
    """The role of the key; `local` without one."""
    expires_at: datetime | None


class OpenSession(Answer):
    """A persistent session; only its browser has the cookie."""

    id: str
    name: str
    """Name of the key that opened it."""
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    """To the minute."""
    address: str
    """Address of the client that opened it."""
    user_agent: str
    current: bool
    """Whether it is the session of this request."""


class SessionList(Answer):
    """GET /sessions."""

    sessions: list[OpenSession]


def _network(text: str) -> str:
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError("should be an address or a network, as 10.1.0.0/16") from None


class KeyRequest(Request):
    """POST /keys."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(key_name)]
    """Its future user: ci, grafana, anna. In a single alphabet, and not confusable with the name of another key."""
    role: RoleName = "operator"
    expires_in_seconds: Annotated[int, Field(ge=60, le=10 * 366 * 86_400)] | None = None
    """The time of expiry."""
    tags: Tags = Field(default_factory=list)
    """It may only start and change tests, runs and schedules with one of these tags; it may read everything."""
    networks: Annotated[list[Annotated[str, AfterValidator(_network)]], Field(max_length=50)] = Field(
        default_factory=list
    )
    """Client addresses and networks from which it may be used."""
    runs_per_hour: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Most runs that it may start per hour."""


class KeyView(Answer):
    """An API key, without its secret."""

    id: str
    name: str
    role: RoleName
    created_at: datetime
    last_used_at: datetime | None
    """To the minute."""
    revoked_at: datetime | None
    expires_at: datetime | None = None
    tags: list[str] = Field(default_factory=list)
    networks: list[str] = Field(default_factory=list)
    runs_per_hour: int | None = None


class KeyList(Answer):
    """GET /keys."""

    keys: list[KeyView]


class KeyCreated(KeyView):
    """The response to POST /keys."""

    key: str
    """The secret; returned only once."""
