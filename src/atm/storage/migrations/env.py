"""Alembic's entry: from the program, with a connection of its own, or from `alembic` in a checkout."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection

from atm.config import Settings
from atm.storage.sql.database import Database
from atm.storage.sql.schema import url_of
from atm.storage.sql.tables import Moment, metadata


def render_item(kind: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """Migrations stand by themselves: our own type is written as what it is in the database."""
    del autogen_context
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Moment) else False


def migrate(connection: Connection) -> None:
    """Run the migrations that were asked for, in a transaction of the caller's."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_item=render_item,
        # SQLite cannot alter most things: Alembic copies the table instead.
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


async def from_the_command_line() -> None:
    """Migrate the database that the environment names."""
    database = Database(url_of(Settings()), migrating=True)
    try:
        async with database.write() as connection:
            await connection.run_sync(migrate)
    finally:
        await database.close()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
elif context.is_offline_mode():
    context.configure(url=url_of(Settings()), target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(from_the_command_line())
