"""Context of resolvers: the connection, the caller, the services, and loaders that batch their queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import HTTPConnection
from strawberry.dataloader import DataLoader

from atm.api.auth import Principal
from atm.api.errors import ApiError
from atm.api.routes.runs import detailed_view
from atm.bootstrap import ControlPlane
from atm.errors import NotFoundError, Problem
from atm.models.control.base import SOURCE_HEADER
from atm.models.control.runs import RunSummaryView, RunView
from atm.models.run import RunResult
from atm.runs.views import summary_view
from atm.storage.errors import run_not_found
from atm.storage.records import Run, RunSource


class Context:
    """One HTTP request, or one WebSocket with all its operations."""

    def __init__(self, connection: HTTPConnection) -> None:
        self.connection = connection
        self.connection_params: dict[str, object] | None = None
        """The payload of `connection_init`, set by the library."""
        self.plane: ControlPlane = connection.app.state.plane
        # Without a cache, because a WebSocket lives long; loads of one moment are joined all the same.
        self.runs: DataLoader[str, RunView | NotFoundError] = DataLoader(self._views, cache=False)
        self.results: DataLoader[str, RunResult | None] = DataLoader(self._results, cache=False)

        self._newest: dict[int, DataLoader[str, list[RunSummaryView]]] = {}

    def newest(self, limit: int) -> DataLoader[str, list[RunSummaryView]]:
        """Return the loader of the newest runs by name."""

        async def load(names: list[str]) -> list[list[RunSummaryView]]:
            newest = await self.plane.storage.runs.newest(list(dict.fromkeys(names)), limit)
            return [[summary_view(run) for run in newest.get(name, ())] for name in names]

        if limit not in self._newest:
            self._newest[limit] = DataLoader(load, cache=False)
        return self._newest[limit]

    @property
    def principal(self) -> Principal:
        """The caller. Raises ApiError without one, as a second check behind the guard."""
        principal: Principal | None = self.connection.scope.get("state", {}).get("principal")
        if principal is None:
            raise ApiError(401, Problem("this server requires a valid key", "key_needed", hint="send it as X-API-Key"))
        return principal

    @property
    def source(self) -> RunSource:
        """The origin of the runs that this caller starts."""
        given = self.connection.headers.get(SOURCE_HEADER)
        return RunSource.MCP if given == RunSource.MCP else RunSource.API

    @property
    def request_id(self) -> str:
        return str(self.connection.scope.get("state", {}).get("request_id", ""))

    async def _views(self, ids: list[str]) -> Sequence[RunView | NotFoundError]:
        stored: dict[str, Run] = await self.plane.storage.runs.get_many(list(dict.fromkeys(ids)))
        views: dict[str, Any] = {run_id: await detailed_view(self.plane, run) for run_id, run in stored.items()}
        return [views.get(run_id) or run_not_found(run_id) for run_id in ids]

    async def _results(self, ids: list[str]) -> Sequence[RunResult | None]:
        results = await self.plane.storage.runs.results(list(dict.fromkeys(ids)))
        return [results.get(run_id) for run_id in ids]
