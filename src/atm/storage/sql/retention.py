"""Retention and status of a database."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, select, text, update

from atm.storage.access import SHORTEST_RETENTION
from atm.storage.base import Reseal
from atm.storage.migrations import HEAD
from atm.storage.records import FINAL
from atm.storage.sql.access import SqlAudit
from atm.storage.sql.database import Database
from atm.storage.sql.runs import SqlRuns
from atm.storage.sql.schedules import SqlSchedules
from atm.storage.sql.schema import current
from atm.storage.sql.series import SqlSeries, delete_seconds
from atm.storage.sql.tables import metadata, run_samples, runs
from atm.storage.upkeep import PruneReport, RetentionPolicy, StorageStatus

_ENDED = runs.c.status.in_([status.value for status in sorted(FINAL)])
_BATCH = 100


class SqlUpkeep:
    """The `Upkeep` on a database."""

    def __init__(
        self, database: Database, all_runs: SqlRuns, series: SqlSeries, schedules: SqlSchedules, audit: SqlAudit
    ) -> None:
        self._database = database
        self._runs = all_runs
        self._series = series
        self._schedules = schedules
        self._audit = audit

    async def prune(self, policy: RetentionPolicy, now: datetime, *, dry_run: bool = False) -> PruneReport:
        old = await self._old_runs(policy, now)
        removed = set(old)
        seconds = [
            run_id
            for run_id in await self._ended_before(policy.seconds_for, now, ~runs.c.seconds_pruned)
            if run_id not in removed
        ]
        samples = [
            run_id
            for run_id in await self._ended_before(policy.samples_for, now, ~runs.c.samples_pruned)
            if run_id not in removed
        ]
        if not dry_run:
            # In batches, so that other writes can happen in between.
            for start in range(0, len(old), _BATCH):
                async with self._database.write() as connection:
                    batch = old[start : start + _BATCH]
                    await connection.execute(delete(runs).where(runs.c.id.in_(batch), _ENDED))
            for run_id in seconds:
                await self._prune_seconds(run_id)
            for start in range(0, len(samples), _BATCH):
                await self._prune_samples(samples[start : start + _BATCH])
        firings = 0
        if policy.firings_for is not None:
            firings = await self._schedules.prune(now - policy.firings_for, dry_run=dry_run)
        audit = 0
        if policy.audit_for is not None:
            before = now - max(policy.audit_for, SHORTEST_RETENTION)
            audit = await self._audit.prune(before, dry_run=dry_run)
        return PruneReport(tuple(old), tuple(seconds), tuple(samples), firings, audit)

    async def _old_runs(self, policy: RetentionPolicy, now: datetime) -> list[str]:
        old = await self._ended_before(policy.runs_for, now)
        if policy.runs_at_most is None:
            return old
        newest_first = select(runs.c.id).order_by(runs.c.created_at.desc(), runs.c.id.desc())
        beyond = await self._ids(newest_first.offset(policy.runs_at_most))
        ended = set(await self._ids(select(runs.c.id).where(runs.c.id.in_(beyond), _ENDED))) if beyond else set()
        return list(dict.fromkeys([*old, *(run_id for run_id in reversed(beyond) if run_id in ended)]))

    async def _ended_before(self, age: timedelta | None, now: datetime, *conditions: ColumnElement[bool]) -> list[str]:
        if age is None:
            return []
        old = runs.c.completed_at < now - age
        statement = select(runs.c.id).where(old, _ENDED, *conditions).order_by(runs.c.completed_at, runs.c.id)
        return await self._ids(statement)

    async def _ids(self, statement: Select[str]) -> list[str]:
        async with self._database.read() as connection:
            return list((await connection.execute(statement)).scalars())

    async def _prune_seconds(self, run_id: str) -> None:
        await self._series.seal(run_id)
        async with self._database.write() as connection:
            await delete_seconds(connection, [run_id])
            await connection.execute(update(runs).where(runs.c.id == run_id).values(seconds_pruned=True))

    async def _prune_samples(self, run_ids: list[str]) -> None:
        async with self._database.write() as connection:
            values: dict[str, Any] = {"samples_pruned": True, "sampled_requests_json": "[]"}
            await connection.execute(update(runs).where(runs.c.id.in_(run_ids)).values(values))
            await connection.execute(delete(run_samples).where(run_samples.c.run_id.in_(run_ids)))

    async def reseal(self, reseal: Reseal) -> int:
        replaced = 0
        for table in (table for table in metadata.sorted_tables if "sealed" in table.c):
            key = next(iter(table.primary_key))
            for row_id in await self._ids(select(key).where(table.c.sealed.is_not(None))):
                async with self._database.write() as connection:
                    statement = select(table.c.sealed).where(key == row_id).with_for_update()
                    sealed = (await connection.execute(statement)).scalar_one_or_none()
                    resealed = None if sealed is None else await asyncio.to_thread(reseal, sealed)
                    if resealed is not None:
                        await connection.execute(update(table).where(key == row_id).values(sealed=resealed))
                        replaced += 1
        return replaced

    async def status(self) -> StorageStatus:
        return StorageStatus(
            self._database.kind,
            self._database.location,
            await current(self._database) or "",
            HEAD,
            await self._size(),
            await self._runs.counts(),
        )

    async def _size(self) -> int:
        if self._database.is_sqlite:
            path = Path(self._database.location)
            files = (path, path.with_name(f"{path.name}-wal"))
            return sum(file.stat().st_size for file in files if file.exists())
        async with self._database.read() as connection:
            return int((await connection.execute(text("SELECT pg_database_size(current_database())"))).scalar_one())
