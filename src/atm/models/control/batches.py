"""Batches: the runs of several tests that were started with one request."""

from __future__ import annotations

from datetime import datetime

from atm.models.control.base import Answer
from atm.models.control.runs import RunSummaryView
from atm.models.outcome import RunOutcome


class BatchView(Answer):
    """A batch in a list."""

    id: str
    created_at: datetime
    completed_at: datetime | None
    """When its last run ended; null while a run is queued or in progress."""
    outcome: RunOutcome
    """`queued` or `running` until all runs have ended; then the worst of them, `passed` if all passed."""
    max_concurrency: int | None
    """Most of its runs to execute at the same time; null: the server's limit."""
    total_runs: int
    outcomes: dict[RunOutcome, int]
    """Number of runs by outcome; no zeros."""


class BatchTestView(Answer):
    """A test of a batch, with its runs in the order in which they were created."""

    name: str
    outcome: RunOutcome
    runs: list[RunSummaryView]


class BatchDetail(BatchView):
    """GET /batches/{batch}."""

    tests: list[BatchTestView]
    """By name."""


class BatchList(Answer):
    """GET /batches, newest first."""

    batches: list[BatchView]
    total: int


class BatchCancelled(Answer):
    """POST /batches/{batch}/cancel."""

    id: str
    cancelled: int
    """Number of runs that had not ended."""
    message: str
