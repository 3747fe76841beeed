"""The workers of a run in progress, from its newest interval event: storage keeps their seconds in events only."""

from __future__ import annotations

from atm.models.fleet_figures import WorkerSecond
from atm.storage import StorageInterface

_RECENT_EVENTS = 50
"""Events among which the newest interval is looked for; a second has one, and one for each sampled request."""


async def live_workers(storage: StorageInterface, run_id: str) -> tuple[WorkerSecond, ...]:
    """Return the workers in the last stored second; empty for a run in one process, and before its first second."""
    last = (await storage.series.written(run_id)).last_event
    for event in reversed(await storage.series.events(run_id, max(last - _RECENT_EVENTS, 0))):
        if event.kind == "interval":
            return tuple(WorkerSecond.from_json(worker) for worker in event.data.get("workers", ()))
    return ()
