"""API keys on a database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from atm.access.names import look_of
from atm.storage.api_keys import ApiKey, Role
from atm.storage.errors import key_not_found, keys_in_use, name_taken
from atm.storage.records import checked_id
from atm.storage.result import dumps
from atm.storage.sql.database import Database
from atm.storage.sql.tables import api_keys


class SqlApiKeys:
    """The `ApiKeyStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ApiKey) -> None:
        checked_id(key.id)
        try:
            async with self._database.write() as connection:
                # Serialised, as look-alike names do not conflict in the database.
                await self._database.lock_claims(connection)
                in_use = select(api_keys.c.name).where(api_keys.c.revoked_at.is_(None))
                if look_of(key.name) in {look_of(name) for name in (await connection.execute(in_use)).scalars()}:
                    raise name_taken("an API key", key.name)
                await connection.execute(insert(api_keys).values(_key_values(key)))
        except IntegrityError as error:
            raise name_taken("an API key", key.name) from error

    async def by_hash(self, key_hash: str) -> ApiKey | None:
        matches = await self._where(api_keys.c.key_hash == key_hash, api_keys.c.revoked_at.is_(None))
        return matches[0] if matches else None

    async def all(self) -> tuple[ApiKey, ...]:
        return await self._where()

    async def _where(self, *conditions: Any) -> tuple[ApiKey, ...]:
        statement = select(api_keys).where(*conditions).order_by(api_keys.c.created_at, api_keys.c.id)
        async with self._database.read() as connection:
            return tuple(_key_of(row._mapping) for row in await connection.execute(statement))

    async def used(self, key_id: str, at: datetime) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=at))

    async def revoke(self, key_id: str, at: datetime) -> None:
        async with self._database.write() as connection:
            # The first revocation is kept.
            revoked = func.coalesce(api_keys.c.revoked_at, at)
            statement = update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=revoked)
            if (await connection.execute(statement)).rowcount == 0:
                raise key_not_found(key_id)

    async def is_closed(self) -> bool:
        closing = select(api_keys.c.id).where(api_keys.c.released_at.is_(None)).limit(1)
        async with self._database.read() as connection:
            return (await connection.execute(closing)).first() is not None

    async def release(self, at: datetime) -> None:
        async with self._database.write() as connection:
            await self._database.lock_claims(connection)
            in_use = select(api_keys.c.id).where(api_keys.c.revoked_at.is_(None)).limit(1)
            if (await connection.execute(in_use)).first() is not None:
                raise keys_in_use()
            closing = update(api_keys).where(api_keys.c.released_at.is_(None))
            await connection.execute(closing.values(released_at=at))


_LISTS = ("tags", "networks")


def _key_values(key: ApiKey) -> dict[str, Any]:
    values = {field.name: getattr(key, field.name) for field in fields(key) if field.name not in _LISTS}
    lists = {f"{name}_json": dumps(list(getattr(key, name))) for name in _LISTS}
    return {**values, **lists, "role": key.role.value}


def _key_of(row: Mapping[Any, Any]) -> ApiKey:
    values = {field.name: row[field.name] for field in fields(ApiKey) if field.name not in _LISTS}
    lists = {name: tuple(json.loads(row[f"{name}_json"] or "[]")) for name in _LISTS}
    return ApiKey(**{**values, **lists, "role": Role(row["role"])})
