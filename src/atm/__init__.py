"""API Test Machine: load test an API, and know whether the result is valid.

This package contains everything but the native engine. The public names are in `__all__`. Start with
`docs/architecture.md`, then `models/spec.py` (the test spec) and `plan/load_plan.py` (the plan that engines run).
"""

from __future__ import annotations

from atm.version import VERSION as __version__

# Importing typing for its constant would add half of the interpreter's start to `atm --version`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from atm.code.hooks import Context, Request, hook
    from atm.code.own_metrics import Counter, Gauge, MetricValueError, Trend
    from atm.code.response import RequestFailedError, Response
    from atm.code.scenario import scenario, test
    from atm.code.user import User
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
    "Context",
    "Control",
    "Counter",
    "Gauge",
    "Interval",
    "MetricValueError",
    "Request",
    "RequestFailedError",
    "Response",
    "RunResult",
    "SpecError",
    "TestSpec",
    "Trend",
    "User",
    "__version__",
    "hook",
    "run",
    "run_sync",
    "scenario",
    "test",
]

_MODULES = {
    "AtmError": "atm.errors",
    "AuthConfig": "atm.models.auth",
    "AuthType": "atm.models.auth",
    "Context": "atm.code.hooks",
    "Control": "atm.engine.base",
    "Counter": "atm.code.own_metrics",
    "Gauge": "atm.code.own_metrics",
    "Interval": "atm.metrics.interval",
    "Request": "atm.code.hooks",
    "MetricValueError": "atm.code.own_metrics",
    "RequestFailedError": "atm.code.response",
    "Response": "atm.code.response",
    "RunResult": "atm.models.run",
    "SpecError": "atm.errors",
    "TestSpec": "atm.models.spec",
    "Trend": "atm.code.own_metrics",
    "User": "atm.code.user",
    "hook": "atm.code.hooks",
    "run": "atm.library",
    "run_sync": "atm.library",
    "scenario": "atm.code.scenario",
    "test": "atm.code.scenario",
}


def __getattr__(name: str) -> object:
    """Import a public name on first access, so that `import atm` alone is cheap."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
