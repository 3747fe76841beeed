"""What can be asked about schedules: make, change, pause, delete them, and see what has become of them."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from atm.clock import Clock, SystemClock
from atm.engine.executor import new_run_id
from atm.errors import ConflictError, NotFoundError, Problem, SpecError
from atm.models.schedule import AppriseTarget, FiringOutcome, PreviewAnswer, PreviewRequest, ScheduleRequest, Webhook
from atm.off_loop import off_loop
from atm.plan.targets import TargetRules
from atm.runs import credentials
from atm.runs.service import RunService
from atm.schedules import secrets
from atm.schedules.firing_policy import times_of, with_jitter
from atm.schedules.triggers import describe, due_times, upcoming
from atm.storage import StorageInterface, lookup
from atm.storage.records import RunSummary, checked_tags
from atm.storage.schedules import Delivery, Firing, Schedule
from atm.storage.seal import Sealer

UPCOMING = 5
RECENT = 20
_ATTEMPTS = 5
"""So often a change is tried again when the schedule was fired meanwhile."""


@dataclass(frozen=True, slots=True)
class ScheduleDetails:
    """A schedule and what is to be said about it beside itself."""

    schedule: Schedule
    upcoming: tuple[datetime, ...]
    recent: tuple[Firing, ...]
    last_run: RunSummary | None


class ScheduleService:
    """Schedules, as the front doors ask for them. A schedule is named by its id or its name."""

    def __init__(
        self,
        storage: StorageInterface,
        sealer: Sealer,
        runs: RunService,
        *,
        targets: TargetRules | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`targets` is where webhooks may lead."""
        self._storage = storage
        self._sealer = sealer
        self._runs = runs
        self._targets = targets or TargetRules()
        self._clock = clock or SystemClock()
        self._chance = random.Random()

    async def create(self, asked: ScheduleRequest) -> Schedule:
        """Raises SpecError with every problem found, CapabilityError, ConflictError `name_taken`."""
        now = self._clock.now()
        schedule = await self._made(asked, new_run_id(), now, None)
        await self._storage.schedules.add(schedule)
        return await self._storage.schedules.get(schedule.id)

    async def change(self, named: str, asked: ScheduleRequest) -> Schedule:
        """Replace all of a schedule but its history; `***` stays as it was. Raises as `create`, and NotFoundError."""

        async def changed(before: Schedule) -> Schedule:
            return await self._made(asked, before.id, self._clock.now(), before)

        return await self._changed(named, changed)

    async def enable(self, named: str, *, enabled: bool) -> Schedule:
        """Pause a schedule, or let it go on: from now on, without what it was due at meanwhile.

        Raises NotFoundError.
        """

        async def changed(before: Schedule) -> Schedule:
            if before.enabled == enabled:
                return before
            now = self._clock.now()
            return self._aligned(replace(before, enabled=enabled, updated_at=now), now)

        return await self._changed(named, changed)

    async def delete(self, named: str) -> None:
        """With its firings and deliveries; its runs stay. Raises NotFoundError."""
        await self._storage.schedules.delete((await self.find(named)).id)

    async def find(self, named: str) -> Schedule:
        """By id, else by name. Raises NotFoundError."""
        found = await lookup.found(self._storage.schedules, named)
        if found is None:
            raise NotFoundError(Problem(f"there is no schedule {named[:64]!r}", "schedule_not_found"))
        return found

    async def standing(self, schedule: Schedule) -> ScheduleDetails:
        """A schedule, when it is due, and what became of it lately."""
        recent = await self._storage.schedules.firings(schedule.id, limit=RECENT)
        newest = next((each.run_id for each in recent if each.run_id is not None), None)
        last_run = None
        if newest is not None:
            try:
                last_run = (await self._storage.runs.get(newest)).summary
            except NotFoundError:
                last_run = None  # it was deleted; its firing stays
        return ScheduleDetails(schedule, self._upcoming(schedule), recent, last_run)

    async def all(self) -> list[ScheduleDetails]:
        """All, by name."""
        return [await self.standing(each) for each in await self._storage.schedules.all()]

    async def firings(
        self,
        named: str,
        *,
        before: datetime | None = None,
        outcomes: Sequence[FiringOutcome] = (),
        limit: int = 50,
    ) -> tuple[Firing, ...]:
        """What became of its due times, newest first. Raises NotFoundError."""
        schedule = await self.find(named)
        return await self._storage.schedules.firings(schedule.id, before=before, outcomes=outcomes, limit=limit)

    async def deliveries(self, named: str, limit: int = 50) -> tuple[Delivery, ...]:
        """What became of its notifications, newest first. Raises NotFoundError."""
        return await self._storage.deliveries.of_schedule((await self.find(named)).id, limit)

    def preview(self, asked: PreviewRequest) -> PreviewAnswer:
        """When a trigger would be due. Raises SpecError."""
        now = self._clock.now()
        times = due_times(asked.trigger, now.replace(microsecond=0), asked.start_date, asked.end_date)
        return PreviewAnswer(describes=describe(asked.trigger), upcoming=upcoming(times, now, asked.count))

    def _upcoming(self, schedule: Schedule) -> tuple[datetime, ...]:
        left = UPCOMING
        if schedule.max_runs is not None:
            left = min(left, max(schedule.max_runs - schedule.run_count, 0))
        try:
            return tuple(upcoming(times_of(schedule), self._clock.now(), left))
        except SpecError:
            return ()  # its zone is gone; firing it tells so

    async def _changed(self, named: str, change: Callable[[Schedule], Awaitable[Schedule]]) -> Schedule:
        """Apply a change to a schedule as it is now, again where it was fired meanwhile."""
        attempts = _ATTEMPTS
        while True:
            before = await self.find(named)
            after = await change(before)
            if after is before:
                return before
            try:
                return await self._storage.schedules.replace(after)
            except ConflictError as error:
                attempts -= 1
                if error.problems[0].code != "schedule_changed" or not attempts:
                    raise

    async def _made(self, asked: ScheduleRequest, schedule_id: str, now: datetime, before: Schedule | None) -> Schedule:
        spec_before, channels_before = (None, []) if before is None else secrets.unseal(self._sealer, before)
        shown, spec = await self._spec(asked, spec_before)
        channels = secrets.whole_channels(asked.notify, channels_before)
        self._check_targets(asked.notify, channels)
        made = Schedule(
            id=schedule_id,
            name=lookup.checked_name(asked.name),
            trigger=asked.trigger.model_dump(mode="json", exclude_none=True),
            created_at=before.created_at if before else now,
            updated_at=now,
            description=asked.description,
            enabled=asked.enabled,
            spec=shown,
            test=asked.test,
            sealed=secrets.seal(self._sealer, spec, channels),
            max_runs=asked.max_runs,
            run_count=before.run_count if before else 0,
            tags=checked_tags(asked.tags),
            overlap=asked.overlap,
            misfire=asked.misfire,
            misfire_grace_seconds=asked.misfire_grace_seconds,
            jitter_seconds=asked.jitter_seconds,
            start_date=asked.start_date,
            end_date=asked.end_date,
            notify=tuple(secrets.masked(each) for each in channels),
            version=before.version if before else 1,
        )
        if before is not None and _is_due_alike(before, made):
            return replace(made, next_due=before.next_due, next_at=before.next_at)
        aligned = self._aligned(made, now)
        if aligned.next_due is None and made.enabled and not _has_run_out(made):
            what = f"{describe(asked.trigger)}: that will never be again"
            raise SpecError(Problem(what, "never_due", path="trigger", hint="look at it with `atm schedule preview`"))
        return aligned

    def _aligned(self, schedule: Schedule, now: datetime) -> Schedule:
        """The schedule, waiting for the first due time after `now`. Raises SpecError."""
        times = times_of(schedule)
        wanted = schedule.enabled and not _has_run_out(schedule)
        following = times.next(now) if wanted else None
        return replace(schedule, next_due=following, next_at=with_jitter(following, schedule, self._chance))

    async def _spec(
        self, asked: ScheduleRequest, before: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """The spec as it is shown, and whole; neither where a kept test is named, which must be there."""
        if asked.test is not None:
            await self._check_test(asked.test)
            return None, None
        assert asked.spec is not None
        try:
            if before is None:
                credentials.reject_masks(asked.spec)
                compiled = await off_loop(self._runs.compile, asked.spec)
            else:
                whole = await off_loop(credentials.restored, asked.spec, before, self._runs.compile)
                compiled = await off_loop(self._runs.compile, whole)
        except SpecError as error:
            raise SpecError([_in_spec(problem) for problem in error.problems]) from error
        return dict(compiled.data), compiled.spec.to_data()

    async def _check_test(self, test: str) -> None:
        if await lookup.found(self._storage.tests, test) is None:
            what = f"there is no test {test[:64]!r}"
            raise SpecError(Problem(what, "test_not_found", path="test", hint="GET /tests lists them"))

    def _check_targets(self, asked: Sequence[Webhook | AppriseTarget], channels: Sequence[Mapping[str, Any]]) -> None:
        """Webhooks lead where runs may lead, and nowhere else; addresses are checked again when one is sent."""
        problems = []
        for index, (each, channel) in enumerate(zip(asked, channels, strict=True)):
            if not isinstance(each, Webhook):
                continue
            host = urlsplit(channel["url"]).hostname or ""
            refusal = self._targets.refusal_of_name(host) if host else "the URL names no host"
            if refusal:
                hint = "whoever runs the server may add it to ATM_ALLOWED_TARGETS"
                problems.append(Problem(refusal, "target_not_allowed", path=f"notify[{index}].url", hint=hint))
        if problems:
            raise SpecError(problems)


def _in_spec(problem: Problem) -> Problem:
    """A problem of the spec as one of the schedule: both have names, and more in common."""
    return replace(problem, path=f"spec.{problem.path}" if problem.path else "spec")


def _is_due_alike(before: Schedule, after: Schedule) -> bool:
    """Whether a changed schedule is due at the same times, so that it goes on waiting for the same one."""
    names = ("trigger", "start_date", "end_date", "enabled", "jitter_seconds", "max_runs")
    return all(getattr(before, name) == getattr(after, name) for name in names)


def _has_run_out(schedule: Schedule) -> bool:
    return schedule.max_runs is not None and schedule.run_count >= schedule.max_runs
