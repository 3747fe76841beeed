"""Schedules and firings on a database.

A due time fires exactly once because a transaction first updates the schedule's row if its version is unchanged (which
locks the row on PostgreSQL; SQLite has only one writer), then inserts firing and run, and the primary key of a firing
is schedule and due time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, union_all, update
from sqlalchemy.exc import IntegrityError

from atm.models.outcome import RunStatus
from atm.models.schedule import DeliveryStatus, FiringOutcome, Misfire, Overlap
from atm.storage.errors import corrupt, name_taken, schedule_changed, schedule_not_found
from atm.storage.records import NewRun, RunSummary, checked_id, checked_tags
from atm.storage.result import dumps
from atm.storage.schedules import (
    FIRINGS_OVER,
    KEPT_FIRINGS,
    Delivery,
    Fire,
    Firing,
    OpenFirings,
    Schedule,
    decide,
    run_key,
)
from atm.storage.sql.connection import AsyncConnection
from atm.storage.sql.database import Database
from atm.storage.sql.deliveries import insert_deliveries
from atm.storage.sql.nothing_found import NothingFound
from atm.storage.sql.run_rows import SUMMARY, insert_run, new_run_values, summary_of
from atm.storage.sql.runs import MOST_PARTS
from atm.storage.sql.tables import runs, schedule_deliveries, schedule_firings, schedules

_PLAIN = (
    "id",
    "name",
    "description",
    "enabled",
    "test",
    "max_runs",
    "run_count",
    "misfire_grace_seconds",
    "jitter_seconds",
    "start_date",
    "end_date",
    "created_at",
    "updated_at",
    "next_due",
    "next_at",
    "sealed",
)
_OVER = tuple(outcome.value for outcome in FIRINGS_OVER)
_ACTIVE = (RunStatus.PENDING.value, RunStatus.RUNNING.value)


class SqlSchedules:
    """The `ScheduleStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._none_due = NothingFound(database)
        self._next_due: datetime | None = None
        self._none_queued = NothingFound(database)
        self._none_started = NothingFound(database)

    async def add(self, schedule: Schedule) -> None:
        checked_id(schedule.id)
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(schedules).values({**_values(schedule), "version": schedule.version}))
        except IntegrityError as error:
            raise name_taken("a schedule", schedule.name) from error

    async def get(self, schedule_id: str) -> Schedule:
        matches = await self._where(schedules.c.id == schedule_id)
        if not matches:
            raise schedule_not_found(schedule_id)
        return matches[0]

    async def named(self, name: str) -> Schedule | None:
        matches = await self._where(schedules.c.name == name)
        return matches[0] if matches else None

    async def all(self) -> tuple[Schedule, ...]:
        return await self._where()

    async def _where(self, *conditions: ColumnElement[bool]) -> tuple[Schedule, ...]:
        statement = select(schedules).where(*conditions).order_by(schedules.c.name)
        async with self._database.read() as connection:
            return tuple(_schedule_of(row) for row in await connection.execute(statement))

    async def replace(self, schedule: Schedule) -> Schedule:
        changed = replace(schedule, version=schedule.version + 1)
        try:
            async with self._database.write() as connection:
                unchanged = (schedules.c.id == schedule.id) & (schedules.c.version == schedule.version)
                statement = update(schedules).where(unchanged).values({**_values(changed), "version": changed.version})
                if (await connection.execute(statement)).rowcount == 0:
                    existing = select(schedules.c.id).where(schedules.c.id == schedule.id)
                    exists = (await connection.execute(existing)).scalar_one_or_none() is not None
                    raise schedule_changed(schedule.name) if exists else schedule_not_found(schedule.id)
        except IntegrityError as error:
            raise name_taken("a schedule", schedule.name) from error
        return changed

    async def delete(self, schedule_id: str) -> None:
        async with self._database.write() as connection:
            if (await connection.execute(delete(schedules).where(schedules.c.id == schedule_id))).rowcount == 0:
                raise schedule_not_found(schedule_id)

    async def due(self, now: datetime, limit: int = 100) -> tuple[Schedule, ...]:
        if self._none_due.holds and (self._next_due is None or now < self._next_due):
            return ()
        state = self._none_due.state()
        is_due = (schedules.c.next_at <= now) & schedules.c.enabled
        statement = select(schedules).where(is_due).order_by(schedules.c.next_at, schedules.c.id).limit(limit)
        async with self._database.read() as connection:
            due = tuple(_schedule_of(row) for row in await connection.execute(statement))
            if not due:
                earliest = select(func.min(schedules.c.next_at)).where(schedules.c.enabled)
                self._next_due = (await connection.execute(earliest)).scalar_one()
                self._none_due.keep(state)
            return due

    async def fire(self, fire: Fire) -> Firing | None:
        seen = fire.seen
        async with self._database.write() as connection:
            unchanged = (schedules.c.id == seen.id) & (schedules.c.version == seen.version) & schedules.c.enabled
            advance = (
                update(schedules)
                .where(unchanged)
                .values(version=seen.version + 1, next_due=fire.next_due, next_at=fire.next_at)
            )
            if (await connection.execute(advance)).rowcount == 0:
                return None
            if await self._exists(connection, seen.id, fire.due):
                # The clock was set back: the schedule is advanced, and not fired again.
                return None
            outcome, error = fire.outcome, fire.error
            if fire.run is not None:
                outcome, error = decide(seen.overlap, await self._open_firings(connection, seen.id))
            firing = Firing(
                seen.id,
                fire.due,
                fire.at,
                fire.claimed_by,
                outcome,
                fire.run.id if fire.run is not None and outcome is FiringOutcome.STARTED else None,
                error,
                fire.missed,
            )
            await connection.execute(insert(schedule_firings).values(_firing_values(firing)))
            if fire.run is not None and outcome is FiringOutcome.STARTED:
                await _insert_scheduled(connection, fire.run, firing)
            if outcome in (FiringOutcome.STARTED, FiringOutcome.QUEUED):
                await self._count(connection, seen)
            await insert_deliveries(connection, fire.deliveries)
            return firing

    async def _count(self, connection: AsyncConnection, seen: Schedule) -> None:
        count = seen.run_count + 1
        values: dict[str, Any] = {"run_count": count}
        if seen.max_runs is not None and count >= seen.max_runs:
            values |= {"next_due": None, "next_at": None}
        await connection.execute(update(schedules).where(schedules.c.id == seen.id).values(values))

    async def _exists(self, connection: AsyncConnection, schedule_id: str, due: datetime) -> bool:
        statement = select(schedule_firings.c.due).where(_is(schedule_id, due))
        return (await connection.execute(statement)).scalar_one_or_none() is not None

    async def _open_firings(self, connection: AsyncConnection, schedule_id: str) -> OpenFirings:
        of_schedule = schedule_firings.c.schedule_id == schedule_id
        active = (
            select(runs.c.id)
            .join(schedule_firings, schedule_firings.c.run_id == runs.c.id)
            .where(of_schedule, schedule_firings.c.outcome == FiringOutcome.STARTED.value, runs.c.status.in_(_ACTIVE))
            .limit(1)
        )
        queued = select(func.count()).where(of_schedule, schedule_firings.c.outcome == FiringOutcome.QUEUED.value)
        return OpenFirings(
            (await connection.execute(active)).scalar_one_or_none(), (await connection.execute(queued)).scalar_one()
        )

    async def start_queued(
        self,
        firing: Firing,
        run: NewRun | None,
        at: datetime,
        error: str | None,
        deliveries: Sequence[Delivery] = (),
        outcome: FiringOutcome = FiringOutcome.ERROR,
    ) -> bool:
        async with self._database.write() as connection:
            lock = select(schedules.c.id).where(schedules.c.id == firing.schedule_id).with_for_update()
            if (await connection.execute(lock)).scalar_one_or_none() is None:
                return False
            if run is not None and (await self._open_firings(connection, firing.schedule_id)).active_run is not None:
                return False
            new_outcome = outcome if run is None else FiringOutcome.STARTED
            is_queued = _is(firing.schedule_id, firing.due) & (schedule_firings.c.outcome == FiringOutcome.QUEUED.value)
            values = {"outcome": new_outcome.value, "run_id": run.id if run else None, "error": error, "fired_at": at}
            if (await connection.execute(update(schedule_firings).where(is_queued).values(values))).rowcount == 0:
                return False
            if run is not None:
                await _insert_scheduled(connection, run, firing)
            else:
                await insert_deliveries(connection, deliveries)
            return True

    async def queued(self) -> tuple[Firing, ...]:
        if self._none_queued.holds:
            return ()
        state = self._none_queued.state()
        waiting = schedule_firings.c.outcome == FiringOutcome.QUEUED.value
        first = (
            select(schedule_firings.c.schedule_id, func.min(schedule_firings.c.due).label("due"))
            .where(waiting)
            .group_by(schedule_firings.c.schedule_id)
            .subquery()
        )
        statement = select(schedule_firings).join(
            first, (schedule_firings.c.schedule_id == first.c.schedule_id) & (schedule_firings.c.due == first.c.due)
        )
        async with self._database.read() as connection:
            firings = tuple(_firing_of(row) for row in await connection.execute(statement))
        if not firings:
            self._none_queued.keep(state)
        return firings

    async def started(self) -> tuple[tuple[Firing, RunSummary | None], ...]:
        if self._none_started.holds:
            return ()
        state = self._none_started.state()
        statement = (
            select(*SUMMARY, *(column.label(f"f_{column.name}") for column in schedule_firings.c))
            .select_from(schedule_firings.outerjoin(runs, schedule_firings.c.run_id == runs.c.id))
            .where(schedule_firings.c.outcome == FiringOutcome.STARTED.value)
            .order_by(schedule_firings.c.due)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        if not rows:
            self._none_started.keep(state)
        return tuple((_firing_of(row, "f_"), summary_of(row) if row.id is not None else None) for row in rows)

    async def settle(self, firing: Firing, deliveries: Sequence[Delivery]) -> bool:
        async with self._database.write() as connection:
            open_ = _is(firing.schedule_id, firing.due) & (schedule_firings.c.outcome == FiringOutcome.STARTED.value)
            values = {"outcome": firing.outcome.value, "error": firing.error}
            if (await connection.execute(update(schedule_firings).where(open_).values(values))).rowcount == 0:
                return False
            await insert_deliveries(connection, deliveries)
            return True

    async def firings(
        self,
        schedule_id: str,
        *,
        before: datetime | None = None,
        outcomes: Sequence[FiringOutcome] = (),
        limit: int = 50,
    ) -> tuple[Firing, ...]:
        statement = select(schedule_firings).where(schedule_firings.c.schedule_id == schedule_id)
        if before is not None:
            statement = statement.where(schedule_firings.c.due < before)
        if outcomes:
            statement = statement.where(schedule_firings.c.outcome.in_([wanted.value for wanted in outcomes]))
        statement = statement.order_by(schedule_firings.c.due.desc()).limit(limit)
        async with self._database.read() as connection:
            return tuple(_firing_of(row) for row in await connection.execute(statement))

    async def newest_firings(self, ids: Sequence[str], limit: int) -> dict[str, tuple[Firing, ...]]:
        newest: dict[str, list[Firing]] = {}
        of = schedule_firings.c
        async with self._database.read() as connection:
            for start in range(0, len(ids), MOST_PARTS):
                parts = [
                    select(
                        select(schedule_firings)
                        .where(of.schedule_id == schedule_id)
                        .order_by(of.due.desc())
                        .limit(limit)
                        .subquery()
                    )
                    for schedule_id in ids[start : start + MOST_PARTS]
                ]
                for row in await connection.execute(union_all(*parts)):
                    newest.setdefault(row.schedule_id, []).append(_firing_of(row))
        return {
            schedule_id: tuple(sorted(firings, key=lambda firing: firing.due, reverse=True))
            for schedule_id, firings in newest.items()
        }

    async def prune(self, before: datetime, *, dry_run: bool = False) -> int:
        """Remove final firings due before a time, except the newest of each schedule; return their number."""
        removed = 0
        for schedule in await self.all():
            of_schedule = schedule_firings.c.schedule_id == schedule.id
            newest = select(schedule_firings.c.due).where(of_schedule).order_by(schedule_firings.c.due.desc())
            async with self._database.read() as connection:
                last_kept = newest.offset(KEPT_FIRINGS - 1).limit(1)
                oldest_kept = (await connection.execute(last_kept)).scalar_one_or_none()
                if oldest_kept is None:
                    continue
                until = min(oldest_kept, before)
                expired = of_schedule & (schedule_firings.c.due < until) & schedule_firings.c.outcome.in_(_OVER)
                removed += (await connection.execute(select(func.count()).where(expired))).scalar_one()
            if not dry_run:
                table = schedule_deliveries
                sent = (table.c.schedule_id == schedule.id) & (table.c.due < until)
                async with self._database.write() as connection:
                    await connection.execute(delete(schedule_firings).where(expired))
                    await connection.execute(delete(table).where(sent, table.c.status != DeliveryStatus.PENDING.value))
        return removed


def _is(schedule_id: str, due: datetime) -> ColumnElement[bool]:
    return (schedule_firings.c.schedule_id == schedule_id) & (schedule_firings.c.due == due)


async def _insert_scheduled(connection: AsyncConnection, run: NewRun, firing: Firing) -> None:
    keyed = replace(run, idempotency_key=run_key(firing.schedule_id, firing.due), request_digest="")
    await insert_run(connection, new_run_values(keyed), keyed.tags)


def _values(schedule: Schedule) -> dict[str, Any]:
    return {
        **{name: getattr(schedule, name) for name in _PLAIN},
        "trigger_json": dumps(dict(schedule.trigger)),
        "spec_json": None if schedule.spec is None else dumps(dict(schedule.spec)),
        "notify_json": dumps([dict(channel) for channel in schedule.notify]),
        "tags_json": dumps(checked_tags(schedule.tags)),
        "overlap": schedule.overlap.value,
        "misfire": schedule.misfire.value,
    }


def _schedule_of(row: Row[*tuple[Any, ...]]) -> Schedule:
    columns = row._mapping
    try:
        return Schedule(
            **{name: columns[name] for name in _PLAIN},
            version=row.version,
            trigger=json.loads(row.trigger_json),
            spec=None if row.spec_json is None else json.loads(row.spec_json),
            notify=tuple(json.loads(row.notify_json)),
            tags=tuple(json.loads(row.tags_json)),
            overlap=Overlap(row.overlap),
            misfire=Misfire(row.misfire),
        )
    except ValueError as error:
        raise corrupt(f"schedule {row.id}", error) from error


def _firing_values(firing: Firing) -> dict[str, Any]:
    return {**{name: getattr(firing, name) for name in firing.__slots__}, "outcome": firing.outcome.value}


def _firing_of(row: Row[*tuple[Any, ...]], prefix: str = "") -> Firing:
    columns: Mapping[str, Any] = {name: getattr(row, prefix + name) for name in Firing.__slots__}
    return Firing(**{**columns, "outcome": FiringOutcome(columns["outcome"])})
