"""Connections for coroutines, as those of `sqlalchemy.ext.asyncio`, whose import also imports SQLAlchemy's ORM.

The import of the ORM takes as long as that of all of SQLAlchemy that we use.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, create_engine
from sqlalchemy.engine import URL
from sqlalchemy.util import greenlet_spawn

_Value = TypeVar("_Value")


class AsyncConnection:
    """A connection whose calls run in a greenlet, which switches back to the event loop where its driver waits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[*tuple[Any, ...]]:
        """Execute a statement and return its result, all rows of which have been read."""
        return await greenlet_spawn(self._connection.execute, statement, parameters)

    async def execution_options(self, **options: Any) -> None:
        """Set options of all later statements."""
        await greenlet_spawn(self._connection.execution_options, **options)

    async def run_sync(self, function: Callable[[Connection], _Value]) -> _Value:
        """Call a function that uses the connection without `await`."""
        return await greenlet_spawn(function, self._connection)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[None]:
        """Open a transaction that commits when the block ends, and rolls back when it raises."""
        transaction = await greenlet_spawn(self._connection.begin)
        transaction.__enter__()
        try:
            yield
        except BaseException:
            await greenlet_spawn(transaction.__exit__, *sys.exc_info())
            raise
        await greenlet_spawn(transaction.__exit__, None, None, None)


class AsyncEngine:
    """The pool of connections to one database."""

    def __init__(self, url: URL, **options: Any) -> None:
        """`url` names a driver for coroutines; the options are those of `create_engine`."""
        self.sync_engine = create_engine(url, **options)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection, which is closed when the block ends."""
        connection = await greenlet_spawn(self.sync_engine.connect)
        try:
            yield AsyncConnection(connection)
        finally:
            await _completed(greenlet_spawn(connection.close))

    async def dispose(self) -> None:
        """Close the connections that are not in use."""
        await greenlet_spawn(self.sync_engine.dispose)


async def _completed(closing: Coroutine[Any, Any, None]) -> None:
    """Wait until it is done, also if this task is cancelled meanwhile."""
    task = asyncio.create_task(closing)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
