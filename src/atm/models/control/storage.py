"""The contents of the storage, and retention."""

from __future__ import annotations

from datetime import date, datetime

from atm.models.control.base import Answer
from atm.models.outcome import RunStatus


class StorageStatusView(Answer):
    """GET /storage/status."""

    kind: str
    location: str
    schema_version: str
    size_bytes: int
    runs: dict[RunStatus, int]
    storage_type: str
    """`kind`, `location` and `size_bytes` again, under the names of the first design."""
    database_path: str
    database_size_bytes: int
    total_runs: int


class DayView(Answer):
    """Runs created on one day, in UTC."""

    day: date
    runs: int
    passed: int
    failed: int
    """Runs that failed; the others were stopped, cancelled, invalid or could not be carried out."""


class NamedCount(Answer):
    """Number of runs of a test."""

    name: str
    runs: int


class RetentionView(Answer):
    """Retention, in seconds since the end of a run; null: forever."""

    runs_seconds: float | None
    runs_at_most: int | None
    intervals_seconds: float | None
    """Intervals of 1 s; coarser ones are kept with the run."""
    samples_seconds: float | None
    firings_seconds: float | None
    """Firings of schedules, since they were due; the newest of each schedule is kept."""


class StorageOverview(Answer):
    """GET /storage/overview."""

    status: StorageStatusView
    schema_latest: str
    """The schema version of this version of atm; `status.schema_version` is always the same."""
    oldest: datetime | None
    newest: datetime | None
    """Creation times of the oldest and the newest run."""
    days: list[DayView]
    """The last days up to today, including days without a run."""
    top_tests: list[NamedCount]
    """The tests with the most runs."""
    retention: RetentionView
