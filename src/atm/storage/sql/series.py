"""Time series of runs on a database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import LargeBinary, delete, func, insert, literal, select, update

from atm.dataclass import dataclass
from atm.errors import NotFoundError
from atm.metrics.interval import HISTOGRAMS, Interval
from atm.models.outcome import RunStatus
from atm.models.samples import SampledExchange, SampledIteration
from atm.storage.base import MAXIMUM_PAGE, Batch, Written
from atm.storage.errors import corrupt, run_not_found, stale_lease
from atm.storage.records import Lease, RunEvent, SampleQuery
from atm.storage.result import exchanges_from_text, iterations_from_text
from atm.storage.series import queries
from atm.storage.series.queries import Selection, new_data
from atm.storage.series.rollup import Rollup, needed_to_resume
from atm.storage.series.rows import ALL, GENERATOR, RESOLUTIONS, WHOLE, GeneratorPoint, IntervalPoint, IntervalRow
from atm.storage.series.scenario_rows import ScenarioPoints, keys_of
from atm.storage.series.windows import Window
from atm.storage.sql.connection import AsyncConnection
from atm.storage.sql.database import Database
from atm.storage.sql.tables import run_events, run_intervals, run_samples, runs
from atm.storage.sql.values import event_values, row_values, sample_values

_ROW = (
    run_intervals.c.resolution,
    run_intervals.c.start,
    run_intervals.c.endpoint,
    run_intervals.c.warm_up,
    run_intervals.c.counts_json,
    run_intervals.c.figures_json,
    run_intervals.c.histograms,
)


Result = TypeVar("Result")


@dataclass(slots=True)
class _OpenRollup:
    """The rollup of a run that this process writes, and its next interval."""

    token: str
    next_interval: int
    rollup: Rollup


class SqlSeries:
    """The `SeriesStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open_rollups: dict[str, _OpenRollup] = {}

    async def append(self, lease: Lease, batch: Batch) -> Written:
        run_id = lease.run_id
        try:
            before = await self.written(run_id)
        except NotFoundError as error:
            raise stale_lease(run_id) from error
        new = new_data(run_id, before, batch)
        rollup = await self._rollup(lease, before)
        rows = await _added(rollup, new.intervals)
        self._open_rollups.pop(run_id, None)
        values: dict[str, Any] = {
            "next_interval": new.after.next_interval,
            "last_event": new.after.last_event,
            "next_sample": new.after.next_sample,
        }
        if batch.requests_completed is not None:
            values["requests_completed"] = batch.requests_completed
        async with self._database.write() as connection:
            advance = (
                update(runs)
                .where(
                    runs.c.id == run_id,
                    runs.c.lease_token == lease.token,
                    runs.c.status == RunStatus.RUNNING.value,
                    # A token has one writer: a mismatch means a replay concurrent with the original.
                    runs.c.next_interval == before.next_interval,
                    runs.c.last_event == before.last_event,
                    runs.c.next_sample == before.next_sample,
                )
                .values(values)
            )
            if (await connection.execute(advance)).rowcount == 0:
                raise stale_lease(run_id)
            await self.insert_rows(connection, run_id, rows)
            for table, table_rows in (
                (run_events, [event_values(run_id, event) for event in new.events]),
                (run_samples, sample_values(run_id, before.next_sample, new.samples)),
            ):
                if table_rows:
                    await connection.execute(insert(table), table_rows)
        self._open_rollups[run_id] = _OpenRollup(lease.token, new.after.next_interval, rollup)
        return new.after

    async def _rollup(self, lease: Lease, written: Written) -> Rollup:
        """Return the rollup at the end of the stored rows, cached from the last write or resumed."""
        opened = self._open_rollups.get(lease.run_id)
        if opened is not None and (opened.token, opened.next_interval) == (lease.token, written.next_interval):
            return opened.rollup
        return await self._resumed(lease.run_id)

    async def _resumed(self, run_id: str) -> Rollup:
        async with self._database.read() as connection:
            needed = needed_to_resume(await self._covered(connection, run_id))
            rows = [row for span in needed for row in await self._rows(connection, run_id, *span)]
        return await asyncio.to_thread(Rollup.resumed, rows)

    async def closing_rows(self, run_id: str) -> list[IntervalRow]:
        """Return the rows of the open spans, and of the whole run."""
        opened = self._open_rollups.pop(run_id, None)
        rollup = opened.rollup if opened is not None else await self._resumed(run_id)
        return await asyncio.to_thread(rollup.finish)

    def forget(self, run_id: str) -> None:
        """Drop the rollup of a run that has ended."""
        self._open_rollups.pop(run_id, None)

    async def insert_rows(self, connection: AsyncConnection, run_id: str, rows: Sequence[IntervalRow]) -> None:
        """Insert interval rows in the caller's transaction."""
        if rows:
            await connection.execute(insert(run_intervals), [row_values(run_id, row) for row in rows])

    async def written(self, run_id: str) -> Written:
        statement = select(runs.c.next_interval, runs.c.last_event, runs.c.next_sample).where(runs.c.id == run_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            raise run_not_found(run_id)
        return Written(**row._mapping)

    async def intervals(self, run_id: str, start: int = 0, end: int | None = None) -> list[Interval]:
        async with self._database.read() as connection:
            rows = await self._rows(connection, run_id, 1, start, end)
        return await _decoded(run_id, queries.intervals, rows)

    async def points(
        self,
        run_id: str,
        resolution: int,
        start: int = 0,
        end: int | None = None,
        endpoints: Sequence[int] | None = None,
    ) -> list[IntervalPoint]:
        selection = Selection(resolution, start, end, (ALL,) if endpoints is None else tuple(endpoints))
        rows = await self._selected(run_id, selection)
        return await _decoded(run_id, queries.points, rows)

    async def generator(
        self, run_id: str, resolution: int, start: int = 0, end: int | None = None
    ) -> list[GeneratorPoint]:
        rows = await self._selected(run_id, Selection(resolution, start, end, (GENERATOR,)))
        return await _decoded(run_id, queries.generator_points, rows)

    async def scenarios(
        self, run_id: str, resolution: int, scenarios: int, start: int = 0, end: int | None = None
    ) -> ScenarioPoints:
        rows = await self._selected(run_id, Selection(resolution, start, end, keys_of(scenarios)))
        return await _decoded(run_id, queries.scenario_points, rows)

    async def _selected(self, run_id: str, selection: Selection) -> list[IntervalRow]:
        """Return the stored rows, and rows of the open span aggregated from finer ones."""
        async with self._database.read() as connection:
            resolution, start, end = selection.resolution, selection.start, selection.end
            # Only generator points need histograms; those of endpoints use the precomputed figures.
            bare = GENERATOR not in selection.endpoints
            stored = await self._rows(connection, run_id, resolution, start, end, selection.endpoints, bare=bare)
            if resolution == 1 or (resolution == WHOLE and stored):
                return stored
            covered = await self._covered(connection, run_id)
            if not queries.has_open_row(selection, covered):
                return stored
            tail = [row for span in needed_to_resume(covered) for row in await self._rows(connection, run_id, *span)]
        return stored + await asyncio.to_thread(queries.open_rows, selection, covered, tail)

    async def window(
        self,
        run_id: str,
        start: int = 0,
        end: int | None = None,
        endpoints: Sequence[int] | None = None,
        histograms: Sequence[str] = HISTOGRAMS,
        scenarios: int | None = None,
    ) -> Window:
        selected = (ALL,) if endpoints is None else tuple(endpoints)
        if scenarios is not None:
            selected += keys_of(scenarios)
        async with self._database.read() as connection:
            covered = await self._covered(connection, run_id)
            cut = queries.cut(start, end, covered)
            whole_rows = await self._rows(connection, run_id, WHOLE, 0, None, selected) if cut.is_whole else []
            rows = whole_rows or [
                row
                for part in cut.parts
                for row in await self._rows(connection, run_id, part.resolution, part.start, part.end, selected)
            ]
        return await _decoded(run_id, lambda decoded: queries.window(cut, decoded, histograms), rows)

    async def events(self, run_id: str, after: int = 0, limit: int = MAXIMUM_PAGE) -> list[RunEvent]:
        columns = (run_events.c.sequence, run_events.c.kind, run_events.c.at, run_events.c.data_json)
        statement = (
            select(*columns)
            .where(run_events.c.run_id == run_id, run_events.c.sequence > after)
            .order_by(run_events.c.sequence)
            .limit(max(1, min(limit, MAXIMUM_PAGE)))
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        try:
            return [RunEvent(sequence, kind, at, json.loads(data)) for sequence, kind, at, data in rows]
        except ValueError as error:
            raise corrupt(f"the events of run {run_id}", error) from error

    async def samples(self, run_id: str, query: SampleQuery | None = None) -> list[SampledExchange]:
        samples = exchanges_from_text(await self._samples_text(run_id), run_id)
        return [sample for sample in samples if query is None or queries.sample_matches(sample, query)]

    async def sampled_iterations(self, run_id: str) -> list[SampledIteration]:
        return iterations_from_text(await self._samples_text(run_id), run_id)

    async def _samples_text(self, run_id: str) -> str:
        """Return a JSON array of the samples of the result, or of those appended so far."""
        final = select(runs.c.sampled_requests_json).where(runs.c.id == run_id)
        live = select(run_samples.c.sample_json).where(run_samples.c.run_id == run_id).order_by(run_samples.c.number)
        async with self._database.read() as connection:
            text = (await connection.execute(final)).scalar_one_or_none()
            if text is None:
                text = f"[{','.join((await connection.execute(live)).scalars())}]"
        return str(text)

    async def _covered(self, connection: AsyncConnection, run_id: str) -> dict[int, int]:
        """Return the end of the last stored row of each resolution, with one index lookup each."""
        covered: dict[int, int] = {}
        for resolution in RESOLUTIONS:
            last = select(func.max(run_intervals.c.start)).where(
                run_intervals.c.run_id == run_id,
                run_intervals.c.resolution == resolution,
                run_intervals.c.endpoint == GENERATOR,
            )
            start = (await connection.execute(last)).scalar_one_or_none()
            if start is not None:
                covered[resolution] = start + resolution
        return covered

    async def _rows(
        self,
        connection: AsyncConnection,
        run_id: str,
        resolution: int,
        start: int = 0,
        end: int | None = None,
        endpoints: Sequence[int] | None = None,
        *,
        bare: bool = False,
    ) -> list[IntervalRow]:
        columns = (*_ROW[:-1], literal(b"", LargeBinary).label("histograms")) if bare else _ROW
        statement = select(*columns).where(
            run_intervals.c.run_id == run_id,
            run_intervals.c.resolution == resolution,
            run_intervals.c.start >= start,
        )
        if end is not None:
            statement = statement.where(run_intervals.c.start < end)
        if endpoints is not None:
            statement = statement.where(run_intervals.c.endpoint.in_(endpoints))
        statement = statement.order_by(run_intervals.c.start, run_intervals.c.endpoint, run_intervals.c.warm_up.desc())
        return [
            IntervalRow(
                row.resolution,
                row.start,
                row.endpoint,
                row.warm_up,
                counts=row.counts_json,
                figures=row.figures_json,
                histograms=row.histograms,
            )
            for row in await connection.execute(statement)
        ]

    async def seal(self, run_id: str) -> None:
        """Store the open spans and the whole of a run that ended without closing its rollup, before pruning."""
        async with self._database.read() as connection:
            if await self._rows(connection, run_id, WHOLE):
                return
        rows = await self.closing_rows(run_id)
        async with self._database.write() as connection:
            # Another process may have done it meanwhile.
            if not await self._rows(connection, run_id, WHOLE):
                await self.insert_rows(connection, run_id, rows)


async def delete_seconds(connection: AsyncConnection, run_ids: Iterable[str]) -> None:
    """Delete the 1 s intervals of these runs."""
    for run_id in run_ids:
        seconds = delete(run_intervals).where(run_intervals.c.run_id == run_id, run_intervals.c.resolution == 1)
        await connection.execute(seconds)


async def _added(rollup: Rollup, intervals: Sequence[Interval]) -> list[IntervalRow]:
    """Add intervals to a rollup and return the rows; many, from a replayed spool, in a thread."""

    def rows() -> list[IntervalRow]:
        return [row for interval in intervals for row in rollup.add(interval)]

    return await asyncio.to_thread(rows) if len(intervals) > 1 else rows()


async def _decoded(run_id: str, work: Callable[[list[IntervalRow]], Result], rows: list[IntervalRow]) -> Result:
    """Return `work(rows)`, in a thread for many rows. Raises CorruptDataError for unreadable rows."""
    try:
        return await asyncio.to_thread(work, rows) if len(rows) > 64 else work(rows)
    except ValueError as error:
        raise corrupt(f"the intervals of run {run_id}", error) from error
