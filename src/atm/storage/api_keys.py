"""API keys: their records, and how keys are created and found by the command line and by admins."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_network

from atm.access.names import key_name
from atm.dataclass import dataclass
from atm.errors import NotFoundError, Problem
from atm.storage.lookup import checked_name
from atm.storage.records import checked_tags

PREFIX = "atm_"
"""The prefix of a key, by which secret scanners recognise it."""
RANDOM_BYTES = 32


class Role(StrEnum):
    """The permissions of an API key; each role includes the previous one."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key, stored as a hash. No two active keys have the same or look-alike names."""

    id: str
    name: str
    role: Role
    key_hash: str = field(repr=False)
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    expires_at: datetime | None = None
    """When the key expires; None: never."""
    released_at: datetime | None = None
    """When a local command stopped requiring a key; until then this key, even revoked, keeps it required."""
    tags: tuple[str, ...] = ()
    """The key may start and change only objects with one of these tags; empty: all."""
    networks: tuple[str, ...] = ()
    """The key is accepted only from these networks; empty: from all."""
    runs_per_hour: int | None = None
    """How many runs the key may start within an hour."""


def hash_api_key(key: str) -> str:
    """Return the SHA-256 of a key in hex; a fast hash is sufficient for keys of 128 random bits or more."""
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """The limits of a key; none by default."""

    expires_in: timedelta | None = None
    tags: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    runs_per_hour: int | None = None


def new_api_key(name: str, role: Role, at: datetime, limits: KeyLimits | None = None) -> tuple[ApiKey, str]:
    """Create a key; return its record and the key itself, which is not stored.

    Raises ValueError with the reason for an invalid name (`atm.access.names`) or network.
    """
    limits = limits or KeyLimits()
    if role is Role.ADMIN and (limits.tags or limits.runs_per_hour is not None):
        raise ValueError("an admin can create any key, so tags and quotas would not limit it: choose another role")
    key = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    record = ApiKey(
        os.urandom(6).hex(),
        checked_name(key_name(name)),
        role,
        hash_api_key(key),
        at,
        expires_at=at + limits.expires_in if limits.expires_in is not None else None,
        tags=checked_tags(limits.tags),
        networks=tuple(network_text(network) for network in limits.networks),
        runs_per_hour=limits.runs_per_hour,
    )
    return record, key


def network_text(text: str) -> str:
    """Return the canonical spelling of an address or network. Raises ValueError with the reason."""
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError(f"{text[:64]!r} is neither an address nor a network such as 10.1.0.0/16") from None


def key_in_use(keys: Iterable[ApiKey], reference: str) -> ApiKey:
    """Return the key with this name or id that is not revoked. Raises NotFoundError."""
    in_use = [key for key in keys if key.revoked_at is None]
    match = next((key for field in ("id", "name") for key in in_use if getattr(key, field) == reference), None)
    if match is None:
        what = f"there is no active key {reference[:128]!r}"
        raise NotFoundError(Problem(what, "key_not_found", path="NAME", hint="`atm keys list` lists them"))
    return match
