"""The part of an address that a route is found for: what is left below the path of a proxy (ASGI: `root_path`).

Proxies may or may not take their path off before they ask. `settle` makes one form of both, so that whoever reads the
scope later, the router among them, has nothing left to decide, and finds what the guard has judged.
"""

from __future__ import annotations

from starlette.types import Scope


def settle(scope: Scope, root_path: str = "") -> None:
    """Make `path` the root path (that of the server where none is given) and the route's path behind it."""
    root = (root_path or scope.get("root_path", "")).rstrip("/")
    scope["root_path"] = root
    scope["path"] = root + _below(scope["path"], root)


def route_path(scope: Scope) -> str:
    """What a route is found for; empty for the root itself where that was asked for without a slash."""
    return _below(scope["path"], scope.get("root_path", "").rstrip("/"))


def _below(path: str, root: str) -> str:
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :]
    # `OPTIONS *` has none.
    return path if path.startswith("/") else f"/{path}"
