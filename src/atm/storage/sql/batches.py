"""Batches of runs on a database: groups of runs with the same batch id."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, func, select

from atm.storage.records import BatchPage, RunBatch, StoredBatch
from atm.storage.sql.database import Database
from atm.storage.sql.tables import runs

_BATCHES = (
    select(
        runs.c.batch_id,
        func.min(runs.c.batch_limit).label("most_running"),
        func.min(runs.c.created_at).label("created_at"),
        func.count().label("number"),
    )
    .where(runs.c.batch_id.is_not(None))
    .group_by(runs.c.batch_id)
)


def _of_row(row: Row[*tuple[Any, ...]]) -> StoredBatch:
    return StoredBatch(RunBatch(row.batch_id, row.most_running), row.created_at, row.number)


async def batch_page(database: Database, limit: int, offset: int) -> BatchPage:
    """Return a page of the batches, newest first."""
    ordered = _BATCHES.order_by(func.min(runs.c.created_at).desc(), runs.c.batch_id.desc())
    total = select(func.count(runs.c.batch_id.distinct()))
    async with database.read() as connection:
        batches = tuple(_of_row(row) for row in await connection.execute(ordered.limit(limit).offset(offset)))
        return BatchPage(batches, (await connection.execute(total)).scalar_one())


async def stored_batch(database: Database, batch_id: str) -> StoredBatch | None:
    """Return a batch; None if it has no runs."""
    async with database.read() as connection:
        row = (await connection.execute(_BATCHES.where(runs.c.batch_id == batch_id))).one_or_none()
    return None if row is None else _of_row(row)
