"""The figures of each worker of a run, added up and judged: so far while it runs, and over its window at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from atm.engine.plan_collector import collector_of
from atm.fleet.messages import Description
from atm.fleet.records import LoadRecord, Step
from atm.fleet.split import part_of_load
from atm.fleet.state import FleetRun
from atm.metrics.evidence import Circumstances, evidence_of
from atm.metrics.histogram import Histogram
from atm.metrics.interval import COUNTS, EndpointInterval, Interval
from atm.metrics.timeline import milliseconds
from atm.metrics.verdict import judge
from atm.metrics.worker_rows import with_differences
from atm.models.fleet_figures import WorkerFigures
from atm.models.outcome import Measurement
from atm.plan.load_plan import LoadPlan
from atm.plan.outline import open_lanes_of

JUDGED_PER_SECOND = 4
"""How many workers are judged again in each second, in turn, so that it costs the same with any number of them."""
_NAMELESS = "a worker"


class FiguresOfWorkers:
    """Takes the seconds of each worker, in order."""

    def __init__(
        self, plan: LoadPlan, names: Sequence[str], descriptions: Sequence[Description], run: FleetRun, engine: str
    ) -> None:
        """`plan` is that of the whole run, `engine` the name of the one that each worker runs."""
        self._plan = plan
        self._names = names
        self._descriptions = descriptions
        self._run = run
        self._engine = engine
        self._collectors = [collector_of(plan, keeps_timeline=False) for _ in names]
        self._so_far: dict[int, WorkerFigures] = {}
        """When each was judged last."""
        self._verdicts: dict[int, tuple[Measurement, str]] = {}
        self._next = 0

    def add(self, worker: int, interval: Interval) -> None:
        """Add a second of a worker."""
        self._collectors[worker].add(_judged_part(interval))

    def judge(self) -> None:
        """Judge the next few workers by their figures so far, and compare all."""
        for _ in range(min(JUDGED_PER_SECOND, len(self._names))):
            worker, self._next = self._next, (self._next + 1) % len(self._names)
            if self._run.workers[worker].step is not Step.MISSING:
                self._so_far[worker] = self._worker(worker, self._collectors[worker].window_ns)
        judged = with_differences(list(self._so_far.values()))
        self._verdicts = {
            worker: (figures.measurement, figures.message) for worker, figures in zip(self._so_far, judged, strict=True)
        }

    def verdict(self, worker: int) -> tuple[Measurement, str]:
        """Return the verdict on a worker when it was judged last, and its first reason; valid before that."""
        return self._verdicts.get(worker, (Measurement.VALID, ""))

    def at_the_end(self, window_ns: int) -> list[WorkerFigures]:
        """Return the figures of each worker over the window of the run."""
        return with_differences([self._worker(worker, window_ns) for worker in range(len(self._names))])

    def share(self, worker: int) -> float:
        """Return the worker's own part of the load; 0 for one that is missing."""
        record = self._run.workers[worker]
        if not record.loads or record.step is Step.MISSING:
            return 0.0
        return part_of_load(self._plan, record.loads[0].plan.share)

    def _worker(self, worker: int, window_ns: int) -> WorkerFigures:
        record = self._run.workers[worker]
        collector, description = self._collectors[worker], self._descriptions[worker]
        if record.step is Step.MISSING:
            return replace(not_started(record.why_lost), name=self._names[worker], host=description.host)
        plan = record.loads[0].plan
        is_lost = record.step is Step.LOST
        circumstances = Circumstances(
            engine=self._engine,
            cores=description.cores,
            poisson=plan.is_poisson,
            open_lanes=open_lanes_of(plan),
            worker_lost=record.why_lost if is_lost else "",
        )
        evidence = evidence_of(collector, window_ns, circumstances)
        measurement, reasons = judge(evidence)
        message = record.why_lost if is_lost else reasons[0].what if reasons else ""
        return WorkerFigures(
            name=self._names[worker],
            host=description.host,
            state="lost" if is_lost else "ended",
            share=self.share(worker),
            requests=collector.total.started,
            requests_per_second=collector.total.started * 1e9 / window_ns if window_ns > 0 else 0.0,
            schedule_lag_p99_ms=milliseconds(evidence.lag_p99_ns),
            service_p50_ms=milliseconds(evidence.service_p50_ns),
            cpu_share=collector.generator.cpu_share,
            busiest_thread_share=collector.generator.busiest_highest,
            measurement=measurement,
            message=message,
            clock_error_ms=record.clock_error_ns / 1e6,
            replaced_from_seconds=dealt_from(record.loads),
        )


def _judged_part(interval: Interval) -> Interval:
    """Return what the verdict on a worker needs of a second: all counts, and few histograms, as adding them costs."""
    return replace(
        interval,
        endpoints=[_counts_and_service(part) for part in interval.endpoints],
        iterations=[replace(part, time=Histogram(), active_time=Histogram()) for part in interval.iterations],
        samples=[],
        sampled_iterations=[],
    )


def _counts_and_service(part: EndpointInterval) -> EndpointInterval:
    judged = EndpointInterval(part.endpoint, part.warm_up, outcomes=part.outcomes, service=part.service)
    for name in COUNTS:
        setattr(judged, name, getattr(part, name))
    return judged


def dealt_from(loads: Sequence[LoadRecord]) -> float | None:
    """Return from when on others sent the load of a lost worker, in seconds since the start of the run."""
    dealt = [load.dealt_from_ns for load in loads if load.dealt_from_ns is not None]
    return max(dealt) / 1e9 if dealt else None


def not_started(why: str) -> WorkerFigures:
    """Return the row of a worker that was not ready."""
    return WorkerFigures(
        name=_NAMELESS,
        host="",
        state="missing",
        share=0.0,
        requests=0,
        requests_per_second=0.0,
        schedule_lag_p99_ms=None,
        cpu_share=0.0,
        busiest_thread_share=0.0,
        measurement=Measurement.VALID,
        message=why,
        clock_error_ms=0.0,
    )
