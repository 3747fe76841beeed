"""The environment of a run: enough to judge whether two results can be compared."""

from __future__ import annotations

import os
import platform
import socket
from typing import Any

from atm.version import VERSION


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_environment() -> dict[str, Any]:
    """Return versions, system and cores: the `environment` of a result."""
    return {
        "atm_version": VERSION,
        "python_version": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "host": socket.gethostname(),
        "cores": usable_cores(),
    }
