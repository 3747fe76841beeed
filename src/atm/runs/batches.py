"""Batches of runs: their state is derived from their runs, so a batch survives a restart as its runs do.

After a restart of the server, queued runs of a batch are started as any others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from atm.errors import NotFoundError, Problem
from atm.models.control.batches import BatchDetail, BatchTestView, BatchView
from atm.models.control.runs import RunSummaryView
from atm.models.outcome import RunOutcome
from atm.runs.service import RunService
from atm.runs.views import summary_view
from atm.storage import StorageInterface
from atm.storage.records import FINAL, Order, RunQuery, RunSummary, StoredBatch

MOST_RUNS = 1000
"""The largest batch."""
_WORST_FIRST = (
    RunOutcome.ERROR,
    RunOutcome.FAILED,
    RunOutcome.INVALID,
    RunOutcome.CANCELLED,
    RunOutcome.STOPPED,
    RunOutcome.PASSED,
)


def outcome_of(outcomes: Iterable[RunOutcome]) -> RunOutcome:
    """Return the word for several runs: queued, running, or the worst of those that have ended."""
    present = set(outcomes)
    if present == {RunOutcome.QUEUED}:
        return RunOutcome.QUEUED
    if present & {RunOutcome.QUEUED, RunOutcome.RUNNING}:
        return RunOutcome.RUNNING
    return next(outcome for outcome in _WORST_FIRST if outcome in present)


async def find_batch(storage: StorageInterface, batch_id: str) -> StoredBatch:
    """Return the batch. Raises NotFoundError."""
    stored = await storage.runs.batch(batch_id)
    if stored is None:
        raise NotFoundError(Problem(f"there is no batch {batch_id!r}", "batch_not_found"))
    return stored


async def runs_of(storage: StorageInterface, batch_id: str) -> Sequence[RunSummary]:
    """Return the runs of the batch in the order in which they were created."""
    query = RunQuery(batch=batch_id, order=Order.OLDEST, limit=MOST_RUNS, with_total=False)
    return (await storage.runs.page(query)).runs


async def batch_view(storage: StorageInterface, stored: StoredBatch) -> BatchView:
    """Return the batch with the state of its runs."""
    return _view(stored, await runs_of(storage, stored.batch.id))


async def batch_detail(storage: StorageInterface, stored: StoredBatch) -> BatchDetail:
    """Return the batch with its runs by test."""
    runs = await runs_of(storage, stored.batch.id)
    by_test: dict[str, list[RunSummaryView]] = {}
    for run in runs:
        by_test.setdefault(run.name, []).append(summary_view(run))
    tests = [
        BatchTestView(name=name, outcome=outcome_of(run.outcome for run in views), runs=views)
        for name, views in sorted(by_test.items())
    ]
    return BatchDetail(**dict(_view(stored, runs)), tests=tests)


def _view(stored: StoredBatch, runs: Sequence[RunSummary]) -> BatchView:
    has_ended = all(run.status in FINAL for run in runs)
    ends = [run.completed_at for run in runs if run.completed_at is not None]
    return BatchView(
        id=stored.batch.id,
        created_at=stored.created_at,
        completed_at=max(ends, default=None) if has_ended else None,
        outcome=outcome_of(run.outcome for run in runs),
        max_concurrency=stored.batch.most_running,
        total_runs=len(runs),
        outcomes=dict(Counter(run.outcome for run in runs)),
    )


async def cancel_batch(storage: StorageInterface, runs: RunService, batch_id: str, *, graceful: bool) -> int:
    """Cancel or stop all runs of the batch that have not ended, queued ones first. Return their number."""
    unfinished = [run for run in await runs_of(storage, batch_id) if run.status not in FINAL]
    # Queued runs first, so that none of them starts when another ends.
    for run in sorted(unfinished, key=lambda run: run.started_at is not None):
        await runs.cancel(run.id, graceful=graceful)
    return len(unfinished)
