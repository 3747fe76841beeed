"""Convert the storage status to the view of the Control API, which the command line uses too."""

from __future__ import annotations

from atm.models.control.storage import StorageStatusView
from atm.storage.upkeep import StorageStatus


def status_view(status: StorageStatus) -> StorageStatusView:
    """Return kind, location, size and number of runs, under both sets of field names."""
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
