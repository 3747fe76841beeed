"""Sessions and the audit log in JSON files: one document, and a file that is appended to."""

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
    """`SessionStore` in a JSON file."""

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
            kept = [each for each in self._read() if each.expires_at > session.created_at]
            self._write([*kept, session])

    @in_thread
    def by_token(self, token_hash: str) -> Session | None:
        return next((each for each in self._read() if each.token_hash == token_hash and each.ended_at is None), None)

    @in_thread
    def all(self) -> tuple[Session, ...]:
        lives = [each for each in self._read() if each.ended_at is None]
        return tuple(sorted(lives, key=lambda each: (each.created_at, each.id)))

    @in_thread
    def used(self, session_id: str, at: datetime) -> None:
        with self._folder.changing():
            self._write([replace(each, last_used_at=at) if each.id == session_id else each for each in self._read()])

    @in_thread
    def end(self, session_id: str, at: datetime) -> None:
        with self._folder.changing():
            sessions = self._read()
            if not any(each.id == session_id and each.ended_at is None for each in sessions):
                raise session_not_found(session_id)
            self._write([replace(each, ended_at=at) if each.id == session_id else each for each in sessions])


class JsonAudit:
    """`AuditStore` in a file of lines."""

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
        found = sorted(self._matching(query), key=lambda entry: (entry.at, entry.id), reverse=True)
        return tuple(found[: max(0, min(query.limit, MAXIMUM_ENTRIES))])

    @in_thread
    def count(self, query: AuditQuery) -> int:
        return sum(1 for _ in self._matching(query))

    @in_thread
    def prune(self, before: datetime, *, dry_run: bool = False) -> int:
        return self.remove(before, dry_run=dry_run)

    def remove(self, before: datetime, *, dry_run: bool) -> int:
        """The same, for those that are in a thread already."""
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
    if any(asked is not None and asked != have for asked, have in exact):
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
