"""Saved tests on a database."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from atm.storage.errors import corrupt, name_taken, test_not_found
from atm.storage.records import checked_id, checked_tags
from atm.storage.result import dumps
from atm.storage.sql.database import Database
from atm.storage.sql.run_rows import SUMMARY, summary_of
from atm.storage.sql.tables import runs, test_configs
from atm.storage.sql.test_files import remove_unused
from atm.storage.test_configs import TestConfig, TestInHistory


class SqlTestConfigs:
    """The `TestConfigStore` on a database."""

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
        matches = await self._where(test_configs.c.id == config_id)
        if not matches:
            raise test_not_found(config_id)
        return matches[0]

    async def named(self, name: str) -> TestConfig | None:
        matches = await self._where(test_configs.c.name == name)
        return matches[0] if matches else None

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
            await self._database.lock_files(connection)
            statement = delete(test_configs).where(test_configs.c.id == config_id)
            if (await connection.execute(statement)).rowcount == 0:
                raise test_not_found(config_id)
            await remove_unused(connection)

    async def in_history(self) -> tuple[TestInHistory, ...]:
        grouped = select(runs.c.name, func.count().label("number"), func.max(runs.c.created_at).label("last"))
        names = grouped.group_by(runs.c.name).subquery()
        # Of two runs in the same microsecond the larger id is the newest, as in lists.
        rank = func.row_number().over(partition_by=runs.c.name, order_by=runs.c.id.desc()).label("rank")
        newest = (
            select(*SUMMARY, names.c.number, rank)
            .join(names, (runs.c.name == names.c.name) & (runs.c.created_at == names.c.last))
            .order_by(runs.c.name)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(newest)).all()
        return tuple(TestInHistory(row.name, row.number, summary_of(row)) for row in rows if row.rank == 1)


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
