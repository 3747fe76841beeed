"""Making and finding API keys, for whoever looks after them: the command line on the server's machine, or an admin."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from datetime import datetime

from atm.errors import NotFoundError, Problem
from atm.storage.lookup import checked_name
from atm.storage.records import ApiKey, Role, hash_api_key

PREFIX = "atm_"
"""What a key begins with, so that scanners of repositories know one."""
RANDOM_BYTES = 32


def new_api_key(name: str, role: Role, at: datetime) -> tuple[ApiKey, str]:
    """What is kept of a new key, and the key itself, which is kept nowhere."""
    key = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    return ApiKey(os.urandom(6).hex(), checked_name(name.strip()), role, hash_api_key(key), at), key


def key_in_use(keys: Iterable[ApiKey], named: str) -> ApiKey:
    """The key with this name or id that is not revoked. Raises NotFoundError."""
    in_use = [key for key in keys if key.revoked_at is None]
    found = next((key for field in ("id", "name") for key in in_use if getattr(key, field) == named), None)
    if found is None:
        what = f"there is no key {named[:128]!r} that could be revoked"
        raise NotFoundError(Problem(what, "key_not_found", path="NAME", hint="`atm keys list` names them"))
    return found
