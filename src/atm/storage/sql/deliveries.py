"""Deliveries of notifications on a database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from atm.models.schedule import DeliveryStatus
from atm.storage.errors import corrupt
from atm.storage.result import dumps
from atm.storage.schedules import Delivery
from atm.storage.sql.connection import AsyncConnection
from atm.storage.sql.database import Database
from atm.storage.sql.tables import schedule_deliveries


class SqlDeliveries:
    """The `DeliveryStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, now: datetime, until: datetime) -> Delivery | None:
        table = schedule_deliveries
        due = (table.c.status == DeliveryStatus.PENDING.value) & (table.c.next_attempt_at <= now)
        first = select(table.c.id, table.c.attempts).where(due).order_by(table.c.next_attempt_at, table.c.id).limit(1)
        async with self._database.read() as connection:
            if (await connection.execute(first)).one_or_none() is None:
                # The usual case, without a lock.
                return None
        async with self._database.write() as connection:
            candidate = (await connection.execute(first.with_for_update(skip_locked=True))).one_or_none()
            if candidate is None:
                return None
            claimed = (
                update(table)
                .where(table.c.id == candidate.id, table.c.attempts == candidate.attempts, due)
                .values(attempts=candidate.attempts + 1, next_attempt_at=until)
                .returning(*table.c)
            )
            row = (await connection.execute(claimed)).one_or_none()
            return None if row is None else _delivery_of(row)

    async def done(self, delivery: Delivery) -> None:
        table = schedule_deliveries
        as_claimed = (table.c.id == delivery.id) & (table.c.attempts == delivery.attempts)
        values = {
            "status": delivery.status.value,
            "error": delivery.error,
            "next_attempt_at": delivery.next_attempt_at,
            "delivered_at": delivery.delivered_at,
        }
        async with self._database.write() as connection:
            await connection.execute(update(table).where(as_claimed).values(values))

    async def of_schedule(self, schedule_id: str, limit: int = 50) -> tuple[Delivery, ...]:
        table = schedule_deliveries
        statement = select(table).where(table.c.schedule_id == schedule_id)
        statement = statement.order_by(table.c.created_at.desc(), table.c.id).limit(limit)
        async with self._database.read() as connection:
            return tuple(_delivery_of(row) for row in await connection.execute(statement))


async def insert_deliveries(connection: AsyncConnection, deliveries: Sequence[Delivery]) -> None:
    """Insert new deliveries."""
    for delivery in deliveries:
        await connection.execute(insert(schedule_deliveries).values(_delivery_values(delivery)))


def _delivery_values(delivery: Delivery) -> dict[str, Any]:
    plain = {name: getattr(delivery, name) for name in delivery.__slots__ if name not in ("document", "target")}
    return {
        **plain,
        "status": delivery.status.value,
        "document_json": dumps(dict(delivery.document)),
        "target_json": dumps(dict(delivery.target)),
    }


def _delivery_of(row: Row[*tuple[Any, ...]]) -> Delivery:
    columns = dict(row._mapping)
    try:
        document, target = json.loads(columns.pop("document_json")), json.loads(columns.pop("target_json"))
    except ValueError as error:
        raise corrupt(f"delivery {row.id}", error) from error
    return Delivery(**{**columns, "status": DeliveryStatus(row.status)}, document=document, target=target)
