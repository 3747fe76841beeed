"""Let `import locust` in a locustfile find our modules, also where Locust itself is installed."""

from __future__ import annotations

import sys
from types import ModuleType

from atm.code.locust.event import Events
from atm.code.locust.modules import modules


class LocustImports:
    """Inside the `with` block, `locust` and its modules are ours, with these events."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._before: dict[str, ModuleType] = {}

    def __enter__(self) -> None:
        self._before = _taken()
        sys.modules.update(modules(self._events))

    def __exit__(self, *_error: object) -> None:
        _taken()
        sys.modules.update(self._before)


def _taken() -> dict[str, ModuleType]:
    """Remove the modules of that name from those that are imported, and return them."""
    names = [name for name in sys.modules if name == "locust" or name.startswith("locust.")]
    return {name: sys.modules.pop(name) for name in names}
