"""Runs and leases in JSON files."""

from __future__ import annotations

import json
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from atm.errors import NotFoundError
from atm.models.outcome import RunStatus, StopReason
from atm.models.run import RunResult
from atm.private_files import DIRECTORY_MODE
from atm.storage.base import MAXIMUM_PAGE, RunSeries
from atm.storage.errors import (
    idempotency_conflict,
    run_exists,
    run_is_running,
    run_not_finished,
)
from atm.storage.json_files.files import in_thread, read_document, write_document
from atm.storage.json_files.series import JsonSeries
from atm.storage.json_files.state import JUDGED_BY, RESULT, Folder, RunState, SpecFile
from atm.storage.records import (
    FINAL,
    BatchPage,
    CancelRequest,
    Created,
    Finish,
    Lease,
    LeaseState,
    NewRun,
    Order,
    Run,
    RunBatch,
    RunControl,
    RunCursor,
    RunPage,
    RunQuery,
    RunSummary,
    StoredBatch,
    checked_id,
    checked_tags,
    figures_of,
    search_text,
    summary_of,
)
from atm.storage.result import ResultDocuments, dumps, join, split


class JsonRuns:
    """The `RunStore` in JSON files."""

    def __init__(self, folder: Folder, series: JsonSeries) -> None:
        self._folder = folder
        self._series = series

    @in_thread
    def create(self, run: NewRun) -> Created:
        with self._folder.changing():
            before = run_with_key(self._folder, run)
            if before is not None and before.request_digest == run.request_digest:
                return Created(self._folder.with_documents(before), is_new=False)
            if before is not None:
                raise idempotency_conflict(before.summary.id)
            state = add_new(self._folder, run, RunStatus.PENDING)
            return Created(self._folder.with_documents(state), is_new=True)

    @in_thread
    def get(self, run_id: str) -> Run:
        return self._folder.with_documents(self._folder.state(run_id))

    @in_thread
    def get_many(self, ids: Sequence[str]) -> dict[str, Run]:
        runs = {}
        for run_id in ids:
            try:
                runs[run_id] = self._folder.with_documents(self._folder.state(run_id))
            except NotFoundError:
                continue
        return runs

    async def results(self, ids: Sequence[str]) -> dict[str, RunResult]:
        results = {}
        for run_id in ids:
            try:
                result = await self.result(run_id)
            except NotFoundError:
                continue
            if result is not None:
                results[run_id] = result
        return results

    @in_thread
    def newest(self, names: Sequence[str], limit: int) -> dict[str, tuple[RunSummary, ...]]:
        newest: dict[str, list[RunSummary]] = {}
        for run in sorted((state.summary for state in self._folder.states()), key=_sort_key, reverse=True):
            if run.name in names and len(newest.setdefault(run.name, [])) < limit:
                newest[run.name].append(run)
        return {name: tuple(listed) for name, listed in newest.items()}

    @in_thread
    def result(self, run_id: str) -> RunResult | None:
        self._folder.state(run_id)
        document = self._folder.result(run_id)
        if document is None:
            return None
        texts = (dumps(document[name]) for name in ("metrics", "endpoint_metrics", "samples", "rest"))
        return join(ResultDocuments(*texts), self._folder.spec(run_id).spec, run_id)

    @in_thread
    def find(self, prefix: str, limit: int = 10) -> tuple[str, ...]:
        checked_id(prefix)
        ids = sorted(state.summary.id for state in self._folder.states())
        return tuple(run_id for run_id in ids if run_id.startswith(prefix))[:limit]

    @in_thread
    def page(self, query: RunQuery) -> RunPage:
        limit = max(1, min(query.limit, MAXIMUM_PAGE))
        newest = query.order is Order.NEWEST
        matching = [
            state.summary
            for state in self._folder.states()
            if _matches(state.summary, query) and query.batch in (None, state.batch_id)
        ]
        matching.sort(key=_sort_key, reverse=newest)
        rest = matching
        if query.after is not None:
            after = (query.after.created_at, query.after.id)
            rest = [run for run in rest if (_sort_key(run) < after if newest else _sort_key(run) > after)]
        rest = rest[max(0, query.offset) :]
        listed = tuple(rest[:limit])
        more = RunCursor(listed[-1].created_at, listed[-1].id) if len(rest) > limit else None
        return RunPage(listed, len(matching) if query.with_total else None, more)

    @in_thread
    def batches(self, limit: int = 50, offset: int = 0) -> BatchPage:
        batches = sorted(self._batches(), key=lambda stored: (stored.created_at, stored.batch.id), reverse=True)
        first = max(0, offset)
        return BatchPage(tuple(batches[first : first + max(1, min(limit, MAXIMUM_PAGE))]), len(batches))

    @in_thread
    def batch(self, batch_id: str) -> StoredBatch | None:
        return next((stored for stored in self._batches() if stored.batch.id == batch_id), None)

    def _batches(self) -> list[StoredBatch]:
        by_id: dict[str, list[RunState]] = {}
        for state in self._folder.states():
            if state.batch_id is not None:
                by_id.setdefault(state.batch_id, []).append(state)
        return [
            StoredBatch(
                RunBatch(batch_id, states[0].batch_limit),
                min(state.summary.created_at for state in states),
                len(states),
            )
            for batch_id, states in by_id.items()
        ]

    @in_thread
    def annotate(self, run_id: str, *, notes: str | None = None, tags: Sequence[str] | None = None) -> Run:
        with self._folder.changing():
            state = self._folder.state(run_id)
            if notes is not None:
                state = replace(state, notes=notes.replace("\0", ""))
            if tags is not None:
                state = replace(state, summary=replace(state.summary, tags=checked_tags(tags)))
            self._folder.write(state)
            return self._folder.with_documents(state)

    @in_thread
    def delete(self, run_id: str) -> None:
        with self._folder.changing():
            if self._folder.state(run_id).summary.status is RunStatus.RUNNING:
                raise run_is_running(run_id)
            self._folder.remove(run_id)

    @in_thread
    def counts(self) -> dict[RunStatus, int]:
        counts = dict.fromkeys(RunStatus, 0)
        for state in self._folder.states():
            counts[state.summary.status] += 1
        return counts

    @in_thread
    def restore(self, run: Run, result: RunResult | None, history: Iterable[RunSeries]) -> None:
        checked_id(run.id)
        if run.status not in FINAL:
            raise run_not_finished(run.id)
        if exists(self._folder, run.id):
            raise run_exists(run.id)
        state = RunState(run.summary, run.notes, run.failure_reasons, judged_by=JUDGED_BY, files=run.files)
        spec = SpecFile(run.spec)
        # Staged in a hidden directory without the lock, as a long history takes a while.
        staged = self._folder.run(f".{run.id}.{secrets.token_hex(8)}")
        staged.mkdir(mode=DIRECTORY_MODE)
        try:
            self._series.write_whole(staged.name, history, with_samples=result is None)
            if result is not None:
                write_result(self._folder, staged.name, result)
            with self._folder.changing():
                # A run exists once its `run.json` does, which is written last; it may have been stored meanwhile.
                if exists(self._folder, run.id):
                    raise run_exists(run.id)
                folder = self._folder.run(run.id)
                shutil.rmtree(folder, ignore_errors=True)
                staged.rename(folder)
                self._folder.add(state, spec)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


class JsonLeases:
    """The `LeaseStore` in JSON files."""

    def __init__(self, folder: Folder, series: JsonSeries) -> None:
        self._folder = folder
        self._series = series

    @in_thread
    def claim(self, owner: str, token: str, maximum: int) -> Run | None:
        with self._folder.changing():
            states = self._folder.states()
            running = [state for state in states if state.summary.status is RunStatus.RUNNING]
            # A batch may limit how many of its runs are running.
            batches = Counter(state.batch_id for state in running)
            pending = [
                state
                for state in states
                if state.summary.status is RunStatus.PENDING
                and (state.batch_limit is None or batches[state.batch_id] < state.batch_limit)
            ]
            if not pending or len(running) >= maximum:
                return None
            first = min(pending, key=lambda state: _sort_key(state.summary))
            summary = replace(first.summary, status=RunStatus.RUNNING)
            claimed = replace(first, summary=summary, lease_owner=owner, lease_token=token, lease_beat=0)
            self._folder.write(claimed)
            return self._folder.with_documents(claimed)

    @in_thread
    def begin(self, run: NewRun, owner: str, token: str) -> Run:
        with self._folder.changing():
            before = run_with_key(self._folder, run)
            if before is not None:
                raise idempotency_conflict(before.summary.id)
            state = add_new(self._folder, run, RunStatus.RUNNING, lease_owner=owner, lease_token=token)
            return self._folder.with_documents(state)

    @in_thread
    def renew(self, lease: Lease) -> RunControl:
        with self._folder.changing():
            state = self._folder.owned(lease)
            self._folder.write(replace(state, lease_beat=state.lease_beat + 1))
            return _control(state)

    @in_thread
    def control(self, run_id: str) -> RunControl:
        return _control(self._folder.state(run_id))

    @in_thread
    def started(self, lease: Lease, at: datetime, engine: str) -> None:
        with self._folder.changing():
            state = self._folder.owned(lease)
            self._folder.write(replace(state, summary=replace(state.summary, started_at=at, engine=engine)))

    @in_thread
    def finish(self, lease: Lease, finish: Finish) -> None:
        with self._folder.changing():
            state = self._folder.owned(lease)
            self._series.close(lease.run_id)
            summary = state.summary
            stop_reason = finish.stop_reason
            if finish.result is not None:
                write_result(self._folder, lease.run_id, finish.result)
                stop_reason = stop_reason or finish.result.run.stop_reason
                summary = replace(summary, **figures_of(finish.result))
            summary = replace(
                summary,
                status=finish.status,
                completed_at=finish.completed_at,
                error_message=finish.error_message,
                stop_reason=stop_reason,
            )
            ended = replace(state, summary=summary, failure_reasons=finish.failure_reasons, lease_token=None)
            self._folder.write(ended)

    @in_thread
    def states(self) -> tuple[LeaseState, ...]:
        running = [state for state in self._folder.states() if state.summary.status is RunStatus.RUNNING]
        running.sort(key=lambda state: _sort_key(state.summary))
        return tuple(
            LeaseState(state.summary.id, state.lease_owner or "", state.lease_token or "", state.lease_beat)
            for state in running
        )

    @in_thread
    def expire(self, seen: LeaseState, reason: str, at: datetime) -> bool:
        with self._folder.changing():
            try:
                state = self._folder.state(seen.run_id)
            except NotFoundError:
                return False
            unchanged = (state.lease_token, state.lease_beat) == (seen.token, seen.beat)
            if not unchanged or state.summary.status is not RunStatus.RUNNING:
                return False
            summary = replace(
                state.summary,
                status=RunStatus.FAILED,
                stop_reason=StopReason.FAILED,
                completed_at=at,
                error_message=reason,
            )
            self._folder.write(replace(state, summary=summary, failure_reasons=(reason,), lease_token=None))
            return True

    @in_thread
    def request_cancel(self, run_id: str, how: CancelRequest, at: datetime) -> RunStatus:
        with self._folder.changing():
            state = self._folder.state(run_id)
            summary = state.summary
            if summary.status in FINAL:
                return summary.status
            if summary.status is RunStatus.PENDING:
                cancelled, reason = RunStatus.CANCELLED, StopReason.CANCELLED
                summary = replace(summary, status=cancelled, completed_at=at, stop_reason=reason)
            request = CancelRequest.NOW if state.cancel is CancelRequest.NOW else how
            self._folder.write(replace(state, summary=summary, cancel=request))
            return summary.status


def exists(folder: Folder, run_id: str) -> bool:
    """Return whether a run with this id exists."""
    return read_document(folder.run(run_id) / "run.json") is not None


def run_with_key(folder: Folder, run: NewRun) -> RunState | None:
    """Return the run that was created with the same idempotency key, if any."""
    checked_id(run.id)
    if run.idempotency_key is None:
        return None
    return next((state for state in folder.states() if state.idempotency_key == run.idempotency_key), None)


def add_new(folder: Folder, run: NewRun, status: RunStatus, **lease: Any) -> RunState:
    """Store a new run. Raises ConflictError `run_exists`."""
    if exists(folder, run.id):
        raise run_exists(run.id)
    state = RunState(
        summary_of(run, status),
        run.notes.replace("\0", ""),
        idempotency_key=run.idempotency_key,
        request_digest=run.request_digest,
        judged_by=JUDGED_BY,
        batch_id=run.batch.id if run.batch else None,
        batch_limit=run.batch.most_running if run.batch else None,
        files=run.files,
        **lease,
    )
    folder.add(state, SpecFile(run.spec, run.sealed))
    return state


def write_result(folder: Folder, run_id: str, result: RunResult) -> None:
    """Write `result.json`."""
    documents = split(result)
    names = ("metrics", "endpoint_metrics", "samples", "rest")
    write_document(folder.run(run_id) / RESULT, {name: json.loads(getattr(documents, name)) for name in names})


def _sort_key(summary: RunSummary) -> tuple[datetime, str]:
    return summary.created_at, summary.id


def _control(state: RunState) -> RunControl:
    return RunControl(state.summary.status, state.lease_token, state.cancel)


def _matches(run: RunSummary, query: RunQuery) -> bool:
    return (
        (query.name is None or run.name == query.name)
        and (query.tag is None or query.tag in run.tags)
        and (query.status is None or run.status is query.status)
        and (query.passed is None or run.passed is query.passed)
        and (query.outcome is None or run.outcome is query.outcome)
        and (query.measurement is None or run.measurement is query.measurement)
        and (query.since is None or run.created_at >= query.since)
        and (query.until is None or run.created_at < query.until)
        and (not query.text or query.text.lower() in search_text(run.name, run.url))
    )
