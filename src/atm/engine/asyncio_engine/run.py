"""One run on the engine's loop: what its users share, what happens each second, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import monotonic_ns
from typing import TYPE_CHECKING

from atm.engine.asyncio_engine.alarm import open_alarm
from atm.engine.asyncio_engine.bodies import CHECKED_BYTES, decoded
from atm.engine.asyncio_engine.closed_model import ClosedModel
from atm.engine.asyncio_engine.descriptors import connection_ceiling
from atm.engine.asyncio_engine.dialing import Dialer
from atm.engine.asyncio_engine.health import Health
from atm.engine.asyncio_engine.job import Job
from atm.engine.asyncio_engine.masking import Masker
from atm.engine.asyncio_engine.open_model import OpenModel
from atm.engine.asyncio_engine.phases import Phases
from atm.engine.asyncio_engine.redirects import Redirects
from atm.engine.asyncio_engine.response_head import response_head
from atm.engine.asyncio_engine.sampling import BEYOND_CUT, Sampler
from atm.engine.asyncio_engine.timeouts import NEVER, Timeouts
from atm.engine.base import EngineReport
from atm.metrics.interval import Interval
from atm.metrics.recorder import Recorder
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.connection import Connection
    from atm.engine.asyncio_engine.load_model import LoadModel
    from atm.engine.asyncio_engine.user import User

SECOND = 1_000_000_000
_BEAT_NS = 10_000_000
"""The loop asks to be woken at least this often, or it could not tell that it had stalled."""


class Run:
    """Everything on one thread, its loop's. Times: ns of the monotonic clock."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        plan: LoadPlan,
        secrets: Mapping[str, str],
        on_interval: Callable[[Interval], None],
    ) -> None:
        self.loop = loop
        self.plan = plan
        self.secrets = dict(secrets)
        self._on_interval = on_interval
        self.closes_after_each = not plan.connections.keep_alive
        self.kept_body_bytes = plan.sampling.body_bytes + BEYOND_CUT
        self.recorder = Recorder(len(plan.endpoints))
        self.jobs = [Job(plan, flow.steps[0], self.recorder, self.secrets) for flow in plan.flows]
        self.health = Health()
        self.dialer = Dialer(self, plan, self.secrets)
        self.redirects = Redirects(self)
        self._masker = Masker(plan, self.secrets)
        self.sampler = Sampler(self, self._masker)
        self._timeouts = Timeouts()
        self._phases = Phases(plan)
        ceiling = connection_ceiling()
        self.model: LoadModel = ClosedModel(self) if plan.load.model == "closed" else OpenModel(self, ceiling)
        self._alarm = open_alarm(loop, self._ring)
        self._alarm_at = NEVER
        self.in_flight = 0
        self.epoch = 0
        """The start of the run: the intended start of the first request."""
        self.second_end = NEVER
        self._second = 0
        self._offered = 0.0
        self.sending_end = NEVER
        """What finishes after this is drained; NEVER while it is not known, and where the last finish is the end."""
        self.last_finish = 0
        self._give_up_at = NEVER
        self._stop_reason: StopReason | None = None
        self._done: asyncio.Future[EngineReport] = loop.create_future()
        self._started_at = datetime.now(UTC)

    async def until_done(self) -> EngineReport:
        """Run from now to the end. Raises what made the run impossible to go on with."""
        self._started_at = datetime.now(UTC)
        now = self.epoch = self.last_finish = monotonic_ns()
        self.second_end = now + SECOND
        self.model.start(now)
        self.dialer.start()
        self.ring_at(now)
        try:
            return await self._done
        finally:
            self._alarm.close()

    # Steering

    def set_secret(self, slot: str, value: str) -> None:
        """Requests that begin from now on use `value`."""
        self.secrets[slot] = value
        self._masker.learn(slot, value)
        for job in self.jobs:
            if slot in job.slots:
                job.prepare(self.secrets)

    def stop(self, reason: StopReason) -> None:
        """No new starts; what is in flight may finish within the plan's graceful stop."""
        if self._done.done():
            return
        if self.model.is_sending:
            now = monotonic_ns()
            self.model.stop(now)
            self.end_sending(now, reason)
        elif self._give_up_at == NEVER:
            # Everything had been started, and the last finish was awaited without a limit.
            self._give_up_at = monotonic_ns() + self.plan.graceful_stop_ns
        self.settle()

    def cancel(self) -> None:
        """No new starts, every connection closed."""
        if self._done.done():
            return
        now = monotonic_ns()
        if self.model.is_sending or self.sending_end == NEVER:
            self.model.stop(now)
            self.end_sending(now, StopReason.CANCELLED)
        self._stop_reason = StopReason.CANCELLED
        self.last_finish = now
        self._leave_unfinished()

    def crash(self, error: BaseException) -> None:
        """The run cannot go on: a defect of this engine."""
        if not self._done.done():
            self._close_all()
            self._done.set_exception(error)

    # From users and models

    def arm(self, user: User, deadline: int) -> None:
        """`user` has a deadline earlier than the one it is watched for."""
        self._timeouts.arm(user, deadline)
        if deadline < self._alarm_at:
            self.ring_at(deadline)

    def ring_at(self, at: int) -> None:
        """Look at what is due at `at` (the latest)."""
        if at < self._alarm_at:
            self._alarm_at = at
            self._alarm.set(at)

    def ring_soon(self) -> None:
        """Look at what is due in the next turn of the loop."""
        self.ring_at(monotonic_ns())

    def end_sending(self, at: int | None, reason: StopReason) -> None:
        """No request starts any more; sending has ended at a moment, or (None) ends with the last finish."""
        if self._stop_reason is None:
            self._stop_reason = reason
        if at is None:
            self.sending_end = NEVER
        else:
            self.sending_end = at
            self._give_up_at = at + self.plan.graceful_stop_ns
        self.ring_soon()

    def settle(self) -> None:
        """End the run if nothing is in flight and nothing more may start."""
        if self.in_flight == 0 and not self.model.is_sending and not self._done.done():
            self._finish()

    def check(self, job: Job, connection: Connection) -> str | None:
        """The first body check that does not hold, in words."""
        assert job.failed_check is not None
        encoding = response_head(connection.raw).get("content-encoding")
        return job.failed_check(decoded(connection.body, encoding, CHECKED_BYTES))

    def roll(self, now: int) -> None:
        """Close the second that has ended (and those without anything after it)."""
        while now >= self.second_end:
            self._deliver(self.second_end, SECOND)
            self._second += 1
            self.second_end += SECOND

    # Each wake-up

    def _ring(self) -> None:
        now = monotonic_ns()
        self.health.late(now - self._alarm_at)
        self._alarm_at = NEVER
        if self._done.done():
            return
        if now >= self.second_end:
            self.roll(now)
        for user in self._timeouts.expired(now):
            user.time_out(now)
        # The last timeout may have ended the run.
        following = NEVER if self._done.done() else self.model.on_time(now)
        if now >= self._give_up_at and not self._done.done():
            self._leave_unfinished()
        self.settle()
        if not self._done.done():
            self.ring_at(min(following, self._timeouts.next_at(), self.second_end, self._give_up_at, now + _BEAT_NS))
        else:
            self._alarm.set(NEVER)

    def _deliver(self, end: int, duration: int) -> None:
        endpoints, failures = self.recorder.take()
        model = self.model
        offered = model.offered_by(end)
        interval = Interval(
            second=self._second,
            phase=self._phases.at(end - self.epoch, model.shift, end > self.sending_end),
            duration_ns=duration,
            offered=offered - self._offered,
            endpoints=endpoints,
            generator=self.health.take(model.user_count, self.in_flight, model.waiting),
            failures=failures,
            samples=self.sampler.take(),
        )
        self._offered = offered
        self._on_interval(interval)

    # The end

    def _leave_unfinished(self) -> None:
        for user in self.model.users:
            if user.is_busy:
                user.leave_unfinished()
        self._finish()

    def _finish(self) -> None:
        self._close_all()
        if self.sending_end == NEVER:
            self.sending_end = self.last_finish
        end = max(self.sending_end, self.last_finish)
        self.roll(end)
        self._deliver(end, max(1, end - self.second_end + SECOND))
        epoch = self.epoch
        assert self._stop_reason is not None
        self._done.set_result(
            EngineReport(
                started_at=self._started_at,
                stop_reason=self._stop_reason,
                window_start_ns=min(self.plan.load.warm_up_ns, self.sending_end - epoch),
                window_end_ns=self.sending_end - epoch,
                last_finish_ns=self.last_finish - epoch,
                barrier_ns=self.model.shift,
            )
        )

    def _close_all(self) -> None:
        for user in self.model.users:
            user.close()
