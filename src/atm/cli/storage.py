"""Run one operation on the storage of this machine, with an audit entry if it changes something."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from atm.storage import StorageInterface

_Result = TypeVar("_Result")


def on_storage(work: Callable[[StorageInterface], Awaitable[_Result]]) -> _Result:
    """Open the storage of the settings, run `work` on it, close it.

    Raises SettingsError, SchemaError, StorageUnavailableError, and the errors of `work`.
    """

    async def run() -> _Result:
        from atm.config import load_settings
        from atm.storage import open_storage

        storage = await open_storage(load_settings())
        try:
            return await work(storage)
        finally:
            await storage.close()

    return asyncio.run(run())


def change_storage(
    change: Callable[[StorageInterface], Awaitable[_Result]],
    action: str,
    described: Callable[[_Result], tuple[str, str]] = lambda _: ("", ""),
) -> _Result:
    """Like `on_storage`, for a change: add an entry to the audit log, with this account as the actor.

    `described` maps the result to the id of the changed object and a detail.
    """

    async def work(storage: StorageInterface) -> _Result:
        from datetime import UTC, datetime

        from atm.storage.audit import shell_entry

        result = await change(storage)
        object_id, detail = described(result)
        await storage.audit.append(shell_entry(action, object_id, datetime.now(UTC), detail))
        return result

    return on_storage(work)
