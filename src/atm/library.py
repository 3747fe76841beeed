"""The library's front door: run a spec from Python, without a terminal.

result = atm.run_sync({"name": "shop", "url": "http://127.0.0.1:8080/", "requests_per_second": 50, "duration": "10s"})
print(result.verdict.passed, result.metrics.latency_p99_ms)
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atm.engine.base import Control
    from atm.metrics.interval import Interval
    from atm.models.run import RunResult
    from atm.models.spec import TestSpec
