"""What storage holds, and for how long."""

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
    """`kind`, `location` and `size_bytes` once more, by the names of the first design."""
    database_path: str
    database_size_bytes: int
    total_runs: int


class DayView(Answer):
    """Runs that were created on one day, in UTC."""

    day: date
    runs: int
    passed: int
    failed: int
    """Runs that failed; the others were stopped, cancelled, invalid or could not be carried out."""


class NamedCount(Answer):
    """How many runs there are of a test."""

    name: str
    runs: int


class RetentionView(Answer):
    """What is kept for how long, in seconds since the end of a run; null: for ever."""

    runs_seconds: float | None
    runs_at_most: int | None
    intervals_seconds: float | None
    """Intervals of 1 s; coarser ones stay with the run."""
    samples_seconds: float | None
    firings_seconds: float | None
    """Firings of schedules, since they were due; the newest of each schedule stay."""


class StorageOverview(Answer):
    """GET /storage/overview."""

    status: StorageStatusView
    schema_latest: str
    """What this version reads; `status.schema_version` is the same, or the server would not have started."""
    oldest: datetime | None
    newest: datetime | None
    """When the oldest and the newest run were created."""
    days: list[DayView]
    """The last ones up to today, also those without a run."""
    top_tests: list[NamedCount]
    """Those with the most runs."""
    retention: RetentionView
