"""The composition root: from settings to a storage, a service, a supervisor and a watcher that belong together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from atm.config import Settings
from atm.runs.service import RunService
from atm.runs.supervisor import Supervisor
from atm.runs.upkeep import pruned
from atm.runs.watching import Watcher
from atm.storage import StorageInterface, open_storage
from atm.storage.seal import Sealer


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Everything that a front door needs, on one event loop."""

    settings: Settings
    storage: StorageInterface
    sealer: Sealer
    runs: RunService
    watcher: Watcher


@asynccontextmanager
async def control_plane(settings: Settings) -> AsyncIterator[ControlPlane]:
    """Open the storage, claim and watch runs, until the end of the block; then runs go on or are cancelled, by setting.

    Raises SettingsError, SchemaError, StorageUnavailableError.
    """
    storage = await open_storage(settings)
    try:
        sealer = Sealer(settings)
        supervisor = Supervisor(storage, settings, sealer)
        runs = RunService(storage, settings, sealer, on_pending=supervisor.notify)
        watcher = Watcher(storage)
        supervisor.start()
        try:
            async with pruned(storage, settings):
                yield ControlPlane(settings, storage, sealer, runs, watcher)
        finally:
            await watcher.close()
            await supervisor.stop(cancel_runs=settings.cancel_runs_on_shutdown)
    finally:
        await storage.close()
