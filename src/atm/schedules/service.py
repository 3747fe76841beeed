"""Schedule operations: create, change, pause, delete, and list with their firings and deliveries."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from atm.clock import Clock, SystemClock
from atm.dataclass import dataclass
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
"""How often a change is attempted when the schedule fires concurrently."""


@dataclass(frozen=True, slots=True)
class ScheduleDetails:
    """A schedule with its next due times, recent firings and last run."""

    schedule: Schedule
    upcoming: tuple[datetime, ...]
    recent: tuple[Firing, ...]
    last_run: RunSummary | None


class ScheduleService:
    """The operations on schedules. A schedule is referred to by its id or its name."""

    def __init__(
        self,
        storage: StorageInterface,
        sealer: Sealer,
        runs: RunService,
        *,
        targets: TargetRules | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`targets` are the rules for the hosts of webhooks."""
        self._storage = storage
        self._sealer = sealer
        self._runs = runs
        self._targets = targets or TargetRules()
        self._clock = clock or SystemClock()
        self._random = random.Random()

    async def create(self, request: ScheduleRequest) -> Schedule:
        """Create a schedule. Raises SpecError with all problems, CapabilityError, ConflictError `name_taken`."""
        now = self._clock.now()
        schedule = await self._build(request, new_run_id(), now, None)
        await self._storage.schedules.add(schedule)
        return await self._storage.schedules.get(schedule.id)

    async def change(self, reference: str, request: ScheduleRequest) -> Schedule:
        """Replace a schedule, keeping its history and secrets sent as `***`. Raises NotFoundError, and as `create`."""

        async def changed(before: Schedule) -> Schedule:
            return await self._build(request, before.id, self._clock.now(), before)

        return await self._replace(reference, changed)

    async def enable(self, reference: str, *, enabled: bool) -> Schedule:
        """Pause or resume a schedule; resumed, it skips the due times that passed meanwhile. Raises NotFoundError."""

        async def changed(before: Schedule) -> Schedule:
            if before.enabled == enabled:
                return before
            now = self._clock.now()
            return self._aligned(replace(before, enabled=enabled, updated_at=now), now)

        return await self._replace(reference, changed)

    async def delete(self, reference: str) -> None:
        """Delete a schedule with its firings and deliveries, but not its runs. Raises NotFoundError."""
        await self._storage.schedules.delete((await self.find(reference)).id)

    async def find(self, reference: str) -> Schedule:
        """Find a schedule by id, else by name. Raises NotFoundError."""
        schedule = await lookup.find(self._storage.schedules, reference)
        if schedule is None:
            raise NotFoundError(Problem(f"there is no schedule {reference[:64]!r}", "schedule_not_found"))
        return schedule

    async def details(self, schedule: Schedule) -> ScheduleDetails:
        """Return a schedule with its next due times, recent firings and last run."""
        return (await self._details([schedule]))[0]

    async def all(self) -> list[ScheduleDetails]:
        """Return all schedules, ordered by name."""
        return await self._details(await self._storage.schedules.all())

    async def _details(self, schedules: Sequence[Schedule]) -> list[ScheduleDetails]:
        """Return the details of all these schedules with two queries, however many there are."""
        recent = await self._storage.schedules.newest_firings([schedule.id for schedule in schedules], RECENT)
        last_ids = {
            schedule_id: next((firing.run_id for firing in firings if firing.run_id is not None), None)
            for schedule_id, firings in recent.items()
        }
        # A run may have been deleted; its firing stays.
        runs = await self._storage.runs.get_many([run_id for run_id in last_ids.values() if run_id is not None])
        last_runs = {schedule_id: runs[run_id].summary for schedule_id, run_id in last_ids.items() if run_id in runs}
        return [
            ScheduleDetails(schedule, self._upcoming(schedule), recent.get(schedule.id, ()), last_runs.get(schedule.id))
            for schedule in schedules
        ]

    async def firings(
        self,
        reference: str,
        *,
        before: datetime | None = None,
        outcomes: Sequence[FiringOutcome] = (),
        limit: int = 50,
    ) -> tuple[Firing, ...]:
        """Return the firings of a schedule, newest first. Raises NotFoundError."""
        schedule = await self.find(reference)
        return await self._storage.schedules.firings(schedule.id, before=before, outcomes=outcomes, limit=limit)

    async def deliveries(self, reference: str, limit: int = 50) -> tuple[Delivery, ...]:
        """Return the deliveries of a schedule, newest first. Raises NotFoundError."""
        return await self._storage.deliveries.of_schedule((await self.find(reference)).id, limit)

    def preview(self, request: PreviewRequest) -> PreviewAnswer:
        """Return the next due times of a trigger. Raises SpecError."""
        now = self._clock.now()
        times = due_times(request.trigger, now.replace(microsecond=0), request.start_date, request.end_date)
        return PreviewAnswer(describes=describe(request.trigger), upcoming=upcoming(times, now, request.count))

    def _upcoming(self, schedule: Schedule) -> tuple[datetime, ...]:
        left = UPCOMING
        if schedule.max_runs is not None:
            left = min(left, max(schedule.max_runs - schedule.run_count, 0))
        try:
            return tuple(upcoming(times_of(schedule), self._clock.now(), left))
        except SpecError:
            return ()  # its time zone no longer exists; reported when it fires

    async def _replace(self, reference: str, change: Callable[[Schedule], Awaitable[Schedule]]) -> Schedule:
        """Apply a change to the current schedule, and retry when it was fired concurrently."""
        attempts = _ATTEMPTS
        while True:
            before = await self.find(reference)
            after = await change(before)
            if after is before:
                return before
            try:
                return await self._storage.schedules.replace(after)
            except ConflictError as error:
                attempts -= 1
                if error.problems[0].code != "schedule_changed" or not attempts:
                    raise

    async def _build(
        self, request: ScheduleRequest, schedule_id: str, now: datetime, before: Schedule | None
    ) -> Schedule:
        spec_before, channels_before = (None, []) if before is None else secrets.unseal(self._sealer, before)
        shown, spec = await self._spec(request, spec_before)
        channels = secrets.restored_channels(request.notify, channels_before)
        self._check_targets(request.notify, channels)
        schedule = Schedule(
            id=schedule_id,
            name=lookup.checked_name(request.name),
            trigger=request.trigger.model_dump(mode="json", exclude_none=True),
            created_at=before.created_at if before else now,
            updated_at=now,
            description=request.description,
            enabled=request.enabled,
            spec=shown,
            test=request.test,
            sealed=secrets.seal(self._sealer, spec, channels),
            max_runs=request.max_runs,
            run_count=before.run_count if before else 0,
            tags=checked_tags(request.tags),
            overlap=request.overlap,
            misfire=request.misfire,
            misfire_grace_seconds=request.misfire_grace_seconds,
            jitter_seconds=request.jitter_seconds,
            start_date=request.start_date,
            end_date=request.end_date,
            notify=tuple(secrets.masked(channel) for channel in channels),
            version=before.version if before else 1,
        )
        if before is not None and _has_same_due_times(before, schedule):
            return replace(schedule, next_due=before.next_due, next_at=before.next_at)
        aligned = self._aligned(schedule, now)
        if aligned.next_due is None and schedule.enabled and not _is_exhausted(schedule):
            what = f"{describe(request.trigger)}: has no future due time"
            raise SpecError(Problem(what, "never_due", path="trigger", hint="check it with `atm schedule preview`"))
        return aligned

    def _aligned(self, schedule: Schedule, now: datetime) -> Schedule:
        """Return the schedule set to the first due time after `now`. Raises SpecError."""
        times = times_of(schedule)
        is_active = schedule.enabled and not _is_exhausted(schedule)
        following = times.next(now) if is_active else None
        return replace(schedule, next_due=following, next_at=with_jitter(following, schedule, self._random))

    async def _spec(
        self, request: ScheduleRequest, before: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Return the spec masked and in full; None for both when a saved test is named. Raises SpecError."""
        if request.test is not None:
            await self._check_test(request.test)
            return None, None
        assert request.spec is not None
        try:
            if before is None:
                credentials.reject_masks(request.spec)
                compiled = await off_loop(self._runs.compile, request.spec)
            else:
                full = await off_loop(credentials.restored, request.spec, before, self._runs.compile)
                compiled = await off_loop(self._runs.compile, full)
        except SpecError as error:
            raise SpecError([_in_spec(problem) for problem in error.problems]) from error
        return dict(compiled.data), compiled.spec.to_data()

    async def _check_test(self, test: str) -> None:
        if await lookup.find(self._storage.tests, test) is None:
            what = f"there is no test {test[:64]!r}"
            raise SpecError(Problem(what, "test_not_found", path="test", hint="GET /tests lists them"))

    def _check_targets(self, targets: Sequence[Webhook | AppriseTarget], channels: Sequence[Mapping[str, Any]]) -> None:
        """Require that webhooks lead to allowed targets; addresses are checked again on sending. Raises SpecError."""
        problems = []
        for index, (target, channel) in enumerate(zip(targets, channels, strict=True)):
            if not isinstance(target, Webhook):
                continue
            host = urlsplit(channel["url"]).hostname or ""
            refusal = self._targets.refusal_of_name(host) if host else "the URL has no host"
            if refusal:
                hint = "the operator of the server can add it to ATM_ALLOWED_TARGETS"
                problems.append(Problem(refusal, "target_not_allowed", path=f"notify[{index}].url", hint=hint))
        if problems:
            raise SpecError(problems)


def _in_spec(problem: Problem) -> Problem:
    """Prefix the path of a spec problem, as schedules and specs share field names."""
    return replace(problem, path=f"spec.{problem.path}" if problem.path else "spec")


def _has_same_due_times(before: Schedule, after: Schedule) -> bool:
    """Return whether a changed schedule has the same due times, so that it keeps its next one."""
    names = ("trigger", "start_date", "end_date", "enabled", "jitter_seconds", "max_runs")
    return all(getattr(before, name) == getattr(after, name) for name in names)


def _is_exhausted(schedule: Schedule) -> bool:
    return schedule.max_runs is not None and schedule.run_count >= schedule.max_runs
