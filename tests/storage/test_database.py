"""Connections of a database, and what is left of them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from sqlalchemy import text

from atm.storage.sql.database import Database, sqlite_url


def test_calls_that_were_cancelled_have_ended_when_a_database_is_closed(tmp_path: Path) -> None:
    async def scenario(turns: int) -> None:
        database = Database(sqlite_url(tmp_path / "atm.db"))

        async def ask() -> None:
            async with database.read() as connection:
                await connection.execute(text("SELECT 1"))

        asking = asyncio.create_task(ask())
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await database.close()

    before = set(threading.enumerate())
    # Cancelled at another point each time: while it connects, begins, asks, or ends. A thread that then speaks to an
    # event loop that is gone raises, which pytest takes for a failure.
    for turns in range(60):
        asyncio.run(scenario(turns))
        assert set(threading.enumerate()) <= before
