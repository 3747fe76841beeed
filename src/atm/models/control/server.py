"""The server itself: whether it is well, and what it can and lets do."""

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
    """`ok`, or what is wrong with it."""


class EngineView(Answer):
    """An engine, and whether it is installed here."""

    name: str
    installed: bool
    version: str | None


class LimitsView(Answer):
    """What runs through this server may ask for; null: no limit."""

    max_concurrent_runs: int
    max_rate: float | None
    max_users: int | None
    max_duration_seconds: float | None
    max_body_bytes: int
    allowed_targets: list[str]
    """Hosts; empty: all but link-local and metadata addresses."""
    env_allow: list[str]
    """Environment variables that specs may read, beside TARGET_*."""


class ServerView(Answer):
    """GET /server."""

    version: str
    python: str
    cores: int
    engines: list[EngineView]
    """In the order in which `engine: auto` tries them."""
    limits: LimitsView
    has_keys: bool
    """Whether a key is asked for; without one only this machine is answered."""
