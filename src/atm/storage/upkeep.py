"""Records of the maintenance of a storage: retention policy, prune report, status."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from atm.dataclass import dataclass
from atm.models.outcome import RunStatus


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """The limits of retention; None keeps data forever. Runs that have not ended are never touched."""

    runs_for: timedelta | None = None
    """Age after which ended runs are deleted."""
    runs_at_most: int | None = None
    """Number of runs above which the oldest are deleted."""
    seconds_for: timedelta | None = None
    """Age of ended runs after which their 1 s intervals are removed; longer ones and those of the whole run stay."""
    samples_for: timedelta | None = None
    """Age of ended runs after which their samples (requests and responses) are removed."""
    audit_for: timedelta | None = None
    """Age after which audit log entries are removed; those of the last day always stay."""
    firings_for: timedelta | None = None
    """Age after which final firings and their deliveries are removed; the newest of each schedule
    (`atm.storage.schedules.KEPT_FIRINGS`) stay."""


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was or would be removed: ids of deleted runs, of runs without 1 s intervals, of runs without samples."""

    runs: tuple[str, ...]
    seconds: tuple[str, ...]
    samples: tuple[str, ...]
    firings: int = 0
    """Number of firings."""
    audit: int = 0
    """Number of audit log entries."""


@dataclass(frozen=True, slots=True)
class StorageStatus:
    """The state of the storage itself."""

    kind: str
    """`sqlite`, `postgresql` or `json`."""
    location: str
    """A path, or host and database, without password."""
    schema_version: str
    schema_latest: str
    """The schema of this version of the program."""
    size_bytes: int
    runs: Mapping[RunStatus, int]
    """Number of runs for every status, including 0."""
