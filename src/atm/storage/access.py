"""Sessions of browsers and the audit log: the records, and what every storage can do with them.

Both are small: sessions end by themselves, and the log grows by a line for each change of a person or a program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

MAXIMUM_ENTRIES = 1000
"""The most that one page of the audit log lists."""
SHORTEST_RETENTION = timedelta(days=1)
"""For so long entries of the audit log stay, whatever is asked."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that was let in by a key; known by the hash of its cookie, and by an id that opens nothing."""

    id: str
    token_hash: str = field(repr=False)
    """SHA-256 of the cookie, in hex."""
    key_hash: str = field(repr=False)
    """Of the key that opened it: the session holds only as long as that key does."""
    name: str
    """Of that key."""
    created_at: datetime
    expires_at: datetime
    address: str = ""
    """Where it was opened from."""
    user_agent: str = ""
    last_used_at: datetime | None = None
    ended_at: datetime | None = None


class SessionStore(Protocol):
    """Sessions that were opened and have not expired."""

    async def add(self, session: Session) -> None:
        """Keep it, and drop those that had expired when it was made."""
        ...

    async def by_token(self, token_hash: str) -> Session | None:
        """The session with this cookie, unless it was ended; the caller looks at `expires_at`."""
        ...

    async def all(self) -> tuple[Session, ...]:
        """Those that were not ended, also expired ones that are still kept, by creation."""
        ...

    async def used(self, session_id: str, at: datetime) -> None:
        """Note the use; of a session that is gone nothing is noted."""
        ...

    async def end(self, session_id: str, at: datetime) -> None:
        """From now on `by_token` does not find it. Raises NotFoundError for one that is not in `all`."""
        ...


class ActorKind(StrEnum):
    """What acted."""

    KEY = "key"
    SESSION = "session"
    """A browser, in the name of its key."""
    LOCAL = "local"
    """A process of this machine, without a key."""
    SHELL = "shell"
    """The command line on the storage itself."""
    SCHEDULE = "schedule"
    SERVER = "server"
    """The server by itself: retention."""


class AuditOutcome(StrEnum):
    """What came of it."""

    DONE = "done"
    REFUSED = "refused"
    """It was not allowed, or not possible: statuses 4xx."""
    FAILED = "failed"
    """A fault of ours or of the storage."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which object, from where, when, with what outcome."""

    id: str
    at: datetime
    actor_kind: ActorKind
    actor: str
    """The name of a key, an account or a schedule."""
    source: str
    """The front door: api, cli, mcp, schedule, server."""
    action: str
    """Object and verb, as `run.create`."""
    outcome: AuditOutcome
    object_kind: str = ""
    object_id: str = ""
    address: str = ""
    """Of the client; empty for a process on the storage's own machine."""
    key_id: str | None = None
    session_id: str | None = None
    status: int | None = None
    """Of the answer of the API."""
    request_id: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries, newest first; all conditions hold together."""

    actor: str | None = None
    action: str | None = None
    """This action, or with a `.` at its end all that begin so."""
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    outcome: AuditOutcome | None = None
    key_id: str | None = None
    before: tuple[datetime, str] | None = None
    """Time and id of the last entry of the page before."""
    limit: int = 100


class AuditStore(Protocol):
    """The audit log: entries are appended, never changed, and removed by age alone."""

    async def append(self, entry: AuditEntry) -> None:
        """Keep it; it is on the disk when this returns."""
        ...

    async def append_within(self, entry: AuditEntry, query: AuditQuery, most: int) -> bool:
        """Keep it unless `most` entries or more match the query already; whether it was kept.

        One transaction over all processes: of any number of calls at once no more than `most` are kept.
        """
        ...

    async def page(self, query: AuditQuery) -> tuple[AuditEntry, ...]:
        """Entries, newest first, at most `query.limit` (and `MAXIMUM_ENTRIES`)."""
        ...

    async def count(self, query: AuditQuery) -> int:
        """How many entries, whatever `limit` says."""
        ...

    async def prune(self, before: datetime, *, dry_run: bool = False) -> int:
        """Remove entries older than that moment, which is at least `SHORTEST_RETENTION` ago; how many.

        Databases refuse to remove younger ones.
        """
        ...
