"""Which revision a database has, and how it gets to the one that this version reads.

The embedded SQLite file upgrades itself, under a file lock and with a copy beside it first. A database server belongs
to someone: it is upgraded by command, and refused while it is behind.
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
    """The database that the settings name. Raises SettingsError."""
    if settings.database_url is not None:
        return database_url(settings.database_url.get_secret_value())
    return sqlite_url(settings.database_file)


def revision_of(connection: Connection) -> str | None:
    """The revision of a database; null for an empty one. Raises SchemaError for one that is not ours."""
    names = set(inspect(connection).get_table_names())
    if "alembic_version" in names:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if found is None else str(found)
    if names:
        some = ", ".join(sorted(names)[:3])
        what = f"the database holds tables of something else ({some}, …)"
        raise SchemaError(Problem(what, "schema_foreign", hint="name an empty database"))
    return None


def problem_with(revision: str | None, location: str) -> Problem | None:
    """What keeps this version from using a database of that revision, if anything does."""
    if revision == HEAD:
        return None
    if revision is None or revision in REVISIONS:
        have = "is empty" if revision is None else f"has revision {revision}"
        what = f"the database {have}, this version needs {HEAD}"
        return Problem(what, "schema_behind", place=location, hint="atm db upgrade")
    what = f"the database has revision {revision}, which a newer version made; this one knows up to {HEAD}"
    hint = "install the newer version again, or name another database"
    return Problem(what, "schema_newer", place=location, hint=hint)


async def check(database: Database) -> None:
    """Raises SchemaError unless the database has exactly the revision that this version reads."""
    problem = problem_with(await current(database), database.location)
    if problem is not None:
        raise SchemaError(problem)


async def current(database: Database) -> str | None:
    """The revision; null for an empty database. Raises SchemaError for one that is not ours."""
    async with database.read() as connection:
        return await connection.run_sync(revision_of)


async def upgrade(url: URL, revision: str = "head") -> None:
    """Bring a database to a revision, all steps or none. Raises SchemaError where a newer version made it."""
    await _migrate(url, revision, up=True)


async def downgrade(url: URL, revision: str) -> None:
    """Bring a database back to a revision (`base`: to nothing)."""
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
    """Alembic's configuration for the migrations in this package; it reads no file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


async def prepare_file(path: Path) -> None:
    """Make the embedded database, or bring it up to date. Safe from several processes at once.

    A file that has content is copied first, to `<name>.<revision>-<time>.backup`. Raises SchemaError,
    StorageUnavailableError.
    """
    url = sqlite_url(path)
    database = Database(url)
    try:
        with database.translated():
            if _made_room_for(path) and not problem_with(await current(database), str(path)):
                return
            # A lock beside the file: the database's own would be released between copy and migration.
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
                    await _make(url)
                else:
                    _copy(path, revision)
                    await upgrade(url)
    finally:
        await database.close()


async def _make(url: URL) -> None:
    """Make a new database straight from its tables; a test holds that the migrations lead to the same.

    Alembic would take a second and seven megabytes, in the process that has just measured something.
    """

    def make(connection: Connection) -> None:
        metadata.create_all(connection)
        version = "version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)"
        connection.execute(text(f"CREATE TABLE alembic_version ({version})"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})

    database = Database(url, migrating=True)
    try:
        async with database.write() as connection:
            await connection.run_sync(make)
    finally:
        await database.close()


def _made_room_for(path: Path) -> bool:
    """Make the folder; true when the file is there already."""
    make_directory(path.parent)
    exists = path.exists()
    for beside in ("", "-wal", "-shm", "-journal"):
        remove_others_permissions(path.with_name(path.name + beside))
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
