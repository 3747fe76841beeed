"""Routes that FastAPI analyses when the first request for them arrives.

It would analyse each of them twice: when its module is imported, and when it is added to the app.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.params import Depends
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import compile_path


class LateRoute(APIRoute):
    """Knows its path, name and methods; the other attributes come with the analysis, when one of them is read."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.path = path
        self.endpoint = endpoint
        self.options = options
        """Those of `APIRoute`."""
        self.name = options["name"] or endpoint.__name__
        self.methods = {method.upper() for method in options["methods"]}
        self._analysis = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        """Return an attribute that is not there before the analysis."""
        if name.startswith("__"):
            raise AttributeError(name)
        if name in ("path_regex", "path_format", "param_convertors"):
            self.path_regex, self.path_format, self.param_convertors = compile_path(self.path)
        else:
            with self._analysis:
                if name not in vars(self):
                    super().__init__(self.path, self.endpoint, **self.options)
        if name not in vars(self):
            raise AttributeError(name)
        return vars(self)[name]


class Routes(APIRouter):
    """The routes of one module, to be added to an app."""

    def __init__(self, tag: str) -> None:
        super().__init__(tags=[tag], route_class=LateRoute)

    def add_to(self, app: FastAPI, *, prefix: str = "", dependencies: Sequence[Depends]) -> None:
        """Add them to the app, each with `dependencies` before its own."""
        for route in self.routes:
            if isinstance(route, LateRoute):
                options = {**route.options, "dependencies": [*dependencies, *route.options["dependencies"]]}
                del options["dependency_overrides_provider"]
                app.router.add_api_route(prefix + route.path, route.endpoint, **options, route_class_override=LateRoute)
            elif isinstance(route, APIWebSocketRoute):
                needed = [*dependencies, *route.dependencies]
                app.router.add_api_websocket_route(prefix + route.path, route.endpoint, route.name, dependencies=needed)
