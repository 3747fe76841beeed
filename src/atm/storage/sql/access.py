"""Sessions and the audit log on a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update

from atm.storage.access import MAXIMUM_ENTRIES, ActorKind, AuditEntry, AuditOutcome, AuditQuery, Session
from atm.storage.errors import session_not_found
from atm.storage.records import checked_id
from atm.storage.sql.database import Database
from atm.storage.sql.tables import audit_log, sessions


class SqlSessions:
    """The `SessionStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, session: Session) -> None:
        checked_id(session.id)
        async with self._database.write() as connection:
            await connection.execute(delete(sessions).where(sessions.c.expires_at <= session.created_at))
            await connection.execute(insert(sessions).values(_values(session)))

    async def by_token(self, token_hash: str) -> Session | None:
        matches = await self._where(sessions.c.token_hash == token_hash)
        return matches[0] if matches else None

    async def all(self) -> tuple[Session, ...]:
        return await self._where()

    async def _where(self, *conditions: ColumnElement[bool]) -> tuple[Session, ...]:
        statement = select(sessions).where(sessions.c.ended_at.is_(None), *conditions)
        async with self._database.read() as connection:
            rows = await connection.execute(statement.order_by(sessions.c.created_at, sessions.c.id))
            return tuple(_session_of(row._mapping) for row in rows)

    async def used(self, session_id: str, at: datetime) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(sessions).where(sessions.c.id == session_id).values(last_used_at=at))

    async def end(self, session_id: str, at: datetime) -> None:
        async with self._database.write() as connection:
            lives = and_(sessions.c.id == session_id, sessions.c.ended_at.is_(None))
            if (await connection.execute(update(sessions).where(lives).values(ended_at=at))).rowcount == 0:
                raise session_not_found(session_id)


class SqlAudit:
    """The `AuditStore` on a database; triggers prevent changes by other programs (`tables.py`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entry: AuditEntry) -> None:
        checked_id(entry.id)
        async with self._database.write() as connection:
            await connection.execute(insert(audit_log).values(_values(entry)))

    async def append_within(self, entry: AuditEntry, query: AuditQuery, most: int) -> bool:
        checked_id(entry.id)
        counted = select(func.count()).select_from(audit_log).where(*_conditions(query))
        async with self._database.write() as connection:
            await self._database.lock_claims(connection)
            if (await connection.execute(counted)).scalar_one() >= most:
                return False
            await connection.execute(insert(audit_log).values(_values(entry)))
            return True

    async def page(self, query: AuditQuery) -> tuple[AuditEntry, ...]:
        newest = (audit_log.c.at.desc(), audit_log.c.id.desc())
        statement = select(audit_log).where(*_conditions(query)).order_by(*newest)
        async with self._database.read() as connection:
            rows = await connection.execute(statement.limit(max(0, min(query.limit, MAXIMUM_ENTRIES))))
            return tuple(_entry_of(row._mapping) for row in rows)

    async def count(self, query: AuditQuery) -> int:
        statement = select(func.count()).select_from(audit_log).where(*_conditions(query))
        async with self._database.read() as connection:
            return int((await connection.execute(statement)).scalar_one())

    async def prune(self, before: datetime, *, dry_run: bool = False) -> int:
        old = audit_log.c.at < before
        if dry_run:
            counted = select(func.count()).select_from(audit_log).where(old)
            async with self._database.read() as connection:
                return int((await connection.execute(counted)).scalar_one())
        async with self._database.write() as connection:
            return (await connection.execute(delete(audit_log).where(old))).rowcount


def _conditions(query: AuditQuery) -> list[ColumnElement[bool]]:
    column = audit_log.c
    conditions: list[ColumnElement[bool]] = []
    for name in ("actor", "object_id", "outcome", "key_id"):
        if (value := getattr(query, name)) is not None:
            conditions.append(column[name] == str(value))
    if query.action is not None:
        is_prefix = query.action.endswith(".")
        starts = column.action.startswith(query.action, autoescape=True)
        conditions.append(starts if is_prefix else column.action == query.action)
    if query.since is not None:
        conditions.append(column.at >= query.since)
    if query.until is not None:
        conditions.append(column.at < query.until)
    if query.before is not None:
        at, last = query.before
        conditions.append(or_(column.at < at, and_(column.at == at, column.id < last)))
    return conditions


def _values(record: Session | AuditEntry) -> dict[str, Any]:
    """Return the fields of a record as column values."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _session_of(row: Mapping[Any, Any]) -> Session:
    return Session(**{field.name: row[field.name] for field in fields(Session)})


def _entry_of(row: Mapping[Any, Any]) -> AuditEntry:
    values = {field.name: row[field.name] for field in fields(AuditEntry)}
    values["actor_kind"], values["outcome"] = ActorKind(values["actor_kind"]), AuditOutcome(values["outcome"])
    return AuditEntry(**values)
