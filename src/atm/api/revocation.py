"""End long responses (event streams, WebSockets, downloads) when their key or session is revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from atm.errors import AtmError

RECHECK_SECONDS = 0.8


async def while_admitted(work: Awaitable[None], is_admitted: Callable[[], Awaitable[bool]]) -> bool:
    """Await `work`, and cancel it if `is_admitted` becomes false; return whether it completed.

    Checks every `RECHECK_SECONDS`, so short requests cost nothing. While the storage is unavailable, nothing is ended.
    """
    task = asyncio.current_task()
    assert task is not None
    lost = False
    watching: list[asyncio.Task[None]] = []

    async def watch() -> None:
        nonlocal lost
        while True:
            try:
                if not await is_admitted():
                    lost = True
                    task.cancel()
                    return
            except AtmError:
                pass
            await asyncio.sleep(RECHECK_SECONDS)

    loop = asyncio.get_running_loop()
    first = loop.call_later(RECHECK_SECONDS, lambda: watching.append(loop.create_task(watch())))
    try:
        await work
    except asyncio.CancelledError:
        if not lost or task.uncancel():
            raise
        return False
    finally:
        first.cancel()
        for watcher in watching:
            watcher.cancel()
    return True
