"""A clock that can be put anywhere, and a scheduler on it with everything real but the runs themselves."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from atm.models.schedule import FiringOutcome, ScheduleRequest
from atm.schedules.scheduler import Scheduler
from atm.schedules.service import ScheduleService
from atm.storage import StorageInterface
from atm.storage.records import Finish, Lease, RunQuery
from atm.storage.schedules import Firing, Schedule
from tests.storage.builders import completed

SPEC: Mapping[str, Any] = {"name": "shop", "url": "http://127.0.0.1:9/"}


class WallClock:
    """A `Clock` whose wall time goes where it is put, back too."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def monotonic_ns(self) -> int:
        raise AssertionError("schedules know no monotonic time")

    def now(self) -> datetime:
        return self._now

    def put(self, now: datetime) -> None:
        self._now = now.astimezone(UTC)

    def pass_(self, **span: float) -> None:
        self._now += timedelta(**span)


@dataclass
class ToolServices:
    """What tests of schedules work with."""

    storage: StorageInterface
    clock: WallClock
    service: ScheduleService
    scheduler: Scheduler

    async def make(self, trigger: Mapping[str, Any], **fields: Any) -> Schedule:
        values: dict[str, Any] = {"name": "nightly", "trigger": trigger, "spec": SPEC, "overlap": "allow", **fields}
        if values.get("test"):
            values.pop("spec")
        return await self.service.create(ScheduleRequest.model_validate(values))

    async def firings(self) -> list[Firing]:
        """Oldest first."""
        [schedule] = await self.storage.schedules.all()
        return list(reversed(await self.storage.schedules.firings(schedule.id, limit=1000)))

    async def dues(self) -> list[datetime]:
        return [each.due for each in await self.firings()]

    async def outcomes(self) -> list[FiringOutcome]:
        return [each.outcome for each in await self.firings()]

    async def runs(self) -> int:
        return (await self.storage.runs.page(RunQuery())).total or 0

    async def until(self, end: datetime, late: timedelta = timedelta(0)) -> None:
        """Let time pass until then; the scheduler looks whenever something has come due, so much too late."""
        while True:
            waiting = [each.next_at for each in await self.storage.schedules.all() if each.next_at is not None]
            at = min(waiting, default=end) + late
            if not waiting or at > end:
                break
            self.clock.put(max(at, self.clock.now()))
            await self.scheduler.fire_due()
        self.clock.put(end)
        await self.scheduler.fire_due()

    async def end_run(self, *, passed: bool | None = True, finish: Finish | None = None) -> str:
        """Carry out the oldest pending run; its id."""
        token = uuid.uuid4().hex
        run = await self.storage.leases.claim("test", token, 100)
        assert run is not None
        await self.storage.leases.finish(Lease(run.id, token), finish or completed(run.id, passed=passed))
        return run.id

    async def pass_by(self, passed: bool | None, seconds: float = 60) -> None:
        """A due time comes, its run ends so, and the scheduler takes note."""
        self.clock.pass_(seconds=seconds)
        await self.scheduler.fire_due()
        await self.end_run(passed=passed)
        await self.scheduler.follow()

    async def events(self) -> list[str]:
        """Return the events of all deliveries, oldest first."""
        [schedule] = await self.storage.schedules.all()
        stored = await self.storage.deliveries.of_schedule(schedule.id, 200)
        return [each.event for each in reversed(stored)]
