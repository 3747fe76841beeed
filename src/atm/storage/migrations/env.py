"""Alembic's entry point, run by the program with its connection, or by `alembic` in a checkout."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from atm.config import load_settings
from atm.errors import AtmError
from atm.private_files import make_directory
from atm.storage.sql.database import Database
from atm.storage.sql.schema import url_of
from atm.storage.sql.tables import Moment, metadata


def render_item(kind: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """Render our own type as its database type, so that migrations do not depend on our code."""
    del autogen_context
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Moment) else False


def migrate(connection: Connection) -> None:
    """Run the requested migrations in the caller's transaction."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_item=render_item,
        # SQLite supports few ALTERs: Alembic copies the table instead.
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


def url_from_environment() -> URL:
    """Return the database URL of the environment, creating the directory of an SQLite file.

    Raises CommandError, which Alembic prints as one line.
    """
    try:
        url = url_of(load_settings())
        if url.get_backend_name() == "sqlite" and url.database:
            make_directory(Path(url.database).parent)
    except AtmError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"the data directory cannot be created: {error}") from None
    return url


async def migrate_from_environment() -> None:
    """Migrate the database of the environment. Raises CommandError."""
    database = Database(url_from_environment(), migrating=True)
    try:
        async with database.write() as connection:
            await connection.run_sync(migrate)
    except AtmError as error:
        raise CommandError(str(error)) from None
    finally:
        await database.close()


connection = context.config.attributes.get("connection")
if connection is not None:
    migrate(connection)
elif context.is_offline_mode():
    context.configure(url=url_from_environment(), target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(migrate_from_environment())
