"""API Test Machine: load test an API, and know whether you can believe the result.

This package holds everything but the native engine. The public names are those of `__all__`; start reading with
`docs/architecture.md`, then `models/spec.py` (what a person writes) and `plan/load_plan.py` (what an engine runs).
"""

from atm.version import VERSION as __version__

__all__ = ["__version__"]
