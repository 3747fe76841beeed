"""`History` on the storage of this machine, without a server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import BinaryIO

from atm.cli.history.base import MOST_NAMED, Filters
from atm.errors import ConflictError, Problem
from atm.models.control.runs import ListChange, RunList, RunSummaryView, RunView
from atm.models.control.storage import StorageStatusView
from atm.models.events import EVENTS, AnyRunEvent
from atm.models.outcome import RunStatus
from atm.models.run import RunResult
from atm.runs.views import run_view, summary_view
from atm.runs.watcher import Watcher
from atm.storage import StorageInterface
from atm.storage.audit import shell_entry
from atm.storage.bundle import export_run, import_run
from atm.storage.records import CancelRequest, RunQuery
from atm.storage.views import status_view


class StorageHistory:
    """`History` on a storage that the caller opens and closes."""

    def __init__(self, storage: StorageInterface, place: str = "the local history") -> None:
        self._storage = storage
        self.place = place

    async def page(self, filters: Filters) -> RunList:
        query = RunQuery(
            name=filters.name,
            tag=filters.tag,
            status=RunStatus(filters.status) if filters.status else None,
            passed=filters.passed,
            outcome=filters.outcome,
            measurement=filters.measurement,
            since=filters.since,
            until=filters.until,
            text=filters.text,
            limit=filters.limit,
        )
        page = await self._storage.runs.page(query)
        runs = [summary_view(run) for run in page.runs]
        return RunList(runs=runs, total=page.total, limit=filters.limit, offset=0, next=None)

    async def beginning(self, prefix: str) -> Sequence[RunSummaryView]:
        try:
            run_ids = await self._storage.runs.find(prefix, MOST_NAMED + 1)
        except ConflictError:
            # Not a valid prefix of an id.
            return []
        return [summary_view((await self._storage.runs.get(run_id)).summary) for run_id in run_ids]

    async def run(self, run_id: str) -> RunView:
        return run_view(await self._storage.runs.get(run_id))

    async def result(self, run_id: str) -> RunResult | None:
        return await self._storage.runs.result(run_id)

    async def watch(self, run_id: str) -> AsyncIterator[AnyRunEvent]:
        async with aclosing(self._stored_events(run_id)) as events:
            async for event in events:
                yield event

    async def _stored_events(self, run_id: str, after: int = 0) -> AsyncGenerator[AnyRunEvent, None]:
        watcher = Watcher(self._storage)
        try:
            async with aclosing(watcher.watch(run_id, after)) as events:
                async for event in events:
                    yield EVENTS.validate_json(event.json)
        finally:
            await watcher.close()

    async def changes(self) -> AsyncGenerator[ListChange, None]:
        watcher = Watcher(self._storage)
        try:
            async for changed in watcher.watch_list():
                for run in changed:
                    if isinstance(run, str):
                        yield ListChange(kind="deleted", id=run)
                    else:
                        yield ListChange(kind="run", id=run.id, run=summary_view(run))
        finally:
            await watcher.close()

    async def rerun(self, run_id: str) -> str:
        what = f"without a server nothing can start run {run_id[:8]} again in the background"
        hint = "Start `atm serve` and `atm top --server URL`, or use `atm run` in another terminal"
        raise ConflictError(Problem(what, "no_server", hint=hint))

    async def cancel(self, run_id: str, *, graceful: bool) -> RunStatus:
        how = CancelRequest.GRACEFUL if graceful else CancelRequest.NOW
        status = await self._storage.leases.request_cancel(run_id, how, datetime.now(UTC))
        await self._audit("run.cancel", run_id)
        return status

    async def delete(self, run_id: str) -> None:
        await self._storage.runs.delete(run_id)
        await self._audit("run.delete", run_id)

    async def export_to(self, run_id: str, file: BinaryIO) -> None:
        await export_run(self._storage, run_id, file)

    async def import_from(self, file: BinaryIO, place: str, new_id: str | None) -> RunView:
        view = run_view(await import_run(self._storage, file, new_id=new_id, place=place))
        await self._audit("run.import", view.id)
        return view

    async def _audit(self, action: str, run_id: str) -> None:
        await self._storage.audit.append(shell_entry(action, run_id, datetime.now(UTC)))

    async def status(self) -> StorageStatusView:
        return status_view(await self._storage.upkeep.status())
