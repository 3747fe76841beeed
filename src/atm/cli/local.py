"""The history of this machine, as the commands about runs ask for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from atm.config import Settings
from atm.errors import ConflictError, Problem
from atm.models.control import RunAccepted, RunList, RunView, StorageStatusView
from atm.models.events import EVENTS, AnyRunEvent
from atm.models.outcome import RunStatus
from atm.models.run import RunResult
from atm.runs.service import RunService
from atm.runs.views import run_view, summary_view
from atm.runs.watching import Watcher
from atm.storage import StorageInterface
from atm.storage.records import RunQuery
from atm.storage.seal import Sealer


class LocalDoor:
    """Storage, asked as a server would be."""

    def __init__(self, storage: StorageInterface, settings: Settings) -> None:
        self._storage = storage
        self._service = RunService(storage, settings, Sealer(settings))

    async def runs(self, **filters: Any) -> RunList:
        """A page of runs, newest first."""
        given = {name: value for name, value in filters.items() if value is not None}
        if "status" in given:
            given["status"] = RunStatus(given["status"])
        for name in ("since", "until"):
            if isinstance(given.get(name), str):
                given[name] = datetime.fromisoformat(given[name])
        query = RunQuery(**given)
        page = await self._storage.runs.page(query)
        return RunList(
            runs=[summary_view(run) for run in page.runs],
            total=page.total,
            limit=query.limit,
            offset=query.offset,
            next=None,
        )

    async def run(self, run_id: str) -> RunView:
        """One run. Raises NotFoundError."""
        return run_view(await self._storage.runs.get(run_id))

    async def result(self, run_id: str) -> RunResult:
        """Its result. Raises NotFoundError, ConflictError `no_result`."""
        result = await self._storage.runs.result(run_id)
        if result is None:
            run = await self._storage.runs.get(run_id)
            why = f": {run.summary.error_message}" if run.summary.error_message else ""
            raise ConflictError(Problem(f"run {run_id} is {run.status} and has no result{why}", "no_result"))
        return result

    async def cancel(self, run_id: str, *, graceful: bool = False) -> RunAccepted:
        """Ask it to end. Raises NotFoundError."""
        status = await self._service.cancel(run_id, graceful=graceful)
        said = "the run was asked to end" if status is RunStatus.RUNNING else f"the run is {status}"
        return RunAccepted(id=run_id, status=status, message=said)

    async def delete(self, run_id: str) -> None:
        """Delete it. Raises NotFoundError, ConflictError."""
        await self._service.delete(run_id)

    async def watch(self, run_id: str, after: int = 0) -> AsyncIterator[AnyRunEvent]:
        """Every event of it up to its end. Raises NotFoundError."""
        watcher = Watcher(self._storage)
        try:
            async for told in watcher.watch(run_id, after):
                yield EVENTS.validate_json(told.json)
        finally:
            await watcher.close()

    async def storage_status(self) -> StorageStatusView:
        """What the storage says about itself."""
        status = await self._storage.upkeep.status()
        return StorageStatusView(
            kind=status.kind,
            location=status.location,
            schema_version=status.schema_version,
            size_bytes=status.size_bytes,
            runs=dict(status.runs),
        )
