"""Storage as it is shown: what the Control API and the command line say about it."""

from __future__ import annotations

from atm.models.control.storage import StorageStatusView
from atm.storage.records import StorageStatus


def status_view(status: StorageStatus) -> StorageStatusView:
    """Kind, place, size and number of runs, under both sets of names."""
    return StorageStatusView(
        kind=status.kind,
        location=status.location,
        schema_version=status.schema_version,
        size_bytes=status.size_bytes,
        runs=dict(status.runs),
        storage_type=status.kind,
        database_path=status.location,
        database_size_bytes=status.size_bytes,
        total_runs=sum(status.runs.values()),
    )
