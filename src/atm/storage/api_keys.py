"""Making and finding API keys, for whoever looks after them: the command line on the server's machine, or an admin."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network

from atm.access.names import key_name
from atm.errors import NotFoundError, Problem
from atm.storage.records import ApiKey, Role, checked_tags, hash_api_key

PREFIX = "atm_"
"""What a key begins with, so that scanners of repositories know one."""
RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What a key is limited to; by default to nothing."""

    expires_in: timedelta | None = None
    tags: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    runs_per_hour: int | None = None


def new_api_key(name: str, role: Role, at: datetime, limits: KeyLimits | None = None) -> tuple[ApiKey, str]:
    """What is kept of a new key, and the key itself, which is kept nowhere.

    Raises ValueError, whose text says why, for a name that no key can have (`atm.access.names`), and for a network that
    is none.
    """
    limits = limits or KeyLimits()
    if role is Role.ADMIN and (limits.tags or limits.runs_per_hour is not None):
        raise ValueError("an admin makes keys of any kind, so tags and quotas would limit nothing: take another role")
    key = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    made = ApiKey(
        os.urandom(6).hex(),
        key_name(name),
        role,
        hash_api_key(key),
        at,
        expires_at=at + limits.expires_in if limits.expires_in is not None else None,
        tags=checked_tags(limits.tags),
        networks=tuple(network_text(network) for network in limits.networks),
        runs_per_hour=limits.runs_per_hour,
    )
    return made, key


def network_text(text: str) -> str:
    """An address or network in one spelling. Raises ValueError, whose text says why."""
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError(f"{text[:64]!r} is neither an address nor a network, as 10.1.0.0/16") from None


def key_in_use(keys: Iterable[ApiKey], named: str) -> ApiKey:
    """The key with this name or id that is not revoked. Raises NotFoundError."""
    found = next((key for key in keys if key.revoked_at is None and named in (key.name, key.id)), None)
    if found is None:
        what = f"there is no key {named[:128]!r} that could be revoked"
        raise NotFoundError(Problem(what, "key_not_found", path="NAME", hint="`atm keys list` names them"))
    return found
