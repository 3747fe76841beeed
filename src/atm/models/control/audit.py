"""The audit log."""

from __future__ import annotations

from datetime import datetime

from atm.models.control.base import Answer


class AuditEntryView(Answer):
    """One action: actor, object, origin, time and outcome."""

    id: str
    at: datetime
    actor_kind: str
    """key, session (a browser using a key), local (a process without a key), shell (`atm` on the storage), schedule,
    server."""
    actor: str
    """The name of the key, account or schedule."""
    source: str
    """The interface: api, mcp, cli, schedule, server."""
    address: str
    """Address of the client; empty on the server's machine itself."""
    action: str
    """Object and verb: `run.create`."""
    object_kind: str
    object_id: str
    outcome: str
    """done, refused (status 4xx), failed (5xx)."""
    status: int | None
    key_id: str | None
    session_id: str | None
    request_id: str | None
    """The response's X-Request-ID, which is also in the server's log."""
    detail: str


class AuditList(Answer):
    """GET /audit."""

    entries: list[AuditEntryView]
    next: str | None
    """Cursor of the next page; null on the last one."""
