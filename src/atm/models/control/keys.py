"""Keys, roles and sessions."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from atm.access.names import key_name
from atm.models.control.base import Answer, Request, Tags

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


class OpenSession(Answer):
    """A session that lasts; its cookie is known to its browser alone."""

    id: str
    name: str
    """Of the key that opened it."""
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    """To the minute."""
    address: str
    """Where it was opened from."""
    user_agent: str
    current: bool
    """Whether it is the one that asks."""


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
    """Who or what will use it: ci, grafana, anna. In one alphabet, and none that looks like that of another key."""
    role: RoleName = "operator"
    expires_in_seconds: Annotated[int, Field(ge=60, le=10 * 366 * 86_400)] | None = None
    """From then on it opens nothing."""
    tags: Tags = Field(default_factory=list)
    """It starts and changes only tests, runs and schedules that carry one of these; it reads everything."""
    networks: Annotated[list[Annotated[str, AfterValidator(_network)]], Field(max_length=50)] = Field(
        default_factory=list
    )
    """Addresses and networks of the clients that it opens to."""
    runs_per_hour: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """The most runs that it may start within an hour."""


class KeyView(Answer):
    """An API key, without the key."""

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
    """The answer to POST /keys."""

    key: str
    """It is shown this once."""
