"""Test configurations and API keys on a database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from atm.access.names import look_of
from atm.storage.problems import corrupt, key_not_found, keys_in_use, name_taken, test_not_found
from atm.storage.records import ApiKey, Role, TestConfig, TestInHistory, checked_id, checked_tags
from atm.storage.result import dumps
from atm.storage.sql.database import Database
from atm.storage.sql.runs import SUMMARY, summary_of
from atm.storage.sql.tables import api_keys, runs, test_configs


class SqlTestConfigs:
    """`TestConfigStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, config: TestConfig) -> None:
        checked_id(config.id)
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(test_configs).values(_config_values(config)))
        except IntegrityError as error:
            raise name_taken("a test", config.name) from error

    async def get(self, config_id: str) -> TestConfig:
        found = await self._where(test_configs.c.id == config_id)
        if not found:
            raise test_not_found(config_id)
        return found[0]

    async def named(self, name: str) -> TestConfig | None:
        found = await self._where(test_configs.c.name == name)
        return found[0] if found else None

    async def all(self) -> tuple[TestConfig, ...]:
        return await self._where()

    async def _where(self, *conditions: Any) -> tuple[TestConfig, ...]:
        statement = select(test_configs).where(*conditions).order_by(test_configs.c.name)
        async with self._database.read() as connection:
            return tuple(_config_of(row) for row in await connection.execute(statement))

    async def replace(self, config: TestConfig) -> None:
        try:
            async with self._database.write() as connection:
                statement = update(test_configs).where(test_configs.c.id == config.id).values(_config_values(config))
                if (await connection.execute(statement)).rowcount == 0:
                    raise test_not_found(config.id)
        except IntegrityError as error:
            raise name_taken("a test", config.name) from error

    async def delete(self, config_id: str) -> None:
        async with self._database.write() as connection:
            statement = delete(test_configs).where(test_configs.c.id == config_id)
            if (await connection.execute(statement)).rowcount == 0:
                raise test_not_found(config_id)

    async def in_history(self) -> tuple[TestInHistory, ...]:
        grouped = select(runs.c.name, func.count().label("number"), func.max(runs.c.created_at).label("last"))
        names = grouped.group_by(runs.c.name).subquery()
        # Of two runs in the same microsecond the one with the larger id is the newest, as in lists.
        rank = func.row_number().over(partition_by=runs.c.name, order_by=runs.c.id.desc()).label("rank")
        newest = (
            select(*SUMMARY, names.c.number, rank)
            .join(names, (runs.c.name == names.c.name) & (runs.c.created_at == names.c.last))
            .order_by(runs.c.name)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(newest)).all()
        return tuple(TestInHistory(row.name, row.number, summary_of(row)) for row in rows if row.rank == 1)


class SqlApiKeys:
    """`ApiKeyStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ApiKey) -> None:
        checked_id(key.id)
        try:
            async with self._database.write() as connection:
                # Two names that look the same are no conflict to the database: one at a time.
                await self._database.lock_claims(connection)
                in_use = select(api_keys.c.name).where(api_keys.c.revoked_at.is_(None))
                if look_of(key.name) in {look_of(name) for name in (await connection.execute(in_use)).scalars()}:
                    raise name_taken("an API key", key.name)
                await connection.execute(insert(api_keys).values(_key_values(key)))
        except IntegrityError as error:
            raise name_taken("an API key", key.name) from error

    async def by_hash(self, key_hash: str) -> ApiKey | None:
        found = await self._where(api_keys.c.key_hash == key_hash, api_keys.c.revoked_at.is_(None))
        return found[0] if found else None

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
            # The first time counts.
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


def _key_values(key: ApiKey) -> dict[str, Any]:
    values = {field.name: getattr(key, field.name) for field in fields(key) if field.name not in _LISTS}
    lists = {f"{name}_json": dumps(list(getattr(key, name))) for name in _LISTS}
    return {**values, **lists, "role": key.role.value}


def _config_values(config: TestConfig) -> dict[str, Any]:
    plain = ("id", "name", "description", "enabled", "created_at", "updated_at", "sealed")
    return {
        **{name: getattr(config, name) for name in plain},
        "tags_json": dumps(checked_tags(config.tags)),
        "spec_json": dumps(dict(config.spec)),
    }


def _config_of(row: Row[*tuple[Any, ...]]) -> TestConfig:
    try:
        return TestConfig(
            id=row.id,
            name=row.name,
            spec=json.loads(row.spec_json),
            created_at=row.created_at,
            updated_at=row.updated_at,
            description=row.description,
            enabled=row.enabled,
            tags=tuple(json.loads(row.tags_json)),
            sealed=row.sealed,
        )
    except ValueError as error:
        raise corrupt(f"test {row.id}", error) from error


_LISTS = ("tags", "networks")
"""Of a key, kept as JSON; null where an older version wrote the row."""


def _key_of(row: Mapping[Any, Any]) -> ApiKey:
    values = {field.name: row[field.name] for field in fields(ApiKey) if field.name not in _LISTS}
    lists = {name: tuple(json.loads(row[f"{name}_json"] or "[]")) for name in _LISTS}
    return ApiKey(**{**values, **lists, "role": Role(row["role"])})
