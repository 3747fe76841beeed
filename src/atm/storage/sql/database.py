"""Database engine with read and write transactions, and translation of driver errors.

SQLite uses WAL, so that readers and the writer do not block each other; writes take the write lock at the start (BEGIN
IMMEDIATE), because a transaction that reads first and writes later fails at once if another one was faster; commits are
on disk (synchronous=FULL) before they are acknowledged. No transaction stays open between two calls.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, InterfaceError, SQLAlchemyError, StatementError

from atm.errors import ConflictError, Problem, SchemaError, SettingsError, StorageUnavailableError
from atm.storage.sql.connection import AsyncConnection, AsyncEngine

BUSY_SECONDS = 10.0
"""How long a write waits for a write of another process, on SQLite."""
_CONNECT_SECONDS = 5.0
_CLAIMS_LOCK = 0x61746D01
"""The advisory lock that serialises claims on PostgreSQL."""
_FILES_LOCK = 0x61746D03
"""The advisory lock that serialises changes of files; 0x61746D02 is that of migrations."""


class Database:
    """An engine with dialect-specific locking, and `read` and `write` transactions."""

    def __init__(self, url: URL, *, echo: bool = False, migrating: bool = False) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._opened: list[aiosqlite.Connection] = []
        """SQLite connections whose threads may still be running."""
        self.engine: AsyncEngine = self._sqlite(echo, migrating) if self.is_sqlite else _postgresql(url, echo)

    @property
    def kind(self) -> str:
        return "sqlite" if self.is_sqlite else "postgresql"

    @property
    def location(self) -> str:
        """A path, or host and database, without password."""
        if self.is_sqlite:
            return self.url.database or ":memory:"
        return f"{self.url.host or 'localhost'}:{self.url.port or 5432}/{self.url.database or ''}"

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a read-only transaction on one snapshot of the database."""
        with self.translated():
            async with self.engine.connect() as connection:
                if not self.is_sqlite:
                    # One snapshot for several statements; SQLite always does that.
                    await connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that commits when the block ends, and rolls back when it raises."""
        with self.translated():
            async with self.engine.connect() as connection:
                await connection.execution_options(atm_write=True)
                async with connection.begin():
                    yield connection

    async def lock_claims(self, connection: AsyncConnection) -> None:
        """Lock out other claims until the end of the transaction. A no-op on SQLite, which has only one writer."""
        if not self.is_sqlite:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_CLAIMS_LOCK})"))

    async def lock_files(self, connection: AsyncConnection) -> None:
        """Lock out other changes of the files of tests until the end of the transaction; otherwise as `lock_claims`."""
        if not self.is_sqlite:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_FILES_LOCK})"))

    async def close(self) -> None:
        await self.engine.dispose()
        # A cancelled call continues in its connection's thread, which notifies the event loop when it is done.
        left = [connection for connection in self._opened if connection._thread.is_alive()]
        for connection in left:
            connection.stop()
        for connection in left:
            await asyncio.to_thread(connection._thread.join, BUSY_SECONDS)
        self._opened.clear()

    def _sqlite(self, echo: bool, migrating: bool) -> AsyncEngine:
        options = {"timeout": BUSY_SECONDS, "async_creator_fn": self._open}
        engine = AsyncEngine(self.url, echo=echo, connect_args=options)

        @event.listens_for(engine.sync_engine, "connect")
        def prepare(connection: Any, _record: Any) -> None:
            # Disables the driver's own transactions: `begin` below starts them.
            connection.isolation_level = None
            cursor = connection.cursor()
            # A migration replaces tables by changed copies: dropping the old ones must not cascade.
            cursor.execute(f"PRAGMA foreign_keys={'OFF' if migrating else 'ON'}")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA cache_size=-16384")
            cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Connection) -> None:
            writes = connection.get_execution_options().get("atm_write", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        return engine

    def _open(self, *arguments: Any, **options: Any) -> aiosqlite.Connection:
        connection = aiosqlite.connect(*arguments, **options)
        # The thread of a connection must not keep the process alive.
        connection._thread.daemon = True
        self._opened = [opened for opened in self._opened if opened._thread.is_alive()] + [connection]
        return connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Translate driver errors to StorageUnavailableError, SchemaError or ConflictError, except IntegrityError."""
        try:
            yield
        except IntegrityError:
            raise
        except _INVALID_VALUES as error:
            raise _invalid(error) from error
        except (DBAPIError, InterfaceError, StatementError) as error:
            if isinstance(error.orig, _INVALID_VALUES) or _sqlstate(error).startswith(_DATA_EXCEPTION):
                raise _invalid(error.orig or error) from error
            raise self._translation(str(error.orig or error), error) from error
        except (TimeoutError, SQLAlchemyError, OSError) as error:
            raise self._translation(str(error), error) from error

    def _translation(self, message: str, error: BaseException) -> StorageUnavailableError | SchemaError:
        lower = message.lower()
        if self.is_sqlite and "unable to open" in lower and _is_read_only(Path(self.location)):
            # Reads fail too, as readers need to write the shared-memory file beside the database.
            lower = "readonly database"
        state = _sqlstate(error)
        for phrases, states, what, code, hint in _FAILURES:
            if (state and state in states) or any(phrase in lower for phrase in phrases):
                problem = Problem(what, code, place=self.location, hint=hint)
                return SchemaError(problem) if code == "schema_missing" else StorageUnavailableError(problem)
        first = message.splitlines()[0][:200] if message else type(error).__name__
        hint = "is the server running, and is ATM_DATABASE_URL right?" if not self.is_sqlite else ""
        return StorageUnavailableError(
            Problem(f"the database does not respond: {first}", "storage_unavailable", place=self.location, hint=hint)
        )


_FAILURES: tuple[tuple[tuple[str, ...], tuple[str, ...], str, str, str], ...] = (
    (
        ("disk is full", "no space left"),
        ("53100",),
        "no space left on the disk of the history",
        "storage_full",
        "free some space, or prune: atm db prune",
    ),
    (
        ("readonly database", "read-only", "attempt to write a readonly"),
        ("25006",),
        "the history cannot be written",
        "storage_read_only",
        "check the permissions of the file and its directory, and how the disk is mounted",
    ),
    (
        ("database is locked", "database table is locked"),
        ("55P03",),
        f"another program has been writing to the history for {BUSY_SECONDS:.0f} s",
        "storage_busy",
        "try again; a backup program may hold the file",
    ),
    (
        ("unable to open database file",),
        (),
        "the history cannot be opened",
        "storage_unavailable",
        "check that the directory exists, and its permissions",
    ),
    (
        ("file is not a database", "malformed", "disk i/o error", "disk image"),
        ("XX001", "XX002"),
        "the history's file is damaged",
        "storage_damaged",
        "restore a copy (there is one beside it for each upgrade), or move it away and start with a new one",
    ),
    (
        ("no such table", "no such column", "undefined table"),
        ("42P01", "42703"),
        "the database lacks a table or a column of this version",
        "schema_missing",
        "atm db upgrade",
    ),
    (
        ("password authentication failed", "no pg_hba.conf entry"),
        ("28P01", "28000"),
        "the database server refuses this user",
        "storage_refused",
        "check user and password in ATM_DATABASE_URL",
    ),
    (
        (),
        ("3D000",),
        "the database server has no database of this name",
        "storage_unavailable",
        "create it with createdb",
    ),
)


_INVALID_VALUES = (OverflowError, UnicodeError)
"""Raised by drivers for values that they cannot encode: a time or number out of range, invalid text."""
_DATA_EXCEPTION = "22"
"""The SQLSTATE class of values that a database refuses."""


def _sqlstate(error: BaseException) -> str:
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def _invalid(error: BaseException) -> ConflictError:
    what = f"a value cannot be stored or searched for ({type(error).__name__}): out of range, or invalid text"
    return ConflictError(Problem(what, "invalid_value"))


def _is_read_only(path: Path) -> bool:
    return path.exists() and not os.access(path.parent, os.W_OK)


def sqlite_url(path: Path) -> URL:
    """Return the URL of an SQLite file."""
    return URL.create("sqlite+aiosqlite", database=str(path))


def database_url(value: str) -> URL:
    """Return ATM_DATABASE_URL with our driver. Raises SettingsError."""
    try:
        url = make_url(value)
    except ArgumentError as error:
        raise _unusable("is not a URL") from error
    backend = url.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+asyncpg")
    if backend == "sqlite" and url.database:
        return url.set(drivername="sqlite+aiosqlite")
    raise _unusable(f"names {backend}, which is neither postgresql nor an sqlite file")


def _unusable(what: str) -> SettingsError:
    hint = "postgresql://user:password@host/database, or sqlite:///path/to/file"
    return SettingsError(Problem(f"ATM_DATABASE_URL {what}", "invalid_database_url", hint=hint))


def _postgresql(url: URL, echo: bool) -> AsyncEngine:
    return AsyncEngine(
        url,
        echo=echo,
        # After a restart of the server the pool contains dead connections.
        pool_pre_ping=True,
        connect_args={"timeout": _CONNECT_SECONDS, "server_settings": {"application_name": "atm", "timezone": "UTC"}},
    )
