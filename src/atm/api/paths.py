"""The path used for routing: the request path below a proxy's prefix (ASGI: `root_path`).

Proxies may or may not strip their prefix. `normalise_path` converts both forms to one, so that the guard and the router
see the same path.
"""

from __future__ import annotations

from starlette.types import Scope


def normalise_path(scope: Scope, root_path: str = "") -> None:
    """Set `path` to the root path (by default the server's) followed by the route path."""
    root = (root_path or scope.get("root_path", "")).rstrip("/")
    scope["root_path"] = root
    scope["path"] = root + _below(scope["path"], root)


def route_path(scope: Scope) -> str:
    """Return the path used for routing; empty for the root without a trailing slash."""
    return _below(scope["path"], scope.get("root_path", "").rstrip("/"))


def _below(path: str, root: str) -> str:
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :]
    # `OPTIONS *` has no path.
    return path if path.startswith("/") else f"/{path}"
