"""The target server: an honest HTTP/1.1 server that does what it is told and records every request exactly.

It stands on `errors`, httptools and (where installed) uvloop alone, and runs in a process of its own. Start reading
with `router.py` (what a route is), `exchange.py` (what a route can do) and `connection.py` (the hot path);
`target.py` is the side that tests hold.

    a small shop    /users  /orders  /orders/{id}
    plain           /  /fixed  /delay/{ms}  /lognormal  /bimodal  /status  /status/{code}
                    /echo  /echo/raw  /headers  /redirect/{n}  /redirect/loop  /ratelimit  /health
    bodies          /chunked  /gzip  /deflate  /bytes/{n}  /slow  /until-close  /early-hints  /keep-alive/{n}
    credentials     /auth/bearer  /auth/oauth  /auth/basic  /auth/key  /auth/jwt  /oauth/token
    misbehaviour    /close  /reset  /half  /garbage  /endless-header  /wrong-length  /never  /early-answer  /raw
    measurement     /__stats__  /__record__  /__reset__  /__stall__  /__stalls__  /__tokens__  /__captured__

Parameters and meaning of each: `docs/reference/target-server.md`, whose tables `route_table.markdown()` makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atm.testing.target_server.foreground import serve
    from atm.testing.target_server.record import Outcome, RequestRow, RouteStats, Stats
    from atm.testing.target_server.target import CapturedRequest, Freeze, TargetServer

__all__ = ["CapturedRequest", "Freeze", "Outcome", "RequestRow", "RouteStats", "Stats", "TargetServer", "serve"]

_HOMES = {
    "CapturedRequest": "target",
    "Freeze": "target",
    "Outcome": "record",
    "RequestRow": "record",
    "RouteStats": "record",
    "Stats": "record",
    "TargetServer": "target",
    "serve": "foreground",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
