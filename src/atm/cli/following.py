"""A run elsewhere, shown as one in the foreground: events become what the views draw."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from atm.cli.door import Door
from atm.cli.output import Output
from atm.cli.progress import Course, NoView, ProgressView, Standing
from atm.cli.report.summary import described_load
from atm.metrics.snapshot import EndpointSnapshot, ErrorSnapshot, Snapshot
from atm.models.events import FinishedEvent, IntervalEvent, StartedEvent

if TYPE_CHECKING:
    from atm.models.control import RunView

TICK_SECONDS = 0.25
_SPARKLINE = 60


class Following:
    """Follows one run to its end. Ctrl-C leaves it, or with `steers` stops it, and cancels it the second time."""

    def __init__(self, door: Door, run: RunView, output: Output, *, steers: bool) -> None:
        self._door = door
        self._run = run
        self._output = output
        self._steers = steers
        self._view: ProgressView = NoView()
        self._rates: deque[float] = deque(maxlen=_SPARKLINE)
        self._p99s: deque[float | None] = deque(maxlen=_SPARKLINE)
        self._asked: set[asyncio.Task[Any]] = set()
        self.stopped_by = ""
        """`Ctrl-C` or `SIGTERM`, where one of them ended the run or the watching."""

    async def follow(self) -> FinishedEvent | None:
        """Show it until it ends; None where whoever watched has left before."""
        loop = asyncio.get_running_loop()
        watching = asyncio.create_task(self._watch())
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, self._interrupted, number, watching)
        ticks = asyncio.create_task(self._tick())
        try:
            return await watching
        except asyncio.CancelledError:
            return None
        finally:
            ticks.cancel()
            self._view.close()

    async def _watch(self) -> FinishedEvent | None:
        async for event in self._door.watch(self._run.id):
            if isinstance(event, StartedEvent):
                self._view = self._chosen(self._course(event))
                self._view.start()
            elif isinstance(event, IntervalEvent):
                self._rates.append(event.requests_per_second)
                self._p99s.append(event.latency_p99_ms)
                self._view.update(Standing(self._snapshot(event)))
            elif isinstance(event, FinishedEvent):
                return event
        return None

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._view.tick()

    def _chosen(self, course: Course) -> ProgressView:
        if self._output.quiet:
            return NoView()
        if not self._output.err.interactive:
            from atm.cli.plain import PlainView

            return PlainView(course, self._output.err)
        from atm.cli.live import LiveView

        return LiveView(course, self._output.err)

    def _course(self, event: StartedEvent) -> Course:
        spec = self._run.spec
        load = spec.get("load") or {}
        is_open = load.get("model") == "open" or "requests_per_second" in spec
        planned = event.planned_seconds
        return Course(
            name=self._run.name,
            load=described_load(spec, "open" if is_open else "closed", None),
            engine=event.engine,
            seed=event.seed,
            endpoints=tuple(event.endpoints),
            warm_up_seconds=event.warm_up_seconds,
            seconds=None if planned is None else event.warm_up_seconds + planned,
            total_requests=event.planned_requests,
            limit=self._run.concurrency,
        )

    def _snapshot(self, event: IntervalEvent) -> Snapshot:
        so_far = event.so_far
        return Snapshot(
            elapsed_seconds=event.second + event.duration_seconds,
            phase=event.phase,
            warm_up=event.warm_up,
            due=so_far.due,
            started=so_far.started,
            ok=so_far.ok,
            failed=so_far.failed,
            completed=so_far.completed,
            generator_errors=so_far.generator_errors,
            missed=so_far.missed,
            waited=so_far.waited,
            latency_p50_ms=so_far.latency_p50_ms,
            latency_p90_ms=so_far.latency_p90_ms,
            latency_p95_ms=so_far.latency_p95_ms,
            latency_p99_ms=so_far.latency_p99_ms,
            latency_max_ms=so_far.latency_max_ms,
            error_rate=so_far.error_rate,
            requests_per_second=event.requests_per_second,
            offered_rate=event.offered_rate,
            last_p50_ms=event.latency_p50_ms,
            last_p95_ms=event.latency_p95_ms,
            last_p99_ms=event.latency_p99_ms,
            rates=tuple(self._rates),
            p99s_ms=tuple(self._p99s),
            endpoints=tuple(EndpointSnapshot(**each.model_dump()) for each in so_far.endpoints),
            errors=tuple(ErrorSnapshot(**each.model_dump()) for each in so_far.errors),
            last_failure_seconds=max((each.last_seconds for each in so_far.errors), default=None),
            users=event.users,
            in_flight=event.in_flight,
            waiting=event.waiting,
            schedule_lag_p99_ms=so_far.schedule_lag_p99_ms,
            cpu_share=event.cpu_share,
            busiest_thread_share=event.busiest_thread_share,
        )

    def _interrupted(self, number: signal.Signals, watching: asyncio.Task[Any]) -> None:
        again = bool(self.stopped_by)
        self.stopped_by = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        if not self._steers:
            watching.cancel()
            return
        self._asked.add(asyncio.create_task(self._door.cancel(self._run.id, graceful=not again)))
        self._view.stopping("quitting: closing every connection" if again else "stopping: Ctrl-C again quits at once")
