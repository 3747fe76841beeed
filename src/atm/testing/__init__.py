"""Public test servers and fakes, for tests of this package and of yours: real bytes, real processes.

May import anything below the interfaces (CLI, API, MCP); imported only by tests, `atm demo`, `atm target` and the API's
demo. Start reading with `target_server/__init__.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atm.testing.http2_server.server import Http2Server
    from atm.testing.manual_clock import ManualClock
    from atm.testing.proxy_server.proxy import ProxyServer
    from atm.testing.target_server.target import TargetServer

__all__ = ["Http2Server", "ManualClock", "ProxyServer", "TargetServer"]

_HOMES = {
    "Http2Server": "http2_server.server",
    "ManualClock": "manual_clock",
    "ProxyServer": "proxy_server.proxy",
    "TargetServer": "target_server.target",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
