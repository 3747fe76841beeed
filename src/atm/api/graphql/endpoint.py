"""The route `/graphql`. Strawberry is imported in a thread at the first request, to keep the start fast."""

from __future__ import annotations

import asyncio
from importlib import import_module

from fastapi import FastAPI
from starlette.routing import Match, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from atm.api.request_head import GRAPHQL, is_graphql_page


class Endpoint:
    """Loads the view once."""

    def __init__(self) -> None:
        self._loading = asyncio.Lock()
        self._view: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._loading:
            if self._view is None:
                module = await asyncio.to_thread(import_module, "atm.api.graphql.view")
                self._view = module.VIEW
        await self._view(scope, receive, send)


class _OperationRoute(Route):
    """Leaves the page for people to the dashboard."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if is_graphql_page(scope):
            return Match.NONE, {}
        match, child = super().matches(scope)
        # For the audit log, which knows routes by name.
        return match, {**child, "route": self}


def install(app: FastAPI) -> None:
    """Add the route to the app, before the dashboard."""
    endpoint = Endpoint()
    app.router.routes.append(_OperationRoute(GRAPHQL, endpoint, methods=["GET", "POST"], name="graphql"))
    app.router.routes.append(WebSocketRoute(GRAPHQL, endpoint, name="graphql_ws"))
