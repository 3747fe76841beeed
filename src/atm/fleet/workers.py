"""What the workers of a run report, second by second: merged for the run, and added up for each worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic_ns
from typing import Literal

from atm.engine.base import EngineReport
from atm.fleet.actions import LoadKey, Second
from atm.fleet.code_names import CodeNames
from atm.fleet.loss import WorkerBooks
from atm.fleet.merge import merge, of_one_process
from atm.fleet.messages import Description
from atm.fleet.records import LoadRecord, OnLoss, Step
from atm.fleet.state import FleetRun
from atm.fleet.worker_figures import FiguresOfWorkers, dealt_from, not_started
from atm.metrics.interval import GeneratorInterval, Interval
from atm.metrics.used_rows import UsedRows
from atm.models import figures
from atm.models.fleet_figures import FleetFigures, WorkerSecond
from atm.models.outcome import Measurement
from atm.plan.load_plan import LoadPlan
from atm.plan.pacer import NEVER, SECOND

_GONE: Mapping[Step, Literal["lost", "missing"]] = {Step.LOST: "lost", Step.MISSING: "missing"}


class Workers:
    """Takes the complete seconds of a run, and passes each on as one interval."""

    def __init__(
        self,
        plan: LoadPlan,
        names: Sequence[str],
        descriptions: Sequence[Description],
        run: FleetRun,
        on_interval: Callable[[Interval], None],
        engine: str,
    ) -> None:
        """`plan` is that of the whole run, `engine` the name of the one that each worker runs."""
        self._names = names
        self._descriptions = descriptions
        self._run = run
        self._on_interval = on_interval
        self._books: dict[LoadKey, WorkerBooks] = {}
        self._figures = FiguresOfWorkers(plan, names, descriptions, run, engine)
        self._names_of_code = CodeNames(plan, len(names))
        self._used_rows = UsedRows([table.rows for table in plan.data]) if len(names) > 1 else None
        self._next_second = 0
        self._phase = "load"

    def take(self, second: Second) -> None:
        """Merge a complete second and pass it on."""
        parts: dict[int, list[Interval]] = {}
        for (worker, incarnation), data in sorted(second.parts.items()):
            interval = Interval.from_bytes(data)
            self._books_of(worker, incarnation).add(interval)
            parts.setdefault(worker, []).append(interval)
        by_worker = {worker: of_one_process(intervals) for worker, intervals in parts.items()}
        for worker, interval in by_worker.items():
            self._figures.add(worker, interval)
        self._figures.judge()
        if by_worker:
            self._phase = max(by_worker.values(), key=lambda interval: interval.duration_ns).phase
        gaps = self._gaps(second.second, (second.second + 1) * SECOND)
        self._next_second = second.second + 1
        everything = [(worker, interval) for worker, intervals in parts.items() for interval in intervals]
        generators = [interval.generator for interval in by_worker.values()]
        merged = merge(self._names_of_code.renumbered([*everything, *gaps]), self._used_rows, generators)
        self._pass_on(merged, by_worker)

    def close(self) -> None:
        """Pass on what lost workers left in flight, or due, after the last second of the others."""
        if all(record.step is Step.LOST for record in self._run.workers):
            until_ns = (self._next_second + 1) * SECOND
        else:
            until_ns = NEVER
        gaps = [
            (worker, gap) for worker, gap in self._gaps(self._next_second, until_ns) if gap.endpoints or gap.iterations
        ]
        if gaps:
            self._pass_on(replace(merge(self._names_of_code.renumbered(gaps)), duration_ns=SECOND), {})

    def _pass_on(self, interval: Interval, parts: Mapping[int, Interval]) -> None:
        interval.workers = [self._second_of(worker, parts.get(worker)) for worker in range(len(self._names))]
        self._on_interval(interval)

    def _second_of(self, worker: int, part: Interval | None) -> WorkerSecond:
        record = self._run.workers[worker]
        is_gone = part is None and record.step in (Step.LOST, Step.MISSING)
        generator = part.generator if part else GeneratorInterval()
        seconds = part.duration_ns / 1e9 if part else 0.0
        started = sum(endpoint.started for endpoint in part.endpoints) if part else 0
        measurement, message = self._figures.verdict(worker)
        lag = generator.schedule_lag.percentile(99)
        return WorkerSecond(
            name=self._names[worker],
            host=self._descriptions[worker].host,
            state="running" if part else _GONE.get(record.step, "ended"),
            share=self._figures.share(worker),
            requests_per_second=started / seconds if seconds else 0.0,
            schedule_lag_p99_ms=None if lag is None else lag / 1e6,
            cpu_share=generator.cpu_seconds / seconds if seconds else 0.0,
            busiest_thread_share=generator.busiest_thread_share,
            in_flight=generator.in_flight,
            delta=record.received,
            measurement=Measurement.INVALID if is_gone and record.step is Step.LOST else measurement,
            message=record.why_lost if is_gone else message,
        )

    def _gaps(self, second: int, until_ns: int) -> list[tuple[int, Interval]]:
        """Return what the loss of workers adds to a second, each with the index of its worker.

        It is the gap of each load, up to the time from which others send it.
        """
        if self._run.sending_ends_ns is not None:
            until_ns = min(until_ns, self._run.sending_ends_ns)
        return [
            (
                worker,
                self._books_of(worker, incarnation).gap(
                    second, min(until_ns, load.dealt_from_ns or NEVER), self._phase
                ),
            )
            for worker, incarnation, load in self._lost_loads()
            if load.next_second <= second
        ]

    def _lost_loads(self) -> Iterator[tuple[int, int, LoadRecord]]:
        for worker, record in enumerate(self._run.workers):
            if record.step is Step.LOST:
                yield from ((worker, incarnation, load) for incarnation, load in enumerate(record.loads))

    def _books_of(self, worker: int, incarnation: int) -> WorkerBooks:
        key = (worker, incarnation)
        if key not in self._books:
            self._books[key] = WorkerBooks(self._run.workers[worker].loads[incarnation].plan)
        return self._books[key]

    def loss(self) -> str:
        """Return which workers were lost, with their part of the load and why; empty if none was."""
        return "; ".join(
            f"{_named(name, record.why_lost)} ({figures.share(self._figures.share(worker))} of the load, from second "
            f"{record.lost_second} on{_dealt(record.loads)})"
            for worker, (name, record) in enumerate(zip(self._names, self._run.workers, strict=True))
            if record.step is Step.LOST
        )

    def started_at(self) -> datetime | None:
        """Return the wall time of the start of the run; None if it never started."""
        if self._run.time_zero_ns is None:
            return None
        return datetime.now(UTC) - timedelta(microseconds=(monotonic_ns() - self._run.time_zero_ns) // 1000)

    def figures(self, report: EngineReport, on_loss: OnLoss, missing: Sequence[str]) -> FleetFigures:
        """Return the figures of each worker, over the window of the run; `missing`: why others could not be started."""
        workers = self._figures.at_the_end(report.window_end_ns - report.window_start_ns)
        return FleetFigures(on_loss=on_loss.value, workers=(*workers, *map(not_started, missing)))


def _dealt(loads: Sequence[LoadRecord]) -> str:
    seconds = dealt_from(loads)
    return "" if seconds is None else f"; the others send it from {figures.duration(seconds)} on"


def _named(name: str, why: str) -> str:
    return why if why.startswith(name) else f"{name} {why}"
