"""A typed client of the Control API: for the command line, other front doors, and programs of yours.

Imports `models` and httpx, nothing else of this package. Start with `control.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atm.client.control import ControlClient

__all__ = ["ControlClient"]


def __getattr__(name: str) -> Any:
    if name != "ControlClient":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from atm.client.control import ControlClient

    return ControlClient
