"""The history that a command looks into: the storage of this machine, or a server, behind one contract.

`opened(server)` chooses. Storage and httpx are imported when they are opened, so that no other command pays for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from atm.cli.history.base import Filters, History

if TYPE_CHECKING:
    from atm.config import Settings

__all__ = ["Filters", "History", "asked", "opened"]

_Found = TypeVar("_Found")


@asynccontextmanager
async def opened(server: str | None, settings: Settings | None = None) -> AsyncIterator[History]:
    """The history on `server`, or that of this machine where it is empty.

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

    from atm.cli.history.local import StorageHistory
    from atm.runs.local_history import pending, wait_until_stored
    from atm.storage import open_storage

    storage = await open_storage(settings)
    try:
        spools = settings.data_dir / "spool"
        await asyncio.to_thread(wait_until_stored, spools)
        if pending(spools):
            from atm.runs.local_recovery import recover_local_runs

            await recover_local_runs(storage, spools)
        yield StorageHistory(storage)
    finally:
        await storage.close()


def asked(server: str | None, question: Callable[[History], Awaitable[_Found]]) -> _Found:
    """Open the history, ask it one thing, close it. Raises what `opened` and the question raise."""
    import asyncio

    async def ask() -> _Found:
        async with opened(server) as history:
            return await question(history)

    return asyncio.run(ask())
