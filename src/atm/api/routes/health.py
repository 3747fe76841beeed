"""Health checks for load balancers and systemd, without authentication."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import Response

from atm.api.deps import Plane
from atm.api.late_route import Routes
from atm.errors import StorageError
from atm.models.control.server import HealthView, ReadyView
from atm.version import VERSION

router = Routes("server")
bare = Routes("server")


@router.get("/health")
async def health() -> HealthView:
    """Return health and version of the server."""
    return HealthView(version=VERSION, timestamp=datetime.now(UTC))


@bare.get("/health/live")
async def live() -> HealthView:
    """Liveness: the process is running; checks nothing else."""
    return HealthView(version=VERSION, timestamp=datetime.now(UTC))


@bare.get("/health/ready", responses={503: {"model": ReadyView, "description": "The storage cannot be read"}})
async def ready(plane: Plane, response: Response) -> ReadyView:
    """Readiness: the storage can be read."""
    try:
        await plane.storage.leases.states()
    except StorageError as error:
        response.status_code = 503
        return ReadyView(status="unavailable", storage=error.problems[0].code)
    return ReadyView(status="ready", storage="ok")
