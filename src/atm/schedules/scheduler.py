"""Fires what is due, starts what was queued, and notes how runs ended. Any number of these agree through storage alone.

Each step reads what there is to do and does it in one transaction that does nothing where somebody else was faster. So
there is no leader, nothing to hand over, and a process that dies in the middle of a step leaves either all of it or
nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from atm.clock import Clock, SystemClock
from atm.errors import AtmError, ConflictError, NotFoundError, Problem, SpecError, StorageUnavailableError
from atm.models.schedule import FiringOutcome
from atm.off_loop import off_loop
from atm.runs import credentials
from atm.runs.service import Request, RunService
from atm.schedules import outcomes, secrets
from atm.schedules.firing_policy import Decision, decide, is_put_back, times_of, with_jitter
from atm.storage import StorageInterface, lookup
from atm.storage.audit import schedule_entry
from atm.storage.records import FINAL, NewRun, Run, RunSource
from atm.storage.schedules import Delivery, Fire, Firing, Schedule
from atm.storage.seal import Sealer

log = logging.getLogger("atm.schedules")

LOOK_SECONDS = 0.25
"""How often it is looked for due times: the most that one is late by."""
FOLLOW_SECONDS = 1.0
"""How often it is looked for runs that have ended, and for firings that wait for one."""
REALIGN_SECONDS = 60.0
"""How often it is looked for schedules that wait too long, because their clock was put back."""
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a schedule wants to run: a run, or the reason why there is none."""

    run: NewRun | None
    outcome: FiringOutcome = FiringOutcome.ERROR
    error: str | None = None


class Scheduler:
    """One in each process that fires schedules, on its event loop."""

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
        """`name` is what firings say who claimed them, by default host and process; `seed` is that of the jitter."""
        self._storage = storage
        self._sealer = sealer
        self._runs = runs
        self._on_pending = on_pending
        self._clock = clock or SystemClock()
        self._name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._chance = random.Random(seed)
        self._tasks: list[asyncio.Task[None]] = []
        self._away = False

    def start(self) -> None:
        """Begin to fire and to follow."""
        steps = ((self.fire_due, LOOK_SECONDS), (self.follow, FOLLOW_SECONDS), (self.realign, REALIGN_SECONDS))
        self._tasks = [asyncio.create_task(self._repeat(step, seconds)) for step, seconds in steps]

    async def stop(self) -> None:
        """Fire no more. What is under way ends as a whole, or not at all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, step: Callable[[], Any], seconds: float) -> None:
        while True:
            try:
                await step()
                self._away = False
            except StorageUnavailableError as error:
                if not self._away:
                    log.warning("schedules cannot be read: %s", error)
                self._away = True
            except AtmError as error:
                log.error("schedules: %s", error)
            except Exception:  # a fault of ours must not end all schedules in silence
                log.exception("schedules")
            await asyncio.sleep(seconds)

    # What is due

    async def fire_due(self) -> int:
        """Deal with every due time that has come; how many were dealt with here. Raises StorageUnavailableError."""
        done = 0
        now = self._clock.now()
        while True:
            come = list(await self._storage.schedules.due(now, AT_ONCE))
            # Those who work side by side begin at different ends.
            self._chance.shuffle(come)
            fired = [await self._fire(schedule, now) for schedule in come]
            done += sum(fired)
            # Where all were others' there is nothing to do, and where a schedule is behind it is due once more.
            if not any(fired):
                return done

    async def _fire(self, schedule: Schedule, now: datetime) -> bool:
        try:
            decision = decide(schedule, times_of(schedule), now, self._chance)
        except SpecError as error:
            return await self._fired(schedule, await self._impossible(schedule, now, error))
        if not decision.runs:
            missed = _Wanted(None, FiringOutcome.MISSED, _missed(schedule, decision.missed + 1))
            return await self._fired(schedule, await self._fire_of(schedule, decision, missed, now))
        return await self._fired(schedule, await self._fire_of(schedule, decision, await self._wanted(schedule), now))

    async def _fired(self, schedule: Schedule, fire: Fire) -> bool:
        firing = await self._storage.schedules.fire(fire)
        if firing is None:
            return False
        extra = {"run_id": firing.run_id} if firing.run_id else {}
        level = logging.WARNING if firing.outcome is FiringOutcome.ERROR else logging.INFO
        said = f": {firing.error}" if firing.error else ""
        log.log(level, "schedule %r due %s: %s%s", schedule.name, firing.due, firing.outcome, said, extra=extra)
        if firing.run_id is not None:
            due = f"due {firing.due.isoformat()}"
            await self._storage.audit.append(schedule_entry(schedule.name, "run.create", firing.run_id, fire.at, due))
            self._on_pending()
        return True

    async def _fire_of(self, schedule: Schedule, decision: Decision, wanted: _Wanted, now: datetime) -> Fire:
        fire = Fire(
            seen=schedule,
            due=decision.due,
            at=now,
            claimed_by=self._name,
            next_due=decision.next_due,
            next_at=decision.next_at,
            run=wanted.run,
            outcome=wanted.outcome,
            error=wanted.error,
            missed=decision.missed,
        )
        if wanted.run is not None or wanted.outcome is not FiringOutcome.ERROR:
            return fire
        firing = Firing(schedule.id, decision.due, now, self._name, FiringOutcome.ERROR, None, wanted.error)
        return replace(fire, deliveries=await self._deliveries(schedule, firing, None, now))

    async def _impossible(self, schedule: Schedule, now: datetime, error: AtmError) -> Fire:
        """A schedule whose due times cannot be worked out any more ends, and says so."""
        assert schedule.next_due is not None
        decision = Decision(schedule.next_due, 0, runs=False, next_due=None, next_at=None)
        return await self._fire_of(schedule, decision, _Wanted(None, error=_sentence(error)), now)

    async def _wanted(self, schedule: Schedule) -> _Wanted:
        """The run of a due time, compiled now. What is wrong with it is told in the firing, not raised."""
        try:
            spec, tags, left_out = await self._spec(schedule)
            if left_out:
                return _Wanted(None, FiringOutcome.SKIPPED, left_out)
            notes = f"Started by the schedule {schedule.name!r}"
            asked = Request(tags=tags, notes=notes, source=RunSource.SCHEDULE)
            return _Wanted(await off_loop(self._runs.prepare, spec, asked))
        except StorageUnavailableError:
            raise
        except AtmError as error:
            return _Wanted(None, error=_sentence(error))

    async def _spec(self, schedule: Schedule) -> tuple[dict[str, Any], tuple[str, ...], str]:
        """The whole spec, the tags of its run, and why it is left out, if it is. Raises AtmError."""
        if schedule.test is None:
            spec, _ = secrets.unseal(self._sealer, schedule)
            assert spec is not None
            return spec, schedule.tags, ""
        test = await lookup.found(self._storage.tests, schedule.test)
        if test is None:
            raise NotFoundError(Problem(f"there is no test {schedule.test!r} any more", "test_not_found"))
        left_out = "" if test.enabled else f"the test {test.name!r} is disabled"
        return credentials.unseal(self._sealer, test.spec, test.sealed), (*test.tags, *schedule.tags), left_out

    # What was started

    async def follow(self) -> None:
        """Note how runs ended, and start what waited for them. Raises StorageUnavailableError."""
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
        ending = outcomes.ending_of(run.summary if run else None, run.failure_reasons if run else ())
        ended = replace(firing, outcome=ending.outcome, error=ending.error)
        told = await self._deliveries(schedule, ended, run, self._clock.now())
        if await self._storage.schedules.settle(ended, told):
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
        wanted = await self._wanted(schedule)
        told: tuple[Delivery, ...] = ()
        if wanted.run is None:
            ended = replace(firing, outcome=wanted.outcome, error=wanted.error, fired_at=now)
            told = await self._deliveries(schedule, ended, None, now)
        if await self._storage.schedules.start_queued(firing, wanted.run, now, wanted.error, told, wanted.outcome):
            log.info("schedule %r due %s: its turn has come", schedule.name, firing.due)
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
            # The firing still ends; who was to be told is sealed with a key that is gone.
            log.error("schedule %r: nobody can be notified: %s", schedule.name, error)
            return ()
        before = await self._storage.schedules.firings(
            schedule.id, before=firing.due, outcomes=outcomes.DECIDED, limit=1
        )
        last = before[0].outcome if before else None
        return outcomes.deliveries(self._sealer, schedule, channels, firing, last, run, now)

    # The clock

    async def realign(self) -> None:
        """Let no schedule wait for what it was due at before the clock was put back. Raises StorageUnavailableError."""
        now = self._clock.now()
        for schedule in await self._storage.schedules.all():
            try:
                following = is_put_back(schedule, times_of(schedule), now)
            except SpecError:
                continue  # firing it tells so
            if following is None:
                continue
            at = with_jitter(following, schedule, self._chance)
            try:
                await self._storage.schedules.replace(replace(schedule, next_due=following, next_at=at))
            except (ConflictError, NotFoundError):
                continue  # somebody else was faster
            log.warning("schedule %r waits for %s: the clock was put back", schedule.name, following)


def _sentence(error: AtmError) -> str:
    first, *more = error.problems
    where = f" (at {first.where})" if first.where else ""
    return f"{first.what}{where}" + (f", and {len(more)} more" if more else "")


def _missed(schedule: Schedule, count: int) -> str:
    grace = schedule.misfire_grace_seconds
    times = "1 due time" if count == 1 else f"{count} due times"
    return f"{times} went by, noticed more than {grace} s late"
