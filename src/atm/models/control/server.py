"""The server: its health, engines and limits."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from atm.models.control.base import Answer


class HealthView(Answer):
    """GET /health."""

    status: Literal["ok"] = "ok"
    version: str
    timestamp: datetime
    """The clock of the server."""


class ReadyView(Answer):
    """GET /health/ready."""

    status: Literal["ready", "unavailable"]
    storage: str
    """`ok`, or what is wrong."""


class EngineView(Answer):
    """An engine, and whether it is installed."""

    name: str
    installed: bool
    version: str | None


class LimitsView(Answer):
    """Limits for runs through this server; null: no limit."""

    max_concurrent_runs: int
    max_rate: float | None
    max_users: int | None
    max_duration_seconds: float | None
    max_body_bytes: int
    allowed_targets: list[str]
    """Allowed hosts; empty: all except link-local and metadata addresses."""
    env_allow: list[str]
    """Environment variables that specs may read, beside TARGET_*."""
    max_processes: int
    """The most `fleet.processes` of a run."""
    fleet_clusters: list[str]
    """Clusters that a run may name in `fleet.on`."""


class ServerView(Answer):
    """GET /server."""

    version: str
    python: str
    cores: int
    engines: list[EngineView]
    """In the order of preference of `engine: auto`."""
    limits: LimitsView
    has_keys: bool
    """Whether a key is required; without one, only clients on this machine are served."""
