"""Asking the storage of this machine one thing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from atm.storage import StorageInterface

_Found = TypeVar("_Found")


def on_storage(question: Callable[[StorageInterface], Awaitable[_Found]]) -> _Found:
    """Open the storage that the settings name, ask, close it.

    Raises SettingsError, SchemaError, StorageUnavailableError, and what the question raises.
    """

    async def ask() -> _Found:
        from atm.config import load_settings
        from atm.storage import open_storage

        storage = await open_storage(load_settings())
        try:
            return await question(storage)
        finally:
            await storage.close()

    return asyncio.run(ask())


def change_storage(
    change: Callable[[StorageInterface], Awaitable[_Found]],
    action: str,
    described: Callable[[_Found], tuple[str, str]] = lambda _: ("", ""),
) -> _Found:
    """The same for something that changes it: written down in the audit log, as done by this account.

    `described` gives the id of the object and a detail, of what came of it.
    """

    async def question(storage: StorageInterface) -> _Found:
        from datetime import UTC, datetime

        from atm.storage.audit import shell_entry

        found = await change(storage)
        object_id, detail = described(found)
        await storage.audit.append(shell_entry(action, object_id, datetime.now(UTC), detail))
        return found

    return on_storage(question)
