"""Run history behind one protocol: the storage of this machine, or a server.

`open_history(server)` chooses. Storage and httpx are imported only when they are opened, to keep other commands fast.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from atm.cli.history.base import Filters, History

if TYPE_CHECKING:
    from atm.config import Settings

__all__ = ["Filters", "History", "open_history", "with_history"]

_Result = TypeVar("_Result")


@asynccontextmanager
async def open_history(server: str | None, settings: Settings | None = None) -> AsyncIterator[History]:
    """Open the history of `server`, or of this machine if `server` is empty.

    Raises SettingsError, ApiRefusedError, SchemaError and StorageUnavailableError.
    """
    from atm.config import load_settings

    settings = settings or load_settings()
    if server:
        from atm.cli.history.server import ServerHistory
        from atm.client import ControlClient

        async with ControlClient(server, settings.key_for(server)) as client:
            yield ServerHistory(client)
        return
    import asyncio

    from atm.cli.history.this_machine import MachineHistory
    from atm.runs.local_history import pending, wait_until_stored
    from atm.storage import open_storage

    storage = await open_storage(settings)
    try:
        spools = settings.data_dir / "spool"
        await asyncio.to_thread(wait_until_stored, spools)
        if pending(spools):
            from atm.runs.local_recovery import recover_local_runs

            await recover_local_runs(storage, spools)
        yield MachineHistory(storage, spools)
    finally:
        await storage.close()


def with_history(server: str | None, work: Callable[[History], Awaitable[_Result]]) -> _Result:
    """Open the history, run `work` on it, close it. Raises the errors of `open_history` and of `work`."""
    import asyncio

    async def run() -> _Result:
        async with open_history(server) as history:
            return await work(history)

    return asyncio.run(run())
