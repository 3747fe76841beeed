"""Authentication: API keys (hashed at rest, with roles and limits), browser sessions, local access without a key."""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from starlette.types import Scope

from atm.api.local_access import LocalAccess
from atm.api.throttle import Throttle
from atm.config import Settings
from atm.dataclass import dataclass
from atm.errors import NotFoundError
from atm.storage import StorageInterface
from atm.storage.access import ActorKind, Session
from atm.storage.api_keys import ApiKey, Role, hash_api_key

log = logging.getLogger("atm.api")

COOKIE = "atm_session"
SESSION_LIFE = timedelta(hours=12)
CACHED_SECONDS = 1.0
"""Cache lifetime of a key or session lookup. Together with `RECHECK_SECONDS` of open streams it is less than the two
seconds that the docs promise for a revocation."""
_USE_SECONDS = 60.0
_MOST_CACHED = 1000
_RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}
SERVER_KEY = "API_TEST_MACHINE_API_KEY"


class TooManyWrongKeysError(Exception):
    """Too many invalid keys came from an address; `seconds` is the time until the next attempt."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many invalid keys from this address; try again in {seconds} s")
        self.seconds = seconds


def client_address(scope: Scope) -> str:
    """Return the client's address, from a trusted proxy or the connection; empty if unknown."""
    client = scope.get("client")
    return str(client[0]) if client else ""


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller and its permissions."""

    name: str
    role: Role
    kind: ActorKind = ActorKind.KEY
    key_id: str | None = None
    """None for the key of the environment, and without a key."""
    key_hash: str | None = field(default=None, repr=False)
    session_id: str | None = None
    tags: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    runs_per_hour: int | None = None

    def may(self, role: Role) -> bool:
        """Whether the principal has at least this role."""
        return _RANK[self.role] >= _RANK[role]

    def may_come_from(self, address: str) -> bool:
        """Whether the key is valid from this address."""
        if not self.networks:
            return True
        try:
            client = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        plain = getattr(client, "ipv4_mapped", None) or client
        return any(plain in ip_network(network, strict=False) for network in self.networks)


LOCAL = Principal("local", Role.ADMIN, ActorKind.LOCAL)
"""A local process, while the installation has no key."""


class Keys:
    """The keys and sessions of the installation, from the environment and from storage."""

    def __init__(self, storage: StorageInterface, settings: Settings, local: LocalAccess) -> None:
        self._storage = storage
        self.local = local
        self._throttle = Throttle()
        given = settings.server_api_key
        self._server_hash = hash_api_key(given.get_secret_value()) if given else None
        self._keys: dict[str, tuple[float, ApiKey | None]] = {}
        self._sessions: dict[str, tuple[float, Session | None]] = {}
        self._closed_at: float | None = None
        self._uses: dict[str, float] = {}

    async def exist(self) -> bool:
        """Whether requests need a key: from the first key on, even if all are revoked. Before, local access applies.

        Only the answer yes is cached: the first key ends local access on every worker at once.
        """
        if self._server_hash is not None:
            return True
        now = time.monotonic()
        if self._closed_at is not None and now - self._closed_at <= CACHED_SECONDS:
            return True
        is_closed = await self._storage.keys.is_closed()
        self._closed_at = now if is_closed else None
        return is_closed

    async def authenticate(self, key: str, address: str) -> Principal | None:
        """Return the principal of a key; None for an invalid one, which is logged and counted against the address.

        Raises TooManyWrongKeysError without checking the key if the address is throttled.
        """
        key_hash, now = hash_api_key(key), time.monotonic()
        wait = self._throttle.wait_seconds(address, key_hash, now)
        if wait:
            log.warning("key from %s not checked: too many invalid ones", address, extra={"address": address})
            raise TooManyWrongKeysError(wait)
        principal = await self._of_hash(key_hash)
        if principal is not None:
            self._throttle.succeeded(address, key_hash)
            return principal
        self._throttle.failed(address, key_hash, now)
        name = await self._name_of(key_hash)
        log.warning("invalid key from %s: %s", address, name, extra={"address": address, "key": name})
        return None

    async def of_session(self, cookie: str) -> Principal | None:
        """Return the principal of a session; None if it has ended or its key is no longer valid."""
        token_hash, now = hash_api_key(cookie), time.monotonic()
        at, session = self._sessions.get(token_hash, (0.0, None))
        if not at or now - at > CACHED_SECONDS:
            session = await self._storage.sessions.by_token(token_hash)
            _cache(self._sessions, token_hash, (now, session))
        if session is None or session.expires_at <= datetime.now(UTC):
            return None
        principal = await self._of_hash(session.key_hash)
        if principal is None:
            return None
        if self._should_record_use(session.id):
            await self._storage.sessions.used(session.id, datetime.now(UTC))
        kind = ActorKind.SESSION if principal.kind is ActorKind.KEY else principal.kind
        return replace(principal, kind=kind, session_id=session.id)

    async def open_session(self, key: str, principal: Principal, address: str, user_agent: str) -> tuple[str, Session]:
        """Create a session for a key; return the cookie, of which only the hash is stored, and the session."""
        cookie, now = secrets.token_urlsafe(32), datetime.now(UTC)
        key_hash = hash_api_key(key)
        record = self._keys.get(key_hash, (0.0, None))[1]
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
            user_agent="".join(character for character in user_agent if character.isprintable())[:200],
        )
        await self._storage.sessions.add(session)
        return cookie, session

    async def sessions(self) -> list[Session]:
        """Return the active sessions: not ended, not expired, of valid keys."""
        now = datetime.now(UTC)
        unexpired = [session for session in await self._storage.sessions.all() if session.expires_at > now]
        principals = {key_hash: await self._of_hash(key_hash) for key_hash in {item.key_hash for item in unexpired}}
        return [session for session in unexpired if principals[session.key_hash] is not None]

    async def end_session(self, session_id: str) -> None:
        """End a session, at once on this worker. Raises NotFoundError."""
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
                    # Already ended by another request.
                    continue
        self._keys.clear()
        self._sessions.clear()

    async def _name_of(self, key_hash: str) -> str:
        """Return the name of an invalid key for the log: a revoked or expired one has a name."""
        now = datetime.now(UTC)
        for key in await self._storage.keys.all():
            if hmac.compare_digest(key.key_hash, key_hash):
                is_expired = key.expires_at is not None and key.expires_at <= now
                return f"{key.name} ({'revoked' if key.revoked_at else 'expired' if is_expired else 'in use'})"
        return "unknown"

    async def _of_hash(self, key_hash: str) -> Principal | None:
        if self._server_hash is not None and hmac.compare_digest(key_hash, self._server_hash):
            return Principal(SERVER_KEY, Role.ADMIN, key_hash=key_hash)
        if self.local.knows(key_hash):
            return None if await self.exist() else replace(LOCAL, key_hash=key_hash)
        now = time.monotonic()
        at, key = self._keys.get(key_hash, (0.0, None))
        if not at or now - at > CACHED_SECONDS:
            key = await self._storage.keys.by_hash(key_hash)
            _cache(self._keys, key_hash, (now, key))
        if key is None or not hmac.compare_digest(key.key_hash, key_hash):
            return None
        if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
            return None
        if self._should_record_use(key.id):
            await self._storage.keys.used(key.id, datetime.now(UTC))
        return Principal(
            key.name,
            key.role,
            key_id=key.id,
            key_hash=key_hash,
            tags=key.tags,
            networks=key.networks,
            runs_per_hour=key.runs_per_hour,
        )

    def _should_record_use(self, object_id: str) -> bool:
        """Whether to record the use of a key or session: at most once a minute."""
        now = time.monotonic()
        if now - self._uses.get(object_id, -_USE_SECONDS) < _USE_SECONDS:
            return False
        _cache(self._uses, object_id, now)
        return True


def _cache(cache: dict[str, Any], name: str, value: Any) -> None:
    """Put a value into a cache of limited size."""
    if len(cache) >= _MOST_CACHED and name not in cache:
        cache.clear()
    cache[name] = value
