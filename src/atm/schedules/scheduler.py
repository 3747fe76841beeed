"""The scheduler: fires due times, starts queued firings, and records how their runs ended.

Any number of schedulers coordinate only through storage. Each step is one transaction that has no effect when another
process was first. So there is no leader and no handover, and a process that dies during a step leaves all of it or
nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from atm.clock import Clock, SystemClock
from atm.dataclass import dataclass
from atm.errors import AtmError, ConflictError, NotFoundError, Problem, SpecError, StorageUnavailableError
from atm.models.schedule import FiringOutcome
from atm.off_loop import off_loop
from atm.runs import credentials
from atm.runs.periodic import PeriodicSteps
from atm.runs.service import Request, RunService
from atm.runs.test_files import TestFiles
from atm.schedules import outcomes, secrets
from atm.schedules.firing_policy import Decision, decide, realigned_due, times_of, with_jitter
from atm.storage import StorageInterface, lookup
from atm.storage.audit import schedule_entry
from atm.storage.records import FINAL, NewRun, Run, RunSource
from atm.storage.schedules import Delivery, Fire, Firing, Schedule
from atm.storage.seal import Sealer

log = logging.getLogger("atm.schedules")

POLL_SECONDS = 0.25
"""How often due times are polled, which is the most a firing is late by."""
FOLLOW_SECONDS = 1.0
"""How often ended runs, and firings queued behind them, are polled."""
REALIGN_SECONDS = 60.0
"""How often schedules are checked for a clock that was set back."""
BATCH = 100


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The run prepared for a firing, or the reason why there is none."""

    run: NewRun | None
    outcome: FiringOutcome = FiringOutcome.ERROR
    error: str | None = None


class Scheduler:
    """Fire schedules on the event loop of a process."""

    def __init__(
        self,
        storage: StorageInterface,
        sealer: Sealer,
        runs: RunService,
        *,
        on_pending: Callable[[], None] = lambda: None,
        clock: Clock | None = None,
        name: str = "",
        seed: int | None = None,
    ) -> None:
        """`name` is recorded as `claimed_by` of firings, by default host and process; `seed` seeds the jitter."""
        self._storage = storage
        self._sealer = sealer
        self._runs = runs
        self._on_pending = on_pending
        self._clock = clock or SystemClock()
        self._name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._random = random.Random(seed)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the periodic steps."""
        steps = ((self.fire_due, POLL_SECONDS), (self.follow, FOLLOW_SECONDS), (self.realign, REALIGN_SECONDS))
        periodic = PeriodicSteps(log, "schedules")
        self._tasks = [asyncio.create_task(periodic.repeat(step, seconds)) for step, seconds in steps]

    async def stop(self) -> None:
        """Stop firing. A step in progress completes as a whole or has no effect."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Due times

    async def fire_due(self) -> int:
        """Handle all due times that have passed; return how many this process handled.

        Raises StorageUnavailableError.
        """
        done = 0
        now = self._clock.now()
        while True:
            due = list(await self._storage.schedules.due(now, BATCH))
            # Shuffled, so that concurrent schedulers rarely compete for the same one.
            self._random.shuffle(due)
            fired = [await self._fire(schedule, now) for schedule in due]
            done += sum(fired)
            # Done when others took all; otherwise repeat, as a schedule that is behind is due again.
            if not any(fired):
                return done

    async def _fire(self, schedule: Schedule, now: datetime) -> bool:
        try:
            decision = decide(schedule, times_of(schedule), now, self._random)
        except SpecError as error:
            return await self._store(schedule, await self._unreadable(schedule, now, error))
        if not decision.runs:
            missed = _Prepared(None, FiringOutcome.MISSED, _missed(schedule, decision.missed + 1))
            return await self._store(schedule, await self._fire_of(schedule, decision, missed, now))
        return await self._store(schedule, await self._fire_of(schedule, decision, await self._prepare(schedule), now))

    async def _store(self, schedule: Schedule, fire: Fire) -> bool:
        firing = await self._storage.schedules.fire(fire)
        if firing is None:
            return False
        extra = {"run_id": firing.run_id} if firing.run_id else {}
        level = logging.WARNING if firing.outcome is FiringOutcome.ERROR else logging.INFO
        reason = f": {firing.error}" if firing.error else ""
        log.log(level, "schedule %r due %s: %s%s", schedule.name, firing.due, firing.outcome, reason, extra=extra)
        if firing.run_id is not None:
            due = f"due {firing.due.isoformat()}"
            await self._storage.audit.append(schedule_entry(schedule.name, "run.create", firing.run_id, fire.at, due))
            self._on_pending()
        return True

    async def _fire_of(self, schedule: Schedule, decision: Decision, prepared: _Prepared, now: datetime) -> Fire:
        fire = Fire(
            seen=schedule,
            due=decision.due,
            at=now,
            claimed_by=self._name,
            next_due=decision.next_due,
            next_at=decision.next_at,
            run=prepared.run,
            outcome=prepared.outcome,
            error=prepared.error,
            missed=decision.missed,
        )
        if prepared.run is not None or prepared.outcome is not FiringOutcome.ERROR:
            return fire
        firing = Firing(schedule.id, decision.due, now, self._name, FiringOutcome.ERROR, None, prepared.error)
        return replace(fire, deliveries=await self._deliveries(schedule, firing, None, now))

    async def _unreadable(self, schedule: Schedule, now: datetime, error: AtmError) -> Fire:
        """End a schedule whose due times can no longer be computed, with an error firing."""
        assert schedule.next_due is not None
        decision = Decision(schedule.next_due, 0, runs=False, next_due=None, next_at=None)
        return await self._fire_of(schedule, decision, _Prepared(None, error=_sentence(error)), now)

    async def _prepare(self, schedule: Schedule) -> _Prepared:
        """Compile the run of a due time. Errors in the spec are returned for the firing, not raised."""
        try:
            spec, tags, files, left_out = await self._spec(schedule)
            if left_out:
                return _Prepared(None, FiringOutcome.SKIPPED, left_out)
            notes = f"Started by the schedule {schedule.name!r}"
            request = Request(tags=tags, notes=notes, source=RunSource.SCHEDULE, files=files)
            return _Prepared(await off_loop(self._runs.prepare, spec, request))
        except StorageUnavailableError:
            raise
        except AtmError as error:
            return _Prepared(None, error=_sentence(error))

    async def _spec(self, schedule: Schedule) -> tuple[dict[str, Any], tuple[str, ...], TestFiles | None, str]:
        """Return the full spec, tags and files of its run, and a reason to skip it ("" for none). Raises AtmError."""
        if schedule.test is None:
            spec, _ = secrets.unseal(self._sealer, schedule)
            assert spec is not None
            return spec, schedule.tags, None, ""
        test = await lookup.find(self._storage.tests, schedule.test)
        if test is None:
            raise NotFoundError(Problem(f"there is no test {schedule.test!r} any more", "test_not_found"))
        left_out = "" if test.enabled else f"the test {test.name!r} is disabled"
        spec = credentials.unseal(self._sealer, test.spec, test.sealed)
        return spec, (*test.tags, *schedule.tags), await self._runs.files_of(test.id), left_out

    # Started firings

    async def follow(self) -> None:
        """Record how runs ended, and start firings queued behind them. Raises StorageUnavailableError."""
        active: set[str] = set()
        for firing, run in await self._storage.schedules.started():
            if run is not None and run.status not in FINAL:
                active.add(firing.schedule_id)
            else:
                await self._settle(firing)
        for firing in await self._storage.schedules.queued():
            if firing.schedule_id not in active:
                await self._start(firing)

    async def _settle(self, firing: Firing) -> None:
        try:
            schedule = await self._storage.schedules.get(firing.schedule_id)
        except NotFoundError:
            return
        run = await self._run(firing)
        if run is not None and run.status not in FINAL:
            return
        end = outcomes.firing_end(run.summary if run else None, run.failure_reasons if run else ())
        ended = replace(firing, outcome=end.outcome, error=end.error)
        deliveries = await self._deliveries(schedule, ended, run, self._clock.now())
        if await self._storage.schedules.settle(ended, deliveries):
            extra = {"run_id": firing.run_id}
            log.info("schedule %r due %s: %s", schedule.name, firing.due, ended.outcome, extra=extra)

    async def _run(self, firing: Firing) -> Run | None:
        try:
            return None if firing.run_id is None else await self._storage.runs.get(firing.run_id)
        except NotFoundError:
            return None

    async def _start(self, firing: Firing) -> None:
        try:
            schedule = await self._storage.schedules.get(firing.schedule_id)
        except NotFoundError:
            return
        now = self._clock.now()
        prepared = await self._prepare(schedule)
        deliveries: tuple[Delivery, ...] = ()
        if prepared.run is None:
            ended = replace(firing, outcome=prepared.outcome, error=prepared.error, fired_at=now)
            deliveries = await self._deliveries(schedule, ended, None, now)
        if await self._storage.schedules.start_queued(
            firing, prepared.run, now, prepared.error, deliveries, prepared.outcome
        ):
            log.info("schedule %r due %s: taken from the queue", schedule.name, firing.due)
            self._on_pending()

    async def _deliveries(
        self, schedule: Schedule, firing: Firing, run: Run | None, now: datetime
    ) -> tuple[Delivery, ...]:
        if not schedule.notify:
            return ()
        try:
            _, channels = secrets.unseal(self._sealer, schedule)
        except StorageUnavailableError:
            raise
        except AtmError as error:
            # The firing still ends; its channels are sealed with a key that is not available.
            log.error("schedule %r: no notification can be sent: %s", schedule.name, error)
            return ()
        before = await self._storage.schedules.firings(
            schedule.id, before=firing.due, outcomes=outcomes.DECIDED, limit=1
        )
        last = before[0].outcome if before else None
        return outcomes.deliveries(self._sealer, schedule, channels, firing, last, run, now)

    # Clock changes

    async def realign(self) -> None:
        """Recompute due times that are too late because the clock was set back. Raises StorageUnavailableError."""
        now = self._clock.now()
        for schedule in await self._storage.schedules.all():
            try:
                following = realigned_due(schedule, times_of(schedule), now)
            except SpecError:
                continue  # reported when it fires
            if following is None:
                continue
            at = with_jitter(following, schedule, self._random)
            try:
                await self._storage.schedules.replace(replace(schedule, next_due=following, next_at=at))
            except (ConflictError, NotFoundError):
                continue  # another process was first
            log.warning("schedule %r waits for %s: the clock was set back", schedule.name, following)


def _sentence(error: AtmError) -> str:
    first, *more = error.problems
    where = f" (at {first.where})" if first.where else ""
    return f"{first.what}{where}" + (f", and {len(more)} more" if more else "")


def _missed(schedule: Schedule, count: int) -> str:
    grace = schedule.misfire_grace_seconds
    times = "1 due time" if count == 1 else f"{count} due times"
    return f"{times} missed, noticed more than {grace} s late"
