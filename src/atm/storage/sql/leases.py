"""Leases on a database: atomic claims, and writes guarded by the lease token."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, case, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from atm.models.outcome import RunStatus, StopReason
from atm.storage.errors import idempotency_conflict, run_exists, run_not_found, stale_lease
from atm.storage.records import (
    CancelRequest,
    Finish,
    Lease,
    LeaseState,
    NewRun,
    Run,
    RunControl,
    checked_id,
)
from atm.storage.result import dumps
from atm.storage.sql.connection import AsyncConnection
from atm.storage.sql.database import Database
from atm.storage.sql.nothing_found import NothingFound
from atm.storage.sql.run_rows import fetch, finish_values, insert_run, new_run_values
from atm.storage.sql.series import SqlSeries
from atm.storage.sql.tables import run_samples, runs

_PENDING = RunStatus.PENDING.value
_RUNNING = RunStatus.RUNNING.value


class SqlLeases:
    """The `LeaseStore` on a database."""

    def __init__(self, database: Database, series: SqlSeries) -> None:
        self._database = database
        self._series = series
        self._none_pending = NothingFound(database)
        self._none_running = NothingFound(database)

    async def claim(self, owner: str, token: str, maximum: int) -> Run | None:
        # Usually nothing is pending; checked first without the write lock.
        if self._none_pending.holds:
            return None
        state = self._none_pending.state()
        async with self._database.read() as connection:
            if await self._next(connection) is None:
                self._none_pending.keep(state)
                return None
        async with self._database.write() as connection:
            await self._database.lock_claims(connection)
            running = select(func.count()).select_from(runs).where(runs.c.status == _RUNNING)
            if (await connection.execute(running)).scalar_one() >= maximum:
                return None
            run_id = await self._next(connection)
            if run_id is None:
                return None
            statement = (
                update(runs)
                # On PostgreSQL the run may have been cancelled since it was read.
                .where(runs.c.id == run_id, runs.c.status == _PENDING)
                .values(status=_RUNNING, lease_owner=owner, lease_token=token, lease_beat=0)
            )
            is_claimed = (await connection.execute(statement)).rowcount == 1
            return await fetch(connection, run_id) if is_claimed else None

    async def _next(self, connection: AsyncConnection) -> str | None:
        batch_runs = runs.alias()
        # A batch may limit how many of its runs are running.
        running = (
            select(func.count())
            .where(batch_runs.c.batch_id == runs.c.batch_id, batch_runs.c.status == _RUNNING)
            .correlate(runs)
            .scalar_subquery()
        )
        free = or_(runs.c.batch_limit.is_(None), running < runs.c.batch_limit)
        pending = (
            select(runs.c.id).where(runs.c.status == _PENDING, free).order_by(runs.c.created_at, runs.c.id).limit(1)
        )
        return (await connection.execute(pending)).scalar_one_or_none()

    async def begin(self, run: NewRun, owner: str, token: str) -> Run:
        checked_id(run.id)
        lease = {"status": _RUNNING, "lease_owner": owner, "lease_token": token}
        try:
            async with self._database.write() as connection:
                await self._database.lock_claims(connection)
                await insert_run(connection, {**new_run_values(run), **lease}, run.tags)
                return await fetch(connection, run.id)
        except IntegrityError as error:
            raise await self._existing(run) from error

    async def _existing(self, run: NewRun) -> Exception:
        if run.idempotency_key is not None:
            statement = select(runs.c.id).where(runs.c.idempotency_key == run.idempotency_key)
            async with self._database.read() as connection:
                before = (await connection.execute(statement)).scalar_one_or_none()
            if before is not None:
                return idempotency_conflict(before)
        return run_exists(run.id)

    async def renew(self, lease: Lease) -> RunControl:
        statement = (
            update(runs)
            .where(runs.c.id == lease.run_id, runs.c.lease_token == lease.token, runs.c.status == _RUNNING)
            .values(lease_beat=runs.c.lease_beat + 1)
            .returning(runs.c.status, runs.c.lease_token, runs.c.cancel_requested)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            raise stale_lease(lease.run_id)
        return _control(row)

    async def control(self, run_id: str) -> RunControl:
        statement = select(runs.c.status, runs.c.lease_token, runs.c.cancel_requested).where(runs.c.id == run_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            raise run_not_found(run_id)
        return _control(row)

    async def started(self, lease: Lease, at: datetime, engine: str) -> None:
        async with self._database.write() as connection:
            statement = (
                update(runs)
                .where(runs.c.id == lease.run_id, runs.c.lease_token == lease.token, runs.c.status == _RUNNING)
                .values(started_at=at, engine=engine)
            )
            if (await connection.execute(statement)).rowcount == 0:
                raise stale_lease(lease.run_id)

    async def finish(self, lease: Lease, finish: Finish) -> None:
        closing = await self._series.closing_rows(lease.run_id)
        values = finish_values(finish)
        async with self._database.write() as connection:
            statement = (
                update(runs)
                .where(runs.c.id == lease.run_id, runs.c.lease_token == lease.token, runs.c.status == _RUNNING)
                .values(values)
            )
            if (await connection.execute(statement)).rowcount == 0:
                raise stale_lease(lease.run_id)
            await self._series.insert_rows(connection, lease.run_id, closing)
            if finish.result is not None:
                await connection.execute(run_samples.delete().where(run_samples.c.run_id == lease.run_id))
        self._series.forget(lease.run_id)

    async def states(self) -> tuple[LeaseState, ...]:
        if self._none_running.holds:
            return ()
        state = self._none_running.state()
        statement = (
            select(runs.c.id, runs.c.lease_owner, runs.c.lease_token, runs.c.lease_beat)
            .where(runs.c.status == _RUNNING)
            .order_by(runs.c.created_at, runs.c.id)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        if not rows:
            self._none_running.keep(state)
        return tuple(LeaseState(run_id, owner or "", token or "", beat) for run_id, owner, token, beat in rows)

    async def expire(self, seen: LeaseState, reason: str, at: datetime) -> bool:
        statement = (
            update(runs)
            .where(
                runs.c.id == seen.run_id,
                runs.c.status == _RUNNING,
                runs.c.lease_token == seen.token,
                runs.c.lease_beat == seen.beat,
            )
            .values(
                status=RunStatus.FAILED.value,
                stop_reason=StopReason.FAILED.value,
                completed_at=at,
                error_message=reason,
                failure_reasons_json=dumps([reason]),
                lease_token=None,
            )
        )
        async with self._database.write() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def request_cancel(self, run_id: str, how: CancelRequest, at: datetime) -> RunStatus:
        pending = runs.c.status == _PENDING
        # A later GRACEFUL does not replace NOW.
        request = case((runs.c.cancel_requested == CancelRequest.NOW.value, CancelRequest.NOW.value), else_=how.value)
        statement = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.status.in_([_PENDING, _RUNNING]))
            .values(
                status=case((pending, RunStatus.CANCELLED.value), else_=runs.c.status),
                completed_at=case((pending, at), else_=runs.c.completed_at),
                stop_reason=case((pending, StopReason.CANCELLED.value), else_=runs.c.stop_reason),
                cancel_requested=request,
                cancel_requested_at=at,
            )
            .returning(runs.c.status)
        )
        async with self._database.write() as connection:
            status = (await connection.execute(statement)).scalar_one_or_none()
            if status is None:
                return (await fetch(connection, run_id)).status
            return RunStatus(status)


def _control(row: Row[*tuple[Any, ...]]) -> RunControl:
    cancel = CancelRequest(row.cancel_requested) if row.cancel_requested else None
    return RunControl(RunStatus(row.status), row.lease_token, cancel)
