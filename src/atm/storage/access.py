"""Browser sessions and the audit log: their records and store protocols."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from atm.dataclass import dataclass

MAXIMUM_ENTRIES = 1000
"""The maximum length of a page of the audit log."""
SHORTEST_RETENTION = timedelta(days=1)
"""The age below which audit log entries are never removed."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser session opened with a key, identified by the hash of its cookie, and by an id that grants nothing."""

    id: str
    token_hash: str = field(repr=False)
    """SHA-256 of the cookie, in hex."""
    key_hash: str = field(repr=False)
    """Hash of the key that opened it; the session is valid only as long as that key."""
    name: str
    """Name of that key."""
    created_at: datetime
    expires_at: datetime
    address: str = ""
    """The client address that opened it."""
    user_agent: str = ""
    last_used_at: datetime | None = None
    ended_at: datetime | None = None


class SessionStore(Protocol):
    """The store of browser sessions."""

    async def add(self, session: Session) -> None:
        """Store a session, and delete those that had expired when it was created."""
        ...

    async def by_token(self, token_hash: str) -> Session | None:
        """Return the session with this cookie unless it was ended; the caller checks `expires_at`."""
        ...

    async def all(self) -> tuple[Session, ...]:
        """Return sessions that were not ended, including expired ones that are still stored, by creation."""
        ...

    async def used(self, session_id: str, at: datetime) -> None:
        """Record a use; no-op for a deleted session."""
        ...

    async def end(self, session_id: str, at: datetime) -> None:
        """End a session, so that `by_token` no longer returns it. Raises NotFoundError for one that is not in `all`."""
        ...


class ActorKind(StrEnum):
    """The kind of actor of an audit entry."""

    KEY = "key"
    SESSION = "session"
    """A browser session, on behalf of its key."""
    LOCAL = "local"
    """A process on this machine, without a key."""
    SHELL = "shell"
    """The command line, directly on the storage."""
    SCHEDULE = "schedule"
    SERVER = "server"
    """The server itself: retention."""


class AuditOutcome(StrEnum):
    """The outcome of an audited action."""

    DONE = "done"
    REFUSED = "refused"
    """Not allowed or not possible: status 4xx."""
    FAILED = "failed"
    """An error of the server or the storage."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An audit log entry: actor, action, object, client address, time and outcome."""

    id: str
    at: datetime
    actor_kind: ActorKind
    actor: str
    """The name of a key, an account or a schedule."""
    source: str
    """The interface used: api, cli, mcp, schedule, server."""
    action: str
    """Object and verb, such as `run.create`."""
    outcome: AuditOutcome
    object_kind: str = ""
    object_id: str = ""
    address: str = ""
    """The client address; empty for a process on the storage's machine."""
    key_id: str | None = None
    session_id: str | None = None
    status: int | None = None
    """The status of the API response."""
    request_id: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """A query for audit entries, newest first; conditions are combined with AND."""

    actor: str | None = None
    action: str | None = None
    """This action, or with a trailing `.` all actions with this prefix."""
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    outcome: AuditOutcome | None = None
    key_id: str | None = None
    before: tuple[datetime, str] | None = None
    """The cursor: time and id of the last entry of the previous page."""
    limit: int = 100


class AuditStore(Protocol):
    """The audit log: entries are appended, never changed, and removed only by age."""

    async def append(self, entry: AuditEntry) -> None:
        """Append an entry; it is on disk when this returns."""
        ...

    async def append_within(self, entry: AuditEntry, query: AuditQuery, most: int) -> bool:
        """Append an entry unless at least `most` entries match the query; return whether it was appended.

        Atomic across processes: concurrent calls never append more than `most`.
        """
        ...

    async def page(self, query: AuditQuery) -> tuple[AuditEntry, ...]:
        """Return entries, newest first, at most `query.limit` (and `MAXIMUM_ENTRIES`)."""
        ...

    async def count(self, query: AuditQuery) -> int:
        """Return the number of matching entries, ignoring `limit`."""
        ...

    async def prune(self, before: datetime, *, dry_run: bool = False) -> int:
        """Remove entries older than `before`, which is at least `SHORTEST_RETENTION` ago; return their number.

        Databases refuse to remove younger ones.
        """
        ...
