"""Version, engines and limits of the server."""

from __future__ import annotations

import platform

from atm.api.deps import Plane, ServerKeys
from atm.api.late_route import Routes
from atm.config import Settings
from atm.engine.choose import LOADERS, PREFERENCE
from atm.engine.environment import usable_cores
from atm.models.control.server import EngineView, LimitsView, ServerView
from atm.version import VERSION

router = Routes("server")


@router.get("/server")
async def read_server(plane: Plane, keys: ServerKeys) -> ServerView:
    """Read version, engines and limits of the installation."""
    return ServerView(
        version=VERSION,
        python=platform.python_version(),
        cores=usable_cores(),
        engines=[_engine(name) for name in PREFERENCE],
        limits=_limits(plane.settings),
        has_keys=await keys.exist(),
    )


def _engine(name: str) -> EngineView:
    engine = LOADERS[name]()
    return EngineView(name=name, installed=engine is not None, version=None if engine is None else engine.version)


def _limits(settings: Settings) -> LimitsView:
    longest = settings.max_duration
    return LimitsView(
        max_concurrent_runs=settings.max_concurrent_runs,
        max_rate=settings.max_rate,
        max_users=settings.max_users,
        max_duration_seconds=None if longest is None else longest.total_seconds(),
        max_body_bytes=settings.max_body_bytes,
        allowed_targets=list(settings.allowed_targets),
        env_allow=list(settings.env_allow),
        max_processes=settings.max_processes or usable_cores(),
        fleet_clusters=list(settings.fleet_clusters),
    )
