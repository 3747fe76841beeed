"""Who is asking: API keys (hashed at rest, with roles), the session cookie of browsers, loopback without a key."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from atm.api.local_access import LocalAccess
from atm.config import Settings
from atm.errors import StorageError
from atm.storage import StorageInterface
from atm.storage.records import ApiKey, Role, hash_api_key
from atm.storage.seal import Sealer

COOKIE = "atm_session"
SESSION_LIFE = timedelta(hours=12)
CACHED_SECONDS = 2.0
"""For so long a key that was looked up is taken for what it was; a revoked one is refused after that."""
_NOTED_SECONDS = 60.0
_MOST_CACHED = 1000
_RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}
_SERVER_KEY = "API_TEST_MACHINE_API_KEY"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what they may."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether this role, or more, is theirs."""
        return _RANK[self.role] >= _RANK[role]


LOCAL = Principal("local", Role.ADMIN)
"""Whoever asks on this machine while there is no key."""


class Keys:
    """The keys of the installation, from the environment and from storage."""

    def __init__(self, storage: StorageInterface, settings: Settings, sealer: Sealer, local: LocalAccess) -> None:
        self._storage = storage
        self._sealer = sealer
        self.local = local
        given = settings.server_api_key
        self._server_hash = hash_api_key(given.get_secret_value()) if given else None
        self._found: dict[str, tuple[float, ApiKey | None]] = {}
        self._any: tuple[float, bool] | None = None
        self._noted: dict[str, float] = {}

    async def exist(self) -> bool:
        """Whether there is any key; without one only this machine is answered."""
        if self._server_hash is not None:
            return True
        now = time.monotonic()
        if self._any is None or now - self._any[0] > CACHED_SECONDS:
            self._any = (now, any(key.revoked_at is None for key in await self._storage.keys.all()))
        return self._any[1]

    async def principal(self, key: str) -> Principal | None:
        """Whose key this is; None for one that opens nothing."""
        return await self._of_hash(hash_api_key(key))

    async def of_session(self, cookie: str) -> Principal | None:
        """Whose session this is; None when it has expired, was forged, or its key was revoked."""
        try:
            sealed = self._sealer.open(cookie.encode("ascii"))
            until = datetime.fromisoformat(sealed["until"])
        except (StorageError, UnicodeEncodeError, KeyError, ValueError, TypeError):
            return None
        return await self._of_hash(sealed["key_hash"]) if until > datetime.now(UTC) else None

    def session(self, key: str) -> tuple[str, datetime]:
        """A cookie for this key, and until when it holds. The hash in it is encrypted, and opens nothing by itself."""
        until = datetime.now(UTC) + SESSION_LIFE
        sealed = self._sealer.seal({"key_hash": hash_api_key(key), "until": until.isoformat()})
        assert sealed is not None
        return sealed.decode("ascii"), until

    async def _of_hash(self, key_hash: str) -> Principal | None:
        if self._server_hash is not None and hmac.compare_digest(key_hash, self._server_hash):
            return Principal(_SERVER_KEY, Role.ADMIN)
        if self.local.knows(key_hash):
            return None if await self.exist() else LOCAL
        now = time.monotonic()
        at, found = self._found.get(key_hash, (0.0, None))
        if not at or now - at > CACHED_SECONDS:
            found = await self._storage.keys.by_hash(key_hash)
            if len(self._found) >= _MOST_CACHED:
                self._found.clear()
            self._found[key_hash] = (now, found)
        if found is None or not hmac.compare_digest(found.key_hash, key_hash):
            return None
        if now - self._noted.get(found.id, -_NOTED_SECONDS) >= _NOTED_SECONDS:
            self._noted[found.id] = now
            await self._storage.keys.used(found.id, datetime.now(UTC))
        return Principal(found.name, found.role)
