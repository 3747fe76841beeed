"""`History` on a server, over its Control API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import BinaryIO

from atm.cli.history.base import MOST_NAMED, Filters
from atm.client import ControlClient
from atm.errors import ConflictError, SpecError
from atm.models.control.runs import ListChange, RunList, RunSummaryView, RunView
from atm.models.control.storage import StorageStatusView
from atm.models.events import AnyRunEvent
from atm.models.outcome import RunStatus
from atm.models.run import RunResult


class ServerHistory:
    """`History` on a server."""

    def __init__(self, client: ControlClient) -> None:
        self.client = client

    @property
    def place(self) -> str:
        return self.client.url

    async def page(self, filters: Filters) -> RunList:
        return await self.client.runs(
            limit=filters.limit,
            name=filters.name,
            tag=filters.tag,
            status=filters.status,
            passed=filters.passed,
            outcome=filters.outcome,
            measurement=filters.measurement,
            since=filters.since,
            until=filters.until,
            text=filters.text,
        )

    async def beginning(self, prefix: str) -> Sequence[RunSummaryView]:
        try:
            page = await self.client.runs(begins=prefix, limit=MOST_NAMED + 1)
        except SpecError:
            # Not a valid prefix of an id.
            return []
        return [run for run in page.runs if run.id.startswith(prefix)]

    async def run(self, run_id: str) -> RunView:
        return await self.client.run(run_id)

    async def result(self, run_id: str) -> RunResult | None:
        try:
            return await self.client.result(run_id)
        except ConflictError:
            return None

    def watch(self, run_id: str) -> AsyncIterator[AnyRunEvent]:
        return self.client.watch(run_id)

    def changes(self) -> AsyncIterator[ListChange]:
        return self.client.changes()

    async def rerun(self, run_id: str) -> str:
        return (await self.client.rerun(run_id)).id

    async def cancel(self, run_id: str, *, graceful: bool) -> RunStatus:
        return (await self.client.cancel(run_id, graceful=graceful)).status

    async def delete(self, run_id: str) -> None:
        await self.client.delete(run_id)

    async def export_to(self, run_id: str, file: BinaryIO) -> None:
        async for chunk in self.client.export_run(run_id):
            file.write(chunk)

    async def import_from(self, file: BinaryIO, place: str, new_id: str | None) -> RunView:
        del place
        return await self.client.import_run(file.read(), new_id=new_id)

    async def status(self) -> StorageStatusView:
        return await self.client.storage_status()
