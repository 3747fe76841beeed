"""What the workers of a run report, second by second: merged for the run, and added up for each worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic_ns

from atm.engine.base import EngineReport
from atm.fleet.code_names import CodeNames
from atm.fleet.loss import WorkerBooks
from atm.fleet.merge import merge
from atm.fleet.messages import Description
from atm.fleet.state import SECOND, FleetRun, OnLoss, Second, Step
from atm.metrics.collector import Collector
from atm.metrics.evidence import Circumstances, evidence_of
from atm.metrics.interval import GeneratorInterval, Interval
from atm.metrics.used_rows import UsedRows
from atm.metrics.verdict import judge
from atm.models import figures
from atm.models.fleet_figures import FleetFigures, WorkerFigures, WorkerSecond
from atm.models.outcome import Measurement
from atm.plan.load_plan import LoadPlan
from atm.plan.outline import data_in, open_lanes_of, scenarios_of
from atm.plan.pacer import NEVER


class Workers:
    """Takes the complete seconds of a run, and passes each on as one interval."""

    def __init__(
        self,
        plans: Sequence[LoadPlan],
        names: Sequence[str],
        descriptions: Sequence[Description],
        run: FleetRun,
        on_interval: Callable[[Interval], None],
    ) -> None:
        self._plans = plans
        self._names = names
        self._descriptions = descriptions
        self._run = run
        self._on_interval = on_interval
        self._books = [WorkerBooks(plan) for plan in plans]
        self._collectors = [_collector(plan) for plan in plans]
        self._names_of_code = CodeNames(plans[0], len(plans))
        self._used_rows = UsedRows([table.rows for table in plans[0].data]) if len(plans) > 1 else None
        self._next_second = 0
        self._phase = "load"

    def take(self, second: Second) -> None:
        """Merge a complete second and pass it on."""
        parts: dict[int, Interval] = {}
        for worker, data in sorted(second.parts.items()):
            parts[worker] = interval = Interval.from_bytes(data)
            self._books[worker].add(interval)
            self._collectors[worker].add(replace(interval, samples=[]))
        if parts:
            self._phase = max(parts.values(), key=lambda interval: interval.duration_ns).phase
        gaps = self._gaps(second.second, (second.second + 1) * SECOND)
        self._next_second = second.second + 1
        seconds = self._names_of_code.renumbered([*parts.items(), *gaps])
        self._pass_on(merge(seconds, self._used_rows), parts)

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
        interval.workers = [self._second_of(worker, parts.get(worker)) for worker in range(len(self._plans))]
        self._on_interval(interval)

    def _second_of(self, worker: int, part: Interval | None) -> WorkerSecond:
        record = self._run.workers[worker]
        is_lost = part is None and record.step is Step.LOST
        generator = part.generator if part else GeneratorInterval()
        seconds = part.duration_ns / 1e9 if part else 0.0
        started = sum(endpoint.started for endpoint in part.endpoints) if part else 0
        lag = generator.schedule_lag.percentile(99)
        return WorkerSecond(
            name=self._names[worker],
            host=self._descriptions[worker].host,
            state="running" if part else "lost" if is_lost else "ended",
            share=self._plans[worker].share.part,
            requests_per_second=started / seconds if seconds else 0.0,
            schedule_lag_p99_ms=None if lag is None else lag / 1e6,
            cpu_share=generator.cpu_seconds / seconds if seconds else 0.0,
            busiest_thread_share=generator.busiest_thread_share,
            in_flight=generator.in_flight,
            delta=record.received,
            message=record.why_lost if is_lost else "",
        )

    def _gaps(self, second: int, until_ns: int) -> list[tuple[int, Interval]]:
        """Return the gaps of lost workers, each with the index of its worker."""
        if self._run.sending_ends_ns is not None:
            until_ns = min(until_ns, self._run.sending_ends_ns)
        return [
            (worker, books.gap(second, until_ns, self._phase))
            for worker, (books, record) in enumerate(zip(self._books, self._run.workers, strict=True))
            if record.step is Step.LOST and record.lost_second <= second and self._run.time_zero_ns is not None
        ]

    def loss(self) -> str:
        """Return which workers were lost, with their part of the load and why; empty if none was."""
        return "; ".join(
            f"{_named(name, record.why_lost)} ({figures.share(plan.share.part)} of the load, from second "
            f"{record.lost_second} on)"
            for name, plan, record in zip(self._names, self._plans, self._run.workers, strict=True)
            if record.step is Step.LOST
        )

    def started_at(self) -> datetime | None:
        """Return the wall time of the start of the run; None if it never started."""
        if self._run.time_zero_ns is None:
            return None
        return datetime.now(UTC) - timedelta(microseconds=(monotonic_ns() - self._run.time_zero_ns) // 1000)

    def figures(self, report: EngineReport, on_loss: OnLoss, engine: str) -> FleetFigures:
        """Return the figures of each worker, over the window of the run."""
        window_ns = report.window_end_ns - report.window_start_ns
        return FleetFigures(
            on_loss=on_loss.value,
            workers=tuple(self._worker(worker, window_ns, engine) for worker in range(len(self._plans))),
        )

    def _worker(self, worker: int, window_ns: int, engine: str) -> WorkerFigures:
        plan, record = self._plans[worker], self._run.workers[worker]
        collector, description = self._collectors[worker], self._descriptions[worker]
        is_lost = record.step is Step.LOST
        circumstances = Circumstances(
            engine=engine,
            cores=description.cores,
            poisson=plan.is_poisson,
            open_lanes=open_lanes_of(plan),
            worker_lost=record.why_lost if is_lost else "",
        )
        measurement, reasons = judge(evidence_of(collector, window_ns, circumstances))
        message = record.why_lost if is_lost else reasons[0].what if reasons else ""
        lag = collector.generator.schedule_lag.percentile(99)
        return WorkerFigures(
            name=self._names[worker],
            host=description.host,
            state="lost" if is_lost else "ended",
            share=plan.share.part,
            requests=collector.total.started,
            requests_per_second=collector.total.started * 1e9 / window_ns if window_ns > 0 else 0.0,
            schedule_lag_p99_ms=None if lag is None else lag / 1e6,
            cpu_share=collector.generator.cpu_share,
            busiest_thread_share=collector.generator.busiest_highest,
            measurement=Measurement(measurement),
            message=message,
            clock_error_ms=record.clock_error_ns / 1e6,
        )


def _collector(plan: LoadPlan) -> Collector:
    return Collector(
        plan.endpoints,
        scenarios=scenarios_of(plan),
        checks=plan.checks,
        data=data_in(plan),
        warm_up_ns=plan.warm_up_ns,
    )


def _named(name: str, why: str) -> str:
    return why if why.startswith(name) else f"{name} {why}"
