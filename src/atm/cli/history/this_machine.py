"""`History` of this machine: its storage, and the runs of `atm run` that are in progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path

from atm.cli.history.local import StorageHistory
from atm.errors import ConflictError, NotFoundError, Problem
from atm.models.control.runs import ListChange, RunView
from atm.models.events import AnyRunEvent
from atm.models.outcome import RunStatus
from atm.runs.events import from_stored
from atm.runs.local_recovery import recover_local_runs
from atm.runs.local_runs import LocalRuns
from atm.runs.views import run_view, summary_view
from atm.storage import StorageInterface
from atm.storage.records import Run

POLL_SECONDS = 0.5
STORE_POLLS = 120
"""How often a run that has ended is waited for."""
POLLS_PER_RECOVERY = 4
"""How many polls pass before spools that no process holds are stored from here."""


class MachineHistory(StorageHistory):
    """`History` on a storage that the caller opens and closes, and on the spools in a directory."""

    def __init__(self, storage: StorageInterface, spools: Path) -> None:
        super().__init__(storage)
        self._spools = spools
        self._local_runs = LocalRuns(spools)

    async def run(self, run_id: str) -> RunView:
        run = await asyncio.to_thread(self._local_runs.get, run_id)
        if run is not None:
            return run_view(run)
        await self._until_stored(run_id)
        return await super().run(run_id)

    async def cancel(self, run_id: str, *, graceful: bool) -> RunStatus:
        if await asyncio.to_thread(self._local_runs.find, run_id) is not None:
            what = f"run {run_id[:8]} is in the foreground of another terminal"
            raise ConflictError(
                Problem(what, "foreground_run", hint="Press Ctrl-C there: once to stop, twice to cancel")
            )
        return await super().cancel(run_id, graceful=graceful)

    async def watch(self, run_id: str) -> AsyncIterator[AnyRunEvent]:
        last = 0
        local = await asyncio.to_thread(self._local_runs.find, run_id)
        if local is not None:
            in_progress = True
            while in_progress:
                # The state first: once the run has ended, what is read next is all of it, or the storage has the rest.
                in_progress = await asyncio.to_thread(local.is_in_progress)
                for event in await asyncio.to_thread(local.read):
                    last = event.sequence
                    yield from_stored(event)
                await asyncio.sleep(POLL_SECONDS)
            await self._until_stored(run_id)
        async with aclosing(self._stored_events(run_id, last)) as events:
            async for stored_event in events:
                yield stored_event

    async def changes(self) -> AsyncGenerator[ListChange, None]:
        shown: dict[str, Run] = {}
        async with aclosing(super().changes()) as stored:
            following = asyncio.ensure_future(anext(stored))
            try:
                while True:
                    await asyncio.wait({following}, timeout=POLL_SECONDS)
                    if following.done():
                        try:
                            yield following.result()
                        except StopAsyncIteration:
                            return
                        following = asyncio.ensure_future(anext(stored))
                    present = {run.id: run for run in await asyncio.to_thread(self._local_runs.read)}
                    for run in present.values():
                        if shown.get(run.id) != run:
                            yield ListChange(kind="run", id=run.id, run=summary_view(run.summary))
                    for run_id in shown.keys() - present.keys():
                        yield await self._after_end(run_id)
                    shown = present
            finally:
                following.cancel()
                with suppress(asyncio.CancelledError, StopAsyncIteration):
                    await following

    async def _after_end(self, run_id: str) -> ListChange:
        await self._until_stored(run_id)
        try:
            run = await self._storage.runs.get(run_id)
        except NotFoundError:
            return ListChange(kind="deleted", id=run_id)
        return ListChange(kind="run", id=run_id, run=summary_view(run.summary))

    async def _until_stored(self, run_id: str) -> None:
        """Wait for the process that stores the run after its end; store it here if there is none."""
        for poll in range(1, STORE_POLLS + 1):
            if not await asyncio.to_thread(self._local_runs.has_spool, run_id):
                return
            await asyncio.sleep(POLL_SECONDS)
            if poll % POLLS_PER_RECOVERY == 0:
                await recover_local_runs(self._storage, self._spools)
