"""Sessions in a JSON file, and the audit log in an append-only JSON Lines file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from atm.storage.access import MAXIMUM_ENTRIES, AuditEntry, AuditQuery, Session
from atm.storage.disk_format import DiskFormat
from atm.storage.errors import session_not_found
from atm.storage.json_files.files import (
    append_lines,
    in_thread,
    parsed,
    read_lines,
    read_record,
    read_records,
    replace_lines,
    write_records,
)
from atm.storage.json_files.state import Folder
from atm.storage.records import checked_id

_SESSIONS = DiskFormat(Session)
_ENTRY = DiskFormat(AuditEntry)


class JsonSessions:
    """The `SessionStore` in a JSON file."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._path = folder.root / "sessions.json"

    def _read(self) -> list[Session]:
        return read_records(_SESSIONS, self._path)

    def _write(self, sessions: Sequence[Session]) -> None:
        write_records(_SESSIONS, self._path, sessions)

    @in_thread
    def add(self, session: Session) -> None:
        checked_id(session.id)
        with self._folder.changing():
            kept = [stored for stored in self._read() if stored.expires_at > session.created_at]
            self._write([*kept, session])

    @in_thread
    def by_token(self, token_hash: str) -> Session | None:
        return next(
            (session for session in self._read() if session.token_hash == token_hash and session.ended_at is None), None
        )

    @in_thread
    def all(self) -> tuple[Session, ...]:
        active = [session for session in self._read() if session.ended_at is None]
        return tuple(sorted(active, key=lambda session: (session.created_at, session.id)))

    @in_thread
    def used(self, session_id: str, at: datetime) -> None:
        with self._folder.changing():
            self._write(
                [replace(session, last_used_at=at) if session.id == session_id else session for session in self._read()]
            )

    @in_thread
    def end(self, session_id: str, at: datetime) -> None:
        with self._folder.changing():
            sessions = self._read()
            if not any(session.id == session_id and session.ended_at is None for session in sessions):
                raise session_not_found(session_id)
            self._write(
                [replace(session, ended_at=at) if session.id == session_id else session for session in sessions]
            )


class JsonAudit:
    """The `AuditStore` in a JSON Lines file."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._path = folder.root / "audit.jsonl"

    def _entries(self) -> Iterator[AuditEntry]:
        for number, line in read_lines(self._path):
            yield read_record(_ENTRY, parsed(self._path, number, line), f"{self._path}:{number}")

    @in_thread
    def append(self, entry: AuditEntry) -> None:
        checked_id(entry.id)
        with self._folder.changing():
            append_lines(self._path, [_ENTRY.text(entry)])

    @in_thread
    def append_within(self, entry: AuditEntry, query: AuditQuery, most: int) -> bool:
        checked_id(entry.id)
        with self._folder.changing():
            if sum(1 for _ in self._matching(query)) >= most:
                return False
            append_lines(self._path, [_ENTRY.text(entry)])
        return True

    @in_thread
    def page(self, query: AuditQuery) -> tuple[AuditEntry, ...]:
        entries = sorted(self._matching(query), key=lambda entry: (entry.at, entry.id), reverse=True)
        return tuple(entries[: max(0, min(query.limit, MAXIMUM_ENTRIES))])

    @in_thread
    def count(self, query: AuditQuery) -> int:
        return sum(1 for _ in self._matching(query))

    @in_thread
    def prune(self, before: datetime, *, dry_run: bool = False) -> int:
        return self.remove(before, dry_run=dry_run)

    def remove(self, before: datetime, *, dry_run: bool) -> int:
        """Synchronous `prune`, for callers in a thread."""
        with self._folder.changing():
            entries = list(self._entries())
            kept = [entry for entry in entries if entry.at >= before]
            if len(kept) < len(entries) and not dry_run:
                replace_lines(self._path, [_ENTRY.text(entry) for entry in kept])
        return len(entries) - len(kept)

    def _matching(self, query: AuditQuery) -> Iterator[AuditEntry]:
        return (entry for entry in self._entries() if _matches(entry, query))


def _matches(entry: AuditEntry, query: AuditQuery) -> bool:
    exact = (
        (query.actor, entry.actor),
        (query.object_id, entry.object_id),
        (query.outcome, entry.outcome),
        (query.key_id, entry.key_id),
    )
    if any(wanted is not None and wanted != actual for wanted, actual in exact):
        return False
    if query.action is not None:
        is_prefix = query.action.endswith(".")
        if not (entry.action.startswith(query.action) if is_prefix else entry.action == query.action):
            return False
    return (
        (query.since is None or entry.at >= query.since)
        and (query.until is None or entry.at < query.until)
        and (query.before is None or (entry.at, entry.id) < query.before)
    )
