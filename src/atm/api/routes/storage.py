"""What the storage says about itself."""

from __future__ import annotations

from fastapi import APIRouter

from atm.api.deps import Plane
from atm.models.control import StorageStatusView

router = APIRouter(tags=["server"])


@router.get("/storage/status")
async def storage_status(plane: Plane) -> StorageStatusView:
    """Kind, place, size and number of runs."""
    status = await plane.storage.upkeep.status()
    return StorageStatusView(
        kind=status.kind,
        location=status.location,
        schema_version=status.schema_version,
        size_bytes=status.size_bytes,
        runs=dict(status.runs),
    )
