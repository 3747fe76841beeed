"""Schedules, firings and deliveries: what is kept of them, and the contract of the two stores that keep it.

    ScheduleStore   schedules, and every due time that was dealt with: exactly once, whoever and how many deal with them
    DeliveryStore   notifications on their way, and what became of them

What `atm.storage.base` says of all stores holds for these: a method that returns has committed, and nothing reads a
clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from atm.models.schedule import DeliveryStatus, FiringOutcome, Misfire, Overlap
from atm.storage.records import NewRun, RunSummary

MOST_QUEUED = 100
"""So many firings of a schedule may wait for the run before them; one more is skipped."""
KEPT_FIRINGS = 50
"""So many of the newest firings of each schedule are never pruned: lists show them, and whether the next one recovers
from a failure is seen by the one before it."""
FIRINGS_OVER = tuple(
    outcome for outcome in FiringOutcome if outcome not in (FiringOutcome.STARTED, FiringOutcome.QUEUED)
)
"""The outcomes of firings of which nothing more will come."""


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
    """What to run, its secrets masked; null where `test` names a kept test."""
    test: str | None = None
    sealed: bytes | None = field(repr=False, default=None)
    """The whole spec and the whole of `notify`, encrypted, where masking took something away."""
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
    """Null when it is paused or has ended."""
    next_at: datetime | None = None
    """When `next_due` is to be fired: that, and the jitter of it."""
    version: int = 1
    """Raised by every change, so that nobody overwrites what they have not seen."""


@dataclass(frozen=True, slots=True)
class Firing:
    """A due time, and what became of it; unique by schedule and due time."""

    schedule_id: str
    due: datetime
    fired_at: datetime
    claimed_by: str
    outcome: FiringOutcome
    run_id: str | None = None
    error: str | None = None
    missed: int = 0
    """Due times before it that went by unnoticed and are dealt with in it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification. Its id is a function of what it is about, so that making it twice makes one."""

    id: str
    schedule_id: str
    due: datetime
    event: str
    """`failure`, `recovery`, `success` or `cancelled`."""
    channel: str
    """For people; secrets masked."""
    created_at: datetime
    document: Mapping[str, Any]
    """`atm.models.schedule.WebhookDocument` as JSON."""
    target: Mapping[str, Any]
    """A `Notification` as JSON, masked; whole in `sealed` where masking took something away."""
    sealed: bytes | None = field(repr=False, default=None)
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None
    error: str | None = None


def delivery_id(schedule_id: str, due: datetime, position: int) -> str:
    """The id of the notification about this firing to the schedule's channel of that number."""
    return hashlib.sha256(f"{schedule_id} {due.timestamp()!r} {position}".encode()).hexdigest()[:32]


def run_key(schedule_id: str, due: datetime) -> str:
    """The idempotency key of the run of a firing. No client can send one with a blank in it."""
    return f"schedule {schedule_id} {due.timestamp()!r}"


@dataclass(frozen=True, slots=True)
class Fire:
    """What somebody wants to do about the next due time of a schedule, as they have seen it."""

    seen: Schedule
    due: datetime
    at: datetime
    claimed_by: str
    next_due: datetime | None
    next_at: datetime | None
    """What the schedule is due at after this."""
    run: NewRun | None = None
    """Null where there is to be none; then `outcome` says why."""
    outcome: FiringOutcome = FiringOutcome.ERROR
    error: str | None = None
    missed: int = 0
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenFirings:
    """What the firings of a schedule are up to just now: what its overlap policy looks at."""

    active_run: str | None = None
    """A run of it that is pending or running."""
    queued: int = 0


def decide(overlap: Overlap, open_firings: OpenFirings) -> tuple[FiringOutcome, str | None]:
    """What becomes of a due time with a run, and why where there will be none. The same in every store."""
    busy = open_firings.active_run is not None
    if overlap is Overlap.ALLOW or not (busy or open_firings.queued):
        return FiringOutcome.STARTED, None
    if overlap is Overlap.SKIP:
        if not busy:
            return FiringOutcome.STARTED, None
        return FiringOutcome.SKIPPED, f"run {open_firings.active_run} of this schedule had not ended"
    if open_firings.queued >= MOST_QUEUED:
        return FiringOutcome.SKIPPED, f"{open_firings.queued} firings of this schedule are waiting already"
    return FiringOutcome.QUEUED, None


class ScheduleStore(Protocol):
    """Schedules, and every due time that was dealt with."""

    async def add(self, schedule: Schedule) -> None:
        """Raises ConflictError `name_taken`, `invalid_id`."""
        ...

    async def get(self, schedule_id: str) -> Schedule:
        """By id. Raises NotFoundError."""
        ...

    async def named(self, name: str) -> Schedule | None:
        """By name."""
        ...

    async def all(self) -> tuple[Schedule, ...]:
        """All, by name."""
        ...

    async def replace(self, schedule: Schedule) -> Schedule:
        """By id, if its version is still that of `schedule`; gives it with its new version.

        Raises NotFoundError, ConflictError `name_taken`, `schedule_changed`.
        """
        ...

    async def delete(self, schedule_id: str) -> None:
        """With its firings and deliveries; its runs stay. Raises NotFoundError."""
        ...

    async def due(self, now: datetime, limit: int = 100) -> tuple[Schedule, ...]:
        """Enabled schedules whose `next_at` has come, the longest due first."""
        ...

    async def fire(self, fire: Fire) -> Firing | None:
        """Deal with a due time: firing, pending run and the schedule's next due time in one transaction, or nothing.

        The overlap policy is applied inside it. Null when the schedule is no longer as it was seen (somebody else was
        faster, or it was changed), or when this due time has been dealt with before; then it is at most moved on.
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
        """Start the run of a queued firing, if it still is, and no run of its schedule is pending or running.

        Without a run it ends with this outcome, for that reason, with these deliveries. One transaction; false where
        nothing was done.
        """
        ...

    async def queued(self) -> tuple[Firing, ...]:
        """Of each schedule the queued firing that is due the longest."""
        ...

    async def started(self) -> tuple[tuple[Firing, RunSummary | None], ...]:
        """Firings that are not known to have ended, with their run; null where it was deleted."""
        ...

    async def settle(self, firing: Firing, deliveries: Sequence[Delivery]) -> bool:
        """End a started firing with this outcome and error, and make its deliveries, all or nothing.

        False when it had ended before; then nothing was done.
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
        """Firings of a schedule due before that moment, with one of these outcomes (none: any), newest first."""
        ...


class DeliveryStore(Protocol):
    """Notifications on their way."""

    async def claim(self, now: datetime, until: datetime) -> Delivery | None:
        """The pending delivery that is due the longest, with one more attempt; null when none is due.

        Nobody else gets it before `until`, when it is due again unless `done` was called.
        """
        ...

    async def done(self, delivery: Delivery) -> None:
        """Keep status, error and times of a claimed delivery, unless it was claimed again since (by its attempts)."""
        ...

    async def of_schedule(self, schedule_id: str, limit: int = 50) -> tuple[Delivery, ...]:
        """Deliveries about a schedule, newest first."""
        ...
