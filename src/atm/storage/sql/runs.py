"""Runs on a database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, union_all, update
from sqlalchemy.exc import IntegrityError

from atm.models.outcome import RunOutcome, RunStatus, StopReason
from atm.models.run import RunResult
from atm.storage.base import MAXIMUM_PAGE, RunSeries
from atm.storage.errors import (
    idempotency_conflict,
    run_exists,
    run_is_running,
    run_not_finished,
    run_not_found,
)
from atm.storage.records import (
    FINAL,
    BatchPage,
    Created,
    NewRun,
    Order,
    Run,
    RunCursor,
    RunPage,
    RunQuery,
    RunSummary,
    StoredBatch,
    checked_id,
    checked_tags,
)
from atm.storage.result import dumps
from atm.storage.sql.batches import batch_page, stored_batch
from atm.storage.sql.bulk_insert import staged_history
from atm.storage.sql.database import Database
from atm.storage.sql.run_rows import (
    ALL_COLUMNS,
    RESULT_COLUMNS,
    SUMMARY,
    fetch,
    insert_run,
    insert_tags,
    new_run_values,
    restored_values,
    result_of,
    result_values,
    run_of,
    summary_of,
)
from atm.storage.sql.tables import run_tags, runs

MOST_PARTS = 100
"""Most queries joined to one statement; SQLite takes 500."""


class SqlRuns:
    """The `RunStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, run: NewRun) -> Created:
        checked_id(run.id)
        try:
            async with self._database.write() as connection:
                await insert_run(connection, new_run_values(run), run.tags)
                return Created(await fetch(connection, run.id), is_new=True)
        except IntegrityError:
            # The idempotency key or the id exists already, perhaps since a moment ago from another process.
            return await self._created_before(run)

    async def _created_before(self, run: NewRun) -> Created:
        if run.idempotency_key is not None:
            async with self._database.read() as connection:
                statement = select(runs.c.id, runs.c.request_digest).where(
                    runs.c.idempotency_key == run.idempotency_key
                )
                existing = (await connection.execute(statement)).one_or_none()
                if existing is not None and existing.request_digest == run.request_digest:
                    return Created(await fetch(connection, existing.id), is_new=False)
            if existing is not None:
                raise idempotency_conflict(existing.id)
        raise run_exists(run.id)

    async def get(self, run_id: str) -> Run:
        async with self._database.read() as connection:
            return await fetch(connection, run_id)

    async def get_many(self, ids: Sequence[str]) -> dict[str, Run]:
        async with self._database.read() as connection:
            rows = (await connection.execute(select(*ALL_COLUMNS).where(runs.c.id.in_(ids)))).all()
        return {row.id: run_of(row) for row in rows}

    async def result(self, run_id: str) -> RunResult | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(*RESULT_COLUMNS).where(runs.c.id == run_id))).one_or_none()
        if row is None:
            raise run_not_found(run_id)
        return None if row.result_json is None else result_of(row)

    async def results(self, ids: Sequence[str]) -> dict[str, RunResult]:
        statement = select(*RESULT_COLUMNS).where(runs.c.id.in_(ids), runs.c.result_json.is_not(None))
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return {row.id: result_of(row) for row in rows}

    async def find(self, prefix: str, limit: int = 10) -> tuple[str, ...]:
        checked_id(prefix)
        # `~` sorts after all characters of ids.
        between = runs.c.id.between(prefix, f"{prefix}~")
        statement = select(runs.c.id).where(between).order_by(runs.c.id).limit(limit)
        if not self._database.is_sqlite:
            statement = select(runs.c.id).where(runs.c.id.startswith(prefix, autoescape=True)).limit(limit)
            statement = statement.order_by(runs.c.id)
        async with self._database.read() as connection:
            return tuple((await connection.execute(statement)).scalars())

    async def page(self, query: RunQuery) -> RunPage:
        limit = max(1, min(query.limit, MAXIMUM_PAGE))
        tagged = run_tags if query.tag is not None else None
        # Filtered by tag, rows come in order from the index of the tags, not from all runs.
        created_at, run_id = (run_tags.c.created_at, run_tags.c.run_id) if tagged is not None else _IN_RUNS
        conditions = self._conditions(query, created_at)
        page: Select[*tuple[Any, ...]] = select(*SUMMARY)
        count: Select[Any] = select(func.count())
        if tagged is not None:
            page = page.select_from(run_tags.join(runs, runs.c.id == run_tags.c.run_id))
            only_tags = len(conditions) == 1
            count = count.select_from(run_tags if only_tags else run_tags.join(runs, runs.c.id == run_tags.c.run_id))
        else:
            count = count.select_from(runs)
        page = page.where(*conditions)
        newest = query.order is Order.NEWEST
        if query.after is not None:
            page = page.where(_beyond(created_at, run_id, query.after, newest=newest))
        order = (created_at.desc(), run_id.desc()) if newest else (created_at, run_id)
        page = page.order_by(*order).limit(limit + 1).offset(max(0, query.offset))
        if query.text and tagged is None:
            # The text is searched in the index alone; only the rows of the page are read from the table.
            page = select(*SUMMARY).where(runs.c.id.in_(page.with_only_columns(runs.c.id))).order_by(*order)
        async with self._database.read() as connection:
            summaries = [summary_of(row) for row in await connection.execute(page)]
            more = len(summaries) > limit
            total = None
            if query.with_total and not more and query.after is None and query.offset <= 0:
                total = len(summaries)
            elif query.with_total:
                before = 0
                if summaries and query.text and query.after is None:
                    # The text filter scans all runs, so count only those after this page.
                    before = max(0, query.offset) + len(summaries)
                    last = RunCursor(summaries[-1].created_at, summaries[-1].id)
                    conditions.append(_beyond(created_at, run_id, last, newest=newest))
                total = before + (await connection.execute(count.where(*conditions))).scalar_one()
        listed = tuple(summaries[:limit])
        return RunPage(listed, total, RunCursor(listed[-1].created_at, listed[-1].id) if more else None)

    async def newest(self, names: Sequence[str], limit: int) -> dict[str, tuple[RunSummary, ...]]:
        order = (runs.c.created_at.desc(), runs.c.id.desc())
        newest: dict[str, list[RunSummary]] = {}
        async with self._database.read() as connection:
            for start in range(0, len(names), MOST_PARTS):
                # One query on the index of names for each, in one statement.
                parts = [
                    select(select(*SUMMARY).where(runs.c.name == name).order_by(*order).limit(limit).subquery())
                    for name in names[start : start + MOST_PARTS]
                ]
                for row in await connection.execute(union_all(*parts)):
                    summary = summary_of(row)
                    newest.setdefault(summary.name, []).append(summary)
        return {
            name: tuple(sorted(listed, key=lambda run: (run.created_at, run.id), reverse=True))
            for name, listed in newest.items()
        }

    def _conditions(self, query: RunQuery, created_at: ColumnElement[Any]) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if query.tag is not None:
            conditions.append(run_tags.c.tag == query.tag)
        if query.name is not None:
            conditions.append(runs.c.name == query.name)
        # A name is more selective than a status: hide the status from the planner, so that the name index is used.
        narrow = query.name is not None
        if query.status is not None:
            status = func.coalesce(runs.c.status, "") if narrow else runs.c.status
            conditions.append(status == query.status.value)
        if query.passed is not None:
            passed = func.coalesce(runs.c.passed, not query.passed) if narrow else runs.c.passed
            conditions.append(passed == query.passed)
        if query.outcome is not None:
            conditions += _with_outcome(query.outcome)
        if query.measurement is not None:
            conditions.append(runs.c.measurement == query.measurement.value)
        if query.batch is not None:
            conditions.append(runs.c.batch_id == query.batch)
        if query.since is not None:
            conditions.append(created_at >= query.since)
        if query.until is not None:
            conditions.append(created_at < query.until)
        if query.text:
            position = func.instr if self._database.is_sqlite else func.strpos
            conditions.append(position(runs.c.search_text, query.text.lower().replace("\0", "")) > 0)
        return conditions

    async def batches(self, limit: int = 50, offset: int = 0) -> BatchPage:
        return await batch_page(self._database, max(1, min(limit, MAXIMUM_PAGE)), max(0, offset))

    async def batch(self, batch_id: str) -> StoredBatch | None:
        return await stored_batch(self._database, batch_id)

    async def annotate(self, run_id: str, *, notes: str | None = None, tags: Sequence[str] | None = None) -> Run:
        async with self._database.write() as connection:
            before = await fetch(connection, run_id)
            values: dict[str, Any] = {}
            if notes is not None:
                values["notes"] = notes.replace("\0", "")
            if tags is not None:
                cleaned = checked_tags(tags)
                values["tags_json"] = dumps(cleaned)
                await connection.execute(delete(run_tags).where(run_tags.c.run_id == run_id))
                await insert_tags(connection, run_id, cleaned, before.summary.created_at)
            if values:
                await connection.execute(update(runs).where(runs.c.id == run_id).values(values))
            return await fetch(connection, run_id)

    async def delete(self, run_id: str) -> None:
        async with self._database.write() as connection:
            statement = delete(runs).where(runs.c.id == run_id, runs.c.status != RunStatus.RUNNING.value)
            if (await connection.execute(statement)).rowcount == 0:
                await fetch(connection, run_id)
                raise run_is_running(run_id)

    async def counts(self) -> dict[RunStatus, int]:
        statement = select(runs.c.status, func.count().label("number")).group_by(runs.c.status)
        async with self._database.read() as connection:
            numbers = {row.status: row.number for row in await connection.execute(statement)}
        return {status: numbers.get(status.value, 0) for status in RunStatus}

    async def restore(self, run: Run, result: RunResult | None, history: Iterable[RunSeries]) -> None:
        summary = run.summary
        checked_id(run.id)
        if summary.status not in FINAL:
            raise run_not_finished(run.id)
        # Checked first, as a long history takes a while to compute; a concurrent insert is detected below.
        async with self._database.read() as connection:
            if (await connection.execute(select(runs.c.id).where(runs.c.id == run.id))).first() is not None:
                raise run_exists(run.id)
        values = {
            **restored_values(run),
            **result_values(result),
            "failure_reasons_json": dumps(run.failure_reasons),
        }
        with staged_history(run.id) as staged:
            await asyncio.to_thread(staged.add, history, with_samples=result is None)
            try:
                async with self._database.write() as connection:
                    await insert_run(connection, {**values, **staged.positions}, summary.tags)
                    await staged.insert(connection)
            except IntegrityError as error:
                raise run_exists(run.id) from error


_IN_RUNS = (runs.c.created_at, runs.c.id)
_STATUS_OF = {
    RunOutcome.QUEUED: RunStatus.PENDING,
    RunOutcome.RUNNING: RunStatus.RUNNING,
    RunOutcome.ERROR: RunStatus.FAILED,
}
_ENDED_EARLY = (StopReason.STOPPED.value, StopReason.CANCELLED.value)


def _with_outcome(outcome: RunOutcome) -> list[ColumnElement[bool]]:
    """Return the conditions for rows with this outcome, the inverse of `run_outcome`."""
    if outcome in _STATUS_OF:
        return [runs.c.status == _STATUS_OF[outcome].value]
    if outcome is RunOutcome.CANCELLED:
        by_reason = and_(runs.c.status == RunStatus.COMPLETED.value, runs.c.stop_reason == StopReason.CANCELLED.value)
        return [or_(runs.c.status == RunStatus.CANCELLED.value, by_reason)]
    completed = runs.c.status == RunStatus.COMPLETED.value
    if outcome is RunOutcome.STOPPED:
        return [completed, runs.c.stop_reason == StopReason.STOPPED.value]
    passed = {RunOutcome.PASSED: True, RunOutcome.FAILED: False}.get(outcome)
    not_ended_early = func.coalesce(runs.c.stop_reason, "").not_in(_ENDED_EARLY)
    return [completed, runs.c.passed.is_(passed), not_ended_early]


def _beyond(
    created_at: ColumnElement[Any], run_id: ColumnElement[Any], cursor: RunCursor, *, newest: bool
) -> ColumnElement[bool]:
    at = cursor.created_at
    if newest:
        return and_(created_at <= at, or_(created_at < at, run_id < cursor.id))
    return and_(created_at >= at, or_(created_at > at, run_id > cursor.id))
