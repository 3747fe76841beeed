"""Check and migrate the schema revision of a database.

The embedded SQLite file is upgraded automatically, under a file lock and after a backup. A database server is upgraded
only by command, and refused while its schema is behind.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import URL

from atm.config import Settings
from atm.errors import Problem, SchemaError
from atm.private_files import create_file, make_directory, remove_others_permissions
from atm.storage.locks import locked_async
from atm.storage.migrations import HEAD, REVISIONS
from atm.storage.sql.database import Database, database_url, sqlite_url
from atm.storage.sql.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS_LOCK = 0x61746D02


def url_of(settings: Settings) -> URL:
    """Return the database URL of the settings. Raises SettingsError."""
    if settings.database_url is not None:
        return database_url(settings.database_url.get_secret_value())
    return sqlite_url(settings.database_file)


def revision_of(connection: Connection) -> str | None:
    """Return the revision of a database; None for an empty one. Raises SchemaError for a foreign one."""
    names = set(inspect(connection).get_table_names())
    if "alembic_version" in names:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if version is None else str(version)
    if names:
        examples = ", ".join(sorted(names)[:3])
        what = f"the database has tables of another program ({examples}, …)"
        raise SchemaError(Problem(what, "schema_foreign", hint="use an empty database"))
    return None


def problem_with(revision: str | None, location: str) -> Problem | None:
    """Return the problem of using a database of a revision with this version, or None."""
    if revision == HEAD:
        return None
    if revision is None or revision in REVISIONS:
        state = "is empty" if revision is None else f"has revision {revision}"
        what = f"the database {state}, this version needs {HEAD}"
        return Problem(what, "schema_behind", place=location, hint="atm db upgrade")
    what = f"the database has revision {revision} of a newer version; this version knows up to {HEAD}"
    hint = "install the newer version again, or use another database"
    return Problem(what, "schema_newer", place=location, hint=hint)


async def check(database: Database) -> None:
    """Check that the database has the revision of this version. Raises SchemaError."""
    problem = problem_with(await current(database), database.location)
    if problem is not None:
        raise SchemaError(problem)


async def current(database: Database) -> str | None:
    """Return the current revision; None for an empty database. Raises SchemaError for a foreign one."""
    async with database.read() as connection:
        return await connection.run_sync(revision_of)


async def upgrade(url: URL, revision: str = "head") -> None:
    """Upgrade a database to a revision, in one transaction. Raises SchemaError for one of a newer version."""
    await _migrate(url, revision, up=True)


async def downgrade(url: URL, revision: str) -> None:
    """Downgrade a database to a revision (`base`: empty)."""
    await _migrate(url, revision, up=False)


async def _migrate(url: URL, revision: str, *, up: bool) -> None:
    from alembic import command

    def run(connection: Connection) -> None:
        if not database.is_sqlite:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATIONS_LOCK})"))
        problem = problem_with(revision_of(connection), database.location)
        if problem is not None and problem.code == "schema_newer":
            raise SchemaError(problem)
        config = alembic_config()
        config.attributes["connection"] = connection
        (command.upgrade if up else command.downgrade)(config, revision)

    database = Database(url, migrating=True)
    try:
        async with database.write() as connection:
            await connection.run_sync(run)
    finally:
        await database.close()


def alembic_config() -> Config:
    """Return Alembic's configuration for the migrations in this package, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


async def prepare_file(path: Path) -> None:
    """Create or upgrade the embedded database. Safe for concurrent processes.

    An existing database is first copied to `<name>.<revision>-<time>.backup`. Raises SchemaError,
    StorageUnavailableError.
    """
    url = sqlite_url(path)
    database = Database(url)
    try:
        with database.translated():
            if _prepare_paths(path) and not problem_with(await current(database), str(path)):
                return
            # A lock file, as the database's own lock would be released between backup and migration.
            async with locked_async(path.with_name(f"{path.name}.lock")):
                create_file(path)
                revision = await current(database)
                problem = problem_with(revision, str(path))
                if problem is None:
                    return
                if problem.code != "schema_behind":
                    raise SchemaError(problem)
                if revision is None:
                    _use_write_ahead_log(path)
                    await _create(url)
                else:
                    _copy(path, revision)
                    await upgrade(url)
    finally:
        await database.close()


async def _create(url: URL) -> None:
    """Create a new database from the table definitions; a test checks that the migrations give the same schema.

    Faster than Alembic, which takes a second and seven megabytes of memory.
    """

    def create(connection: Connection) -> None:
        metadata.create_all(connection)
        version = "version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)"
        connection.execute(text(f"CREATE TABLE alembic_version ({version})"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})

    database = Database(url, migrating=True)
    try:
        async with database.write() as connection:
            await connection.run_sync(create)
    finally:
        await database.close()


def _prepare_paths(path: Path) -> bool:
    """Create the directory and restrict existing files; return whether the database exists."""
    make_directory(path.parent)
    exists = path.exists()
    for suffix in ("", "-wal", "-shm", "-journal"):
        remove_others_permissions(path.with_name(path.name + suffix))
    return exists


def _copy(path: Path, revision: str) -> None:
    target = path.with_name(f"{path.name}.{revision}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.backup")
    create_file(target)
    source, copy = sqlite3.connect(path), sqlite3.connect(target)
    try:
        source.backup(copy)
    finally:
        source.close()
        copy.close()


def _use_write_ahead_log(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
