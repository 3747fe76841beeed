"""The engines that face the suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from atm.engine.asyncio_engine import AsyncioEngine
from atm.engine.base import Engine

ENGINES: Mapping[str, Callable[[], Engine]] = {"asyncio": AsyncioEngine}
