"""API Test Machine: load test an API, and know whether you can believe the result.

This package holds everything but the native engine. The public names are those of `__all__`; start reading with
`docs/architecture.md`, then `models/spec.py` (what a person writes) and `plan/load_plan.py` (what an engine runs).
"""

from __future__ import annotations

from atm.version import VERSION as __version__

# typing's own constant of this name would cost `atm --version` half of what the interpreter does.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from atm.engine.base import Control
    from atm.errors import AtmError, SpecError
    from atm.library import run, run_sync
    from atm.metrics.interval import Interval
    from atm.models.auth import AuthConfig, AuthType
    from atm.models.run import RunResult
    from atm.models.spec import TestSpec

__all__ = [
    "AtmError",
    "AuthConfig",
    "AuthType",
    "Control",
    "Interval",
    "RunResult",
    "SpecError",
    "TestSpec",
    "__version__",
    "run",
    "run_sync",
]

_HOMES = {
    "AtmError": "atm.errors",
    "AuthConfig": "atm.models.auth",
    "AuthType": "atm.models.auth",
    "Control": "atm.engine.base",
    "Interval": "atm.metrics.interval",
    "RunResult": "atm.models.run",
    "SpecError": "atm.errors",
    "TestSpec": "atm.models.spec",
    "run": "atm.library",
    "run_sync": "atm.library",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: `import atm` alone costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
