"""The rows of the measurement verdict about the workers of a run on several: see `verdict`.

Workers are compared with the others of their run, so one that is late or does less than its part is seen although the
figures of all together hide it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from atm.dataclass import dataclass
from atm.metrics.evidence import Evidence, lag_limits_ms
from atm.models import figures
from atm.models.fleet_figures import WorkerFigures
from atm.models.outcome import Measurement
from atm.models.run import MeasurementReason

CLOCK_ERROR_MS = 5.0
LATE_FACTOR = 2.0
"""A late worker has more than this times the schedule lag of the others."""
RATE_TOLERANCE = 0.2
"""By how much of its part the rate of a worker may differ."""
LEAST_REQUESTS = 400
"""Fewer requests than that differ by chance."""
CPU_FACTOR = 2.0
"""A costly worker uses more than this times the CPU time of the others for a request."""
BUSY_CORES = 0.5
"""CPU time per request is compared of workers that use more of a core."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How a worker differs from the others."""

    worker: WorkerFigures
    what: str
    actual: float
    limit: float


def late_workers(workers: Sequence[WorkerFigures]) -> Iterator[Difference]:
    """Yield workers whose schedule lag is above the limit, and a multiple of that of the others."""
    compared = _compared(workers)
    for worker in compared:
        lag, limit = worker.schedule_lag_p99_ms, lag_limits_ms(worker.service_p50_ms)[0]
        others = _median([other.schedule_lag_p99_ms or 0.0 for other in compared if other is not worker])
        if lag is not None and others is not None and lag > max(limit, LATE_FACTOR * others):
            what = f"started late: schedule lag p99 {figures.time(lag)}, of the others {figures.time(others)}"
            yield Difference(worker, what, lag, limit)


def unequal_workers(workers: Sequence[WorkerFigures]) -> Iterator[Difference]:
    """Yield workers whose rate is not their part of the load, or whose requests cost far more CPU time."""
    compared = _compared(workers)
    is_complete = all(worker.state != "lost" for worker in workers)
    parts = sum(worker.share for worker in compared)
    rate, requests = (sum(getattr(worker, name) for worker in compared) for name in ("requests_per_second", "requests"))
    for worker in compared:
        part = worker.share / parts if parts else 0.0
        ratio = worker.requests_per_second / (rate * part) if rate * part else 1.0
        cost, others = _cost(worker), _median([_cost(other) for other in compared if other is not worker])
        if is_complete and requests * part >= LEAST_REQUESTS and abs(ratio - 1) > RATE_TOLERANCE:
            what = f"sent {figures.rate(worker.requests_per_second)} /s, its part is {figures.rate(rate * part)} /s"
            yield Difference(worker, what, ratio, 1 - RATE_TOLERANCE if ratio < 1 else 1 + RATE_TOLERANCE)
        elif others and worker.cpu_share > BUSY_CORES and cost > CPU_FACTOR * others:
            what = f"used {cost / others:.1f} times the CPU time of the others for a request"
            yield Difference(worker, what, cost / others, CPU_FACTOR)


def with_differences(workers: Sequence[WorkerFigures]) -> list[WorkerFigures]:
    """Return the workers; the measurement of those that differ from the others is suspect, unless it is invalid."""
    different = {
        id(difference.worker): difference.what
        for rows in (unequal_workers, late_workers)
        for difference in rows(workers)
    }
    return [
        replace(
            worker,
            measurement=Measurement.SUSPECT,
            message=worker.message or f"differs from the others: {different[id(worker)]}",
        )
        if id(worker) in different
        else worker
        for worker in workers
    ]


def worker_late(evidence: Evidence) -> MeasurementReason | None:
    """Check for workers that are later than the others."""
    fleet = evidence.circumstances.fleet
    return _reason("worker_late", list(late_workers(fleet.workers)) if fleet else [])


def worker_unequal(evidence: Evidence) -> MeasurementReason | None:
    """Check for workers that do not do their part, or need far more CPU time for it than the others."""
    fleet = evidence.circumstances.fleet
    return _reason("worker_unequal", list(unequal_workers(fleet.workers)) if fleet else [])


def worker_differs(evidence: Evidence) -> MeasurementReason | None:
    """Check for a worker whose own measurement is worse than that of all together, where the others hide it."""
    fleet = evidence.circumstances.fleet
    bad = [worker for worker in fleet.workers if worker.measurement is Measurement.INVALID] if fleet else []
    bad = [worker for worker in bad if worker.state != "lost"]
    if not bad:
        return None
    worst = bad[0]
    more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
    return MeasurementReason(
        code="worker_invalid",
        severity=Measurement.SUSPECT,
        what=f"the measurement of {worst.name} ({figures.share(worst.share)} of the load){more} is invalid: "
        f"{worst.message}",
        actual=float(len(bad)),
        limit=0.0,
        hint="Look at its row in the table of workers; run again without it, or with less load on it",
    )


def clock_error(evidence: Evidence) -> MeasurementReason | None:
    """Check for workers whose clocks are not known well enough to put their seconds side by side."""
    fleet = evidence.circumstances.fleet
    worst = max(fleet.workers, key=lambda worker: worker.clock_error_ms, default=None) if fleet else None
    if worst is None or worst.clock_error_ms <= CLOCK_ERROR_MS:
        return None
    return MeasurementReason(
        code="clock_error",
        severity=Measurement.SUSPECT,
        what=f"the clock of {worst.name} may be off by {figures.time(worst.clock_error_ms)}, limit "
        f"{figures.time(CLOCK_ERROR_MS)}: figures per second are not aligned; latencies are measured on one machine "
        "and stay valid",
        actual=worst.clock_error_ms,
        limit=CLOCK_ERROR_MS,
        hint="Use machines with a faster network between them and the controller",
    )


def worker_lost(evidence: Evidence) -> MeasurementReason | None:
    """Check for a dead part of the load generator, whose share of the load is missing, or was until others sent it."""
    circumstances = evidence.circumstances
    if not circumstances.worker_lost:
        return None
    is_replaced = circumstances.fleet is not None and circumstances.fleet.is_replaced
    return MeasurementReason(
        code="worker_lost",
        severity=Measurement.SUSPECT if is_replaced else Measurement.INVALID,
        what=f"a part of the load generator died: {circumstances.worker_lost}",
        actual=1.0,
        limit=0.0,
        hint="Run again; the requests between its loss and then are missing from all figures"
        if is_replaced
        else "Run again; its share of the load is missing from all figures",
    )


def _compared(workers: Sequence[WorkerFigures]) -> list[WorkerFigures]:
    """Return the workers that sent until the end and have no row of their own."""
    return [worker for worker in workers if worker.state == "ended" and worker.measurement is not Measurement.INVALID]


def _cost(worker: WorkerFigures) -> float:
    """Return its CPU time for a request."""
    return worker.cpu_share / worker.requests_per_second if worker.requests_per_second else 0.0


def _median(values: Sequence[float]) -> float | None:
    """Return the lower median."""
    return sorted(values)[(len(values) - 1) // 2] if values else None


def _reason(code: str, differences: Sequence[Difference]) -> MeasurementReason | None:
    if not differences:
        return None
    first = differences[0]
    more = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
    return MeasurementReason(
        code=code,
        severity=Measurement.SUSPECT,
        what=f"{first.worker.name} ({figures.share(first.worker.share)} of the load){more} {first.what}",
        actual=first.actual,
        limit=first.limit,
        hint="Compare its machine and its way to the target with the others (`atm fleet check`); run again without it",
    )
