"""Schedules, firings and deliveries: their records and store protocols.

    ScheduleStore   schedules and their firings: each due time is fired exactly once by any number of schedulers
    DeliveryStore   queued notifications and their results

The rules of `atm.storage.base` apply: a method that returns has committed, and times are arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any, Protocol

from atm.dataclass import dataclass
from atm.models.schedule import DeliveryStatus, FiringOutcome, Misfire, Overlap
from atm.storage.records import NewRun, RunSummary

MOST_QUEUED = 100
"""How many firings of a schedule may be queued behind a run; further ones are skipped."""
KEPT_FIRINGS = 50
"""How many of the newest firings of each schedule are never pruned: lists show them, and recovery from a failure is
detected by comparison with the previous one."""
FIRINGS_OVER = tuple(
    outcome for outcome in FiringOutcome if outcome not in (FiringOutcome.STARTED, FiringOutcome.QUEUED)
)
"""The final outcomes of firings."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule. Names are unique."""

    id: str
    name: str
    trigger: Mapping[str, Any]
    """`atm.models.schedule.Trigger` as JSON."""
    created_at: datetime
    updated_at: datetime
    description: str = ""
    enabled: bool = True
    spec: Mapping[str, Any] | None = None
    """The spec to run, secrets masked; None when `test` names a saved test."""
    test: str | None = None
    sealed: bytes | None = field(repr=False, default=None)
    """The unmasked `spec` and `notify`, encrypted; None when masking changed neither."""
    max_runs: int | None = None
    run_count: int = 0
    tags: tuple[str, ...] = ()
    overlap: Overlap = Overlap.SKIP
    misfire: Misfire = Misfire.RUN_ONCE
    misfire_grace_seconds: int = 60
    jitter_seconds: int = 0
    start_date: datetime | None = None
    end_date: datetime | None = None
    notify: tuple[Mapping[str, Any], ...] = ()
    """`atm.models.schedule.Notification` as JSON, secrets masked."""
    next_due: datetime | None = None
    """The next due time; None when the schedule is paused or has ended."""
    next_at: datetime | None = None
    """When to fire `next_due`: the due time plus its jitter."""
    version: int = 1
    """Incremented by each change, for optimistic locking."""


@dataclass(frozen=True, slots=True)
class Firing:
    """A due time and its outcome; unique by schedule and due time."""

    schedule_id: str
    due: datetime
    fired_at: datetime
    claimed_by: str
    outcome: FiringOutcome
    run_id: str | None = None
    error: str | None = None
    missed: int = 0
    """Earlier due times that were missed, and that this firing covers."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A queued notification. Its id is derived from its subject, so that creating it twice is idempotent."""

    id: str
    schedule_id: str
    due: datetime
    event: str
    """`failure`, `recovery`, `success` or `cancelled`."""
    channel: str
    """The display name of the channel, secrets masked."""
    created_at: datetime
    document: Mapping[str, Any]
    """`atm.models.schedule.WebhookDocument` as JSON."""
    target: Mapping[str, Any]
    """A `Notification` as JSON, masked; unmasked in `sealed` when masking changed it."""
    sealed: bytes | None = field(repr=False, default=None)
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None
    error: str | None = None


def delivery_id(schedule_id: str, due: datetime, position: int) -> str:
    """Return the id of the notification about a firing to the channel at this position."""
    return hashlib.sha256(f"{schedule_id} {due.timestamp()!r} {position}".encode()).hexdigest()[:32]


def run_key(schedule_id: str, due: datetime) -> str:
    """Return the idempotency key of the run of a firing. It contains a space, which client keys cannot."""
    return f"schedule {schedule_id} {due.timestamp()!r}"


@dataclass(frozen=True, slots=True)
class Fire:
    """A request to fire the next due time of a schedule, as it was read."""

    seen: Schedule
    due: datetime
    at: datetime
    claimed_by: str
    next_due: datetime | None
    next_at: datetime | None
    """The due time after this one."""
    run: NewRun | None = None
    """The run to start; if None, `outcome` gives the reason."""
    outcome: FiringOutcome = FiringOutcome.ERROR
    error: str | None = None
    missed: int = 0
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenFirings:
    """The active and queued firings of a schedule, the input of its overlap policy."""

    active_run: str | None = None
    """A pending or running run of the schedule."""
    queued: int = 0


def decide(overlap: Overlap, open_firings: OpenFirings) -> tuple[FiringOutcome, str | None]:
    """Return the outcome of a due time with a run, and a reason if it is skipped. Shared by all stores."""
    busy = open_firings.active_run is not None
    if overlap is Overlap.ALLOW or not (busy or open_firings.queued):
        return FiringOutcome.STARTED, None
    if overlap is Overlap.SKIP:
        if not busy:
            return FiringOutcome.STARTED, None
        return FiringOutcome.SKIPPED, f"run {open_firings.active_run} of this schedule had not ended"
    if open_firings.queued >= MOST_QUEUED:
        return FiringOutcome.SKIPPED, f"{open_firings.queued} firings of this schedule are queued already"
    return FiringOutcome.QUEUED, None


class ScheduleStore(Protocol):
    """The store of schedules and their firings."""

    async def add(self, schedule: Schedule) -> None:
        """Add a schedule. Raises ConflictError `name_taken`, `invalid_id`."""
        ...

    async def get(self, schedule_id: str) -> Schedule:
        """Return the schedule with this id. Raises NotFoundError."""
        ...

    async def named(self, name: str) -> Schedule | None:
        """Return the schedule with this name, or None."""
        ...

    async def all(self) -> tuple[Schedule, ...]:
        """Return all schedules, ordered by name."""
        ...

    async def replace(self, schedule: Schedule) -> Schedule:
        """Replace the schedule with this id if its version is unchanged; return it with its new version.

        Raises NotFoundError, ConflictError `name_taken`, `schedule_changed`.
        """
        ...

    async def delete(self, schedule_id: str) -> None:
        """Delete a schedule with its firings and deliveries, but not its runs. Raises NotFoundError."""
        ...

    async def due(self, now: datetime, limit: int = 100) -> tuple[Schedule, ...]:
        """Return enabled schedules whose `next_at` has passed, the longest due first."""
        ...

    async def fire(self, fire: Fire) -> Firing | None:
        """Fire a due time: store firing, pending run and the schedule's next due time in one transaction.

        The overlap policy is applied inside the transaction. Returns None when the schedule has changed since it was
        read (by another scheduler or a user), or when this due time was fired before; then it is at most advanced.
        """
        ...

    async def start_queued(
        self,
        firing: Firing,
        run: NewRun | None,
        at: datetime,
        error: str | None,
        deliveries: Sequence[Delivery] = (),
        outcome: FiringOutcome = FiringOutcome.ERROR,
    ) -> bool:
        """Start the run of a firing if it is still queued and its schedule has no pending or running run.

        Without a run the firing ends with this outcome, error and deliveries. One transaction; returns whether it had
        an effect.
        """
        ...

    async def queued(self) -> tuple[Firing, ...]:
        """Return the oldest queued firing of each schedule."""
        ...

    async def started(self) -> tuple[tuple[Firing, RunSummary | None], ...]:
        """Return started firings that were not settled, with their run, or None if it was deleted."""
        ...

    async def settle(self, firing: Firing, deliveries: Sequence[Delivery]) -> bool:
        """End a started firing with this outcome and error, and queue its deliveries, in one transaction.

        Returns false, without effect, when it had ended before.
        """
        ...

    async def firings(
        self,
        schedule_id: str,
        *,
        before: datetime | None = None,
        outcomes: Sequence[FiringOutcome] = (),
        limit: int = 50,
    ) -> tuple[Firing, ...]:
        """Return firings of a schedule due before a time, with one of these outcomes (none: any), newest first."""
        ...

    async def newest_firings(self, ids: Sequence[str], limit: int) -> dict[str, tuple[Firing, ...]]:
        """Return the newest firings of each of these schedules, newest first; no entry for one without firings."""
        ...


class DeliveryStore(Protocol):
    """The queue of notifications."""

    async def claim(self, now: datetime, until: datetime) -> Delivery | None:
        """Claim the pending delivery that is due the longest, counting one more attempt; None when none is due.

        The claim expires at `until`: the delivery is then due again unless `done` was called.
        """
        ...

    async def done(self, delivery: Delivery) -> None:
        """Store status, error and times of a claimed delivery, unless it was claimed again (compared by attempts)."""
        ...

    async def of_schedule(self, schedule_id: str, limit: int = 50) -> tuple[Delivery, ...]:
        """Return the deliveries of a schedule, newest first."""
        ...
