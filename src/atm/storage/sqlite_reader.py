"""Read runs from the SQLite file with the standard library alone, for commands whose start-up time people feel.

SQLAlchemy and the models of results take several times as long to import as these queries take to run. Only what such a
command shows is read, and nothing is written; whatever needs more uses `open_storage`. A test compares both.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atm.dataclass import dataclass
from atm.models.outcome import Measurement, RunOutcome, RunStatus, StopReason, run_outcome
from atm.storage.migrations import HEAD

if TYPE_CHECKING:
    from atm.models.run import RunResult


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as lists and `atm status` show it: the fields of the same names of `RunSummary` and `Run`."""

    id: str
    name: str
    url: str
    method: str
    total_requests: int | None
    status: RunStatus
    created_at: datetime
    engine: str
    source: str
    tags: tuple[str, ...]
    stop_reason: StopReason | None
    started_at: datetime | None
    completed_at: datetime | None
    passed: bool | None
    measurement: Measurement | None
    requests_completed: int
    error_message: str | None
    latency_p95_ms: float | None
    requests_per_second: float | None
    error_rate: float | None
    notes: str
    spec: Mapping[str, Any]
    failure_reasons: tuple[str, ...]
    cancel_requested: str | None

    @property
    def outcome(self) -> RunOutcome:
        """The one word for this run."""
        return run_outcome(self.status, self.stop_reason, self.passed)


_COLUMNS = {field.name: field.name for field in fields(StoredRun)} | {
    "tags": "tags_json",
    "spec": "spec_json",
    "failure_reasons": "failure_reasons_json",
}
_SELECT = f"SELECT {', '.join(_COLUMNS.values())} FROM runs"  # names of columns, from this module
_RESULT = ("metrics_json", "endpoint_metrics_json", "sampled_requests_json", "result_json", "spec_json")


class SqliteReader:
    """One connection to a database file of exactly the revision that this version reads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, file: Path) -> SqliteReader | None:
        """None where the file is missing, unreadable, owned by others or outdated; `open_storage` reports why."""
        try:
            if file.stat().st_uid not in (0, os.geteuid()) or file.parent.stat().st_uid not in (0, os.geteuid()):
                return None
            connection = sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True)
            connection.execute("PRAGMA query_only = 1")
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except (OSError, sqlite3.Error):
            return None
        return cls(connection) if revision == (HEAD,) else None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def newest(self, limit: int) -> tuple[list[StoredRun], int]:
        """The newest runs, and the number of all. Raises sqlite3.Error, and ValueError for a row that is not ours."""
        rows = self._connection.execute(f"{_SELECT} ORDER BY created_at DESC, id DESC LIMIT ?", (limit,)).fetchall()
        [total] = self._connection.execute("SELECT count(*) FROM runs").fetchone()
        return [_run_of(row) for row in rows], total

    def beginning_with(self, prefix: str, limit: int) -> list[StoredRun]:
        """The runs whose ids begin with `prefix`, in the order of their ids. Raises as `newest` does."""
        # `~` sorts behind every character of an id.
        statement = f"{_SELECT} WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
        return [_run_of(row) for row in self._connection.execute(statement, (prefix, f"{prefix}~", limit))]

    def result(self, run_id: str) -> RunResult | None:
        """The result of a run; None where it has none. Raises CorruptDataError and sqlite3.Error."""
        from atm.storage.result import ResultDocuments, join

        statement = f"SELECT {', '.join(_RESULT)} FROM runs WHERE id = ?"
        row = self._connection.execute(statement, (run_id,)).fetchone()
        if row is None or row[3] is None:
            return None
        metrics, endpoint_metrics, samples, rest, spec = row
        return join(ResultDocuments(metrics, endpoint_metrics, samples or "[]", rest), json.loads(spec), run_id)


def _run_of(row: tuple[Any, ...]) -> StoredRun:
    values = dict(zip(_COLUMNS, row, strict=True))
    for name in ("tags", "failure_reasons"):
        values[name] = tuple(json.loads(values[name] or "[]"))
    values["spec"] = json.loads(values["spec"])
    for name in ("created_at", "started_at", "completed_at"):
        values[name] = None if values[name] is None else datetime.fromisoformat(values[name]).replace(tzinfo=UTC)
    values["status"] = RunStatus(values["status"])
    values["stop_reason"] = None if values["stop_reason"] is None else StopReason(values["stop_reason"])
    values["measurement"] = None if values["measurement"] is None else Measurement(values["measurement"])
    values["passed"] = None if values["passed"] is None else bool(values["passed"])
    return StoredRun(**values)
