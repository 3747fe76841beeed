"""Who is asking: API keys (hashed at rest, with roles and limits), sessions of browsers, loopback without a key."""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from starlette.types import Scope

from atm.api.local_access import LocalAccess
from atm.api.throttle import Throttle
from atm.config import Settings
from atm.errors import NotFoundError
from atm.storage import StorageInterface
from atm.storage.access import ActorKind, Session
from atm.storage.api_keys import ApiKey, Role, hash_api_key

log = logging.getLogger("atm.api")

COOKIE = "atm_session"
SESSION_LIFE = timedelta(hours=12)
CACHED_SECONDS = 1.0
"""For so long a key or a session that was looked up is taken for what it was; together with `RECHECK_SECONDS` of
open streams less than the two seconds that the docs promise."""
_NOTED_SECONDS = 60.0
_MOST_CACHED = 1000
_RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}
SERVER_KEY = "API_TEST_MACHINE_API_KEY"


class TooManyWrongKeysError(Exception):
    """Too many wrong keys came from an address; `seconds` is how long it has to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many wrong keys came from this address: the next is looked at in {seconds} s")
        self.seconds = seconds


def client_address(scope: Scope) -> str:
    """The address of the client, as a trusted proxy says or as the connection has it; empty where there is none."""
    client = scope.get("client")
    return str(client[0]) if client else ""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what they may."""

    name: str
    role: Role
    kind: ActorKind = ActorKind.KEY
    key_id: str | None = None
    """Null for the key of the environment, and without a key."""
    key_hash: str | None = field(default=None, repr=False)
    session_id: str | None = None
    tags: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    runs_per_hour: int | None = None

    def may(self, role: Role) -> bool:
        """Whether this role, or more, is theirs."""
        return _RANK[self.role] >= _RANK[role]

    def may_come_from(self, address: str) -> bool:
        """Whether the key opens to a client at this address."""
        if not self.networks:
            return True
        try:
            client = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        plain = getattr(client, "ipv4_mapped", None) or client
        return any(plain in ip_network(network, strict=False) for network in self.networks)


LOCAL = Principal("local", Role.ADMIN, ActorKind.LOCAL)
"""A process of this machine, while the installation has no key."""


class Keys:
    """The keys and sessions of the installation, from the environment and from storage."""

    def __init__(self, storage: StorageInterface, settings: Settings, local: LocalAccess) -> None:
        self._storage = storage
        self.local = local
        self._throttle = Throttle()
        given = settings.server_api_key
        self._server_hash = hash_api_key(given.get_secret_value()) if given else None
        self._found: dict[str, tuple[float, ApiKey | None]] = {}
        self._sessions: dict[str, tuple[float, Session | None]] = {}
        self._closed: tuple[float, bool] | None = None
        self._noted: dict[str, float] = {}

    async def exist(self) -> bool:
        """Whether a key is needed: from the first one on, also when all are revoked; else this machine is answered."""
        if self._server_hash is not None:
            return True
        now = time.monotonic()
        if self._closed is None or now - self._closed[0] > CACHED_SECONDS:
            self._closed = (now, await self._storage.keys.is_closed())
        return self._closed[1]

    async def checked(self, key: str, address: str) -> Principal | None:
        """Whose key this is; None for one that opens nothing, which is logged and counted against the address.

        Raises TooManyWrongKeysError, without a look at the key, where too many came from there.
        """
        key_hash, now = hash_api_key(key), time.monotonic()
        wait = self._throttle.wait_seconds(address, key_hash, now)
        if wait:
            log.warning("a key from %s was not looked at: too many wrong ones", address, extra={"address": address})
            raise TooManyWrongKeysError(wait)
        principal = await self._of_hash(key_hash)
        if principal is not None:
            self._throttle.succeeded(address, key_hash)
            return principal
        self._throttle.failed(address, key_hash, now)
        name = await self._name_of(key_hash)
        log.warning("wrong key from %s: %s", address, name, extra={"address": address, "key": name})
        return None

    async def of_session(self, cookie: str) -> Principal | None:
        """Whose session this is; None when it has ended, or its key opens nothing any more."""
        token_hash, now = hash_api_key(cookie), time.monotonic()
        at, found = self._sessions.get(token_hash, (0.0, None))
        if not at or now - at > CACHED_SECONDS:
            found = await self._storage.sessions.by_token(token_hash)
            _keep(self._sessions, token_hash, (now, found))
        if found is None or found.expires_at <= datetime.now(UTC):
            return None
        principal = await self._of_hash(found.key_hash)
        if principal is None:
            return None
        if self._is_to_note(found.id):
            await self._storage.sessions.used(found.id, datetime.now(UTC))
        kind = ActorKind.SESSION if principal.kind is ActorKind.KEY else principal.kind
        return replace(principal, kind=kind, session_id=found.id)

    async def open_session(self, key: str, principal: Principal, address: str, user_agent: str) -> tuple[str, Session]:
        """A new session for the holder of this key; the cookie, of which only the hash is kept."""
        cookie, now = secrets.token_urlsafe(32), datetime.now(UTC)
        key_hash = hash_api_key(key)
        record = self._found.get(key_hash, (0.0, None))[1]
        until = now + SESSION_LIFE
        if record is not None and record.expires_at is not None:
            until = min(until, record.expires_at)
        session = Session(
            id=secrets.token_hex(6),
            token_hash=hash_api_key(cookie),
            key_hash=key_hash,
            name=principal.name,
            created_at=now,
            expires_at=until,
            address=address,
            user_agent="".join(each for each in user_agent if each.isprintable())[:200],
        )
        await self._storage.sessions.add(session)
        return cookie, session

    async def sessions(self) -> list[Session]:
        """Those that last: not ended, not expired, of keys that open something."""
        now = datetime.now(UTC)
        lasting = [each for each in await self._storage.sessions.all() if each.expires_at > now]
        good = {key_hash: await self._of_hash(key_hash) for key_hash in {each.key_hash for each in lasting}}
        return [each for each in lasting if good[each.key_hash] is not None]

    async def end_session(self, session_id: str) -> None:
        """End it, at once on this worker. Raises NotFoundError."""
        await self._storage.sessions.end(session_id, datetime.now(UTC))
        self._sessions.clear()

    async def revoke(self, key: ApiKey) -> None:
        """Revoke a key and end its sessions, at once on this worker. Raises NotFoundError."""
        now = datetime.now(UTC)
        await self._storage.keys.revoke(key.id, now)
        for session in await self._storage.sessions.all():
            if session.key_hash == key.key_hash:
                try:
                    await self._storage.sessions.end(session.id, now)
                except NotFoundError:
                    # Ended by somebody else meanwhile.
                    continue
        self._found.clear()
        self._sessions.clear()

    async def _name_of(self, key_hash: str) -> str:
        """What to call a key that opens nothing, in the log: a revoked or expired one has a name."""
        now = datetime.now(UTC)
        for each in await self._storage.keys.all():
            if hmac.compare_digest(each.key_hash, key_hash):
                is_expired = each.expires_at is not None and each.expires_at <= now
                return f"{each.name} ({'revoked' if each.revoked_at else 'expired' if is_expired else 'in use'})"
        return "unknown"

    async def _of_hash(self, key_hash: str) -> Principal | None:
        if self._server_hash is not None and hmac.compare_digest(key_hash, self._server_hash):
            return Principal(SERVER_KEY, Role.ADMIN, key_hash=key_hash)
        if self.local.knows(key_hash):
            return None if await self.exist() else replace(LOCAL, key_hash=key_hash)
        now = time.monotonic()
        at, found = self._found.get(key_hash, (0.0, None))
        if not at or now - at > CACHED_SECONDS:
            found = await self._storage.keys.by_hash(key_hash)
            _keep(self._found, key_hash, (now, found))
        if found is None or not hmac.compare_digest(found.key_hash, key_hash):
            return None
        if found.expires_at is not None and found.expires_at <= datetime.now(UTC):
            return None
        if self._is_to_note(found.id):
            await self._storage.keys.used(found.id, datetime.now(UTC))
        return Principal(
            found.name,
            found.role,
            key_id=found.id,
            key_hash=key_hash,
            tags=found.tags,
            networks=found.networks,
            runs_per_hour=found.runs_per_hour,
        )

    def _is_to_note(self, what: str) -> bool:
        """Whether the use of a key or session is to be written down: once a minute."""
        now = time.monotonic()
        if now - self._noted.get(what, -_NOTED_SECONDS) < _NOTED_SECONDS:
            return False
        _keep(self._noted, what, now)
        return True


def _keep(cache: dict[str, Any], name: str, value: Any) -> None:
    """Put a value into a cache that never grows beyond its limit."""
    if len(cache) >= _MOST_CACHED and name not in cache:
        cache.clear()
    cache[name] = value
