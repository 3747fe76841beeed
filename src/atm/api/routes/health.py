"""Whether the server is well: for load balancers, for systemd, for people. Answered to everybody."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from atm.api.deps import Plane
from atm.errors import StorageError
from atm.models.control.server import HealthView, ReadyView
from atm.version import VERSION

router = APIRouter(tags=["server"])
bare = APIRouter(tags=["server"])


@router.get("/health")
async def health() -> HealthView:
    """Say that the server runs, and its version."""
    return HealthView(version=VERSION, timestamp=datetime.now(UTC))


@bare.get("/health/live")
async def live() -> HealthView:
    """Say that the process runs; it looks at nothing else."""
    return HealthView(version=VERSION, timestamp=datetime.now(UTC))


@bare.get("/health/ready", responses={503: {"model": ReadyView, "description": "The storage cannot be read"}})
async def ready(plane: Plane, response: Response) -> ReadyView:
    """Say whether requests can be answered: the storage is read."""
    try:
        await plane.storage.leases.states()
    except StorageError as error:
        response.status_code = 503
        return ReadyView(status="unavailable", storage=error.problems[0].code)
    return ReadyView(status="ready", storage="ok")
