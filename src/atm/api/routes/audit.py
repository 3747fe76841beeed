"""The audit log, for admins."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

from fastapi import Query

from atm.api.deps import Admin, Plane
from atm.api.late_route import Routes
from atm.api.views import read_cursor, write_cursor
from atm.models.control.audit import AuditEntryView, AuditList
from atm.models.control.base import Moment
from atm.storage.access import AuditEntry, AuditOutcome, AuditQuery
from atm.storage.records import RunCursor

router = Routes("audit")


@router.get("/audit")
async def list_audit(
    plane: Plane,
    admin: Admin,  # noqa: ARG001
    actor: Annotated[
        str | None, Query(max_length=256, description="Only entries of exactly this key, account or schedule.")
    ] = None,
    action: Annotated[
        str | None,
        Query(
            max_length=64,
            description="Only this action, or with a trailing dot all actions on a kind of object: `run.`",
        ),
    ] = None,
    object_id: Annotated[str | None, Query(max_length=256)] = None,
    outcome: AuditOutcome | None = None,
    since: Annotated[Moment | None, Query(description="Only entries at or after this time.")] = None,
    until: Annotated[Moment | None, Query(description="Only entries before this time.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[str | None, Query(max_length=300, description="`next` of the previous page.")] = None,
) -> AuditList:
    """List entries of the audit log, newest first; filters are combined with AND. For admins."""
    before = read_cursor(cursor) if cursor else None
    query = AuditQuery(
        actor=actor,
        action=action,
        object_id=object_id,
        outcome=outcome,
        since=since,
        until=until,
        before=(before.created_at, before.id) if before else None,
        limit=limit + 1,
    )
    entries = await plane.storage.audit.page(query)
    last = entries[limit - 1] if len(entries) > limit else None
    return AuditList(
        entries=[_view(entry) for entry in entries[:limit]],
        next=write_cursor(RunCursor(last.at, last.id) if last else None),
    )


def _view(entry: AuditEntry) -> AuditEntryView:
    return AuditEntryView(**{field.name: getattr(entry, field.name) for field in fields(AuditEntry)})
