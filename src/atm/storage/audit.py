"""Build audit log entries for actors that change the storage without the API: a shell, a schedule, the server."""

from __future__ import annotations

import os
from datetime import datetime

from atm.access.peers import account_name
from atm.storage.access import ActorKind, AuditEntry, AuditOutcome


def shell_entry(action: str, object_id: str, at: datetime, detail: str = "") -> AuditEntry:
    """Return an entry for a command-line action of the current account, directly on the storage."""
    return _entry(ActorKind.SHELL, account_name(), "cli", action, object_id, at, detail)


def schedule_entry(schedule: str, action: str, object_id: str, at: datetime, detail: str = "") -> AuditEntry:
    """Return an entry for an action of a schedule."""
    return _entry(ActorKind.SCHEDULE, schedule, "schedule", action, object_id, at, detail)


def server_entry(action: str, object_id: str, at: datetime, detail: str = "") -> AuditEntry:
    """Return an entry for an action of the server itself."""
    return _entry(ActorKind.SERVER, "server", "server", action, object_id, at, detail)


def _entry(
    kind: ActorKind, actor: str, source: str, action: str, object_id: str, at: datetime, detail: str
) -> AuditEntry:
    return AuditEntry(
        id=os.urandom(8).hex(),
        at=at,
        actor_kind=kind,
        actor=actor,
        source=source,
        action=action,
        outcome=AuditOutcome.DONE,
        object_kind=action.partition(".")[0],
        object_id=object_id,
        detail=detail[:500],
    )
