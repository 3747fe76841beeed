"""What each worker of a run on several workers did: figures declared once for results, storage, API and reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from atm.dataclass import dataclass
from atm.models.outcome import Measurement
from atm.models.run_figures import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFigures:
    """One worker, over the measured load."""

    name: str
    host: str
    state: Literal["ended", "lost", "missing"]
    """`missing`: it was not ready, and the run started without it."""
    share: float
    """Its part of the load, 0..1."""
    requests: int
    """Requests started; of a lost worker, those that it reported."""
    requests_per_second: float
    """Started per second of the window of the run."""
    schedule_lag_p99_ms: Figure
    service_p50_ms: Figure = None
    """Median time from the actual start of a request to its end."""
    cpu_share: float
    """CPU seconds per second, in cores."""
    busiest_thread_share: float
    """The highest CPU share of its busiest thread in any interval, 0..1 of one core."""
    measurement: Measurement
    """The verdict on its own figures, and on how they differ from those of the others."""
    message: str
    """The first reason of that verdict, or why the worker was lost or is missing; empty for a valid one."""
    clock_error_ms: float
    """How far its clock may have been off; 0 on the controller's machine."""
    replaced_from_seconds: float | None = None
    """Of a lost one: since when, from the start of the run, others sent its load; null if none did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSecond:
    """One worker in one second of a run in progress, warm-up included; of one that sends no more, zeros and null."""

    name: str
    host: str
    state: Literal["running", "ended", "lost", "missing"]
    share: float
    """Its part of the load, 0..1."""
    requests_per_second: float
    """Started per second."""
    schedule_lag_p99_ms: Figure
    cpu_share: float
    """CPU seconds per second, in cores."""
    busiest_thread_share: float
    """CPU share of its busiest thread, 0..1 of one core."""
    in_flight: int
    """Requests in flight at the end of the second."""
    delta: int
    """Number of its last second that arrived, counted from 1; 0 for none."""
    measurement: Measurement = Measurement.VALID
    """The verdict on its figures so far, as at the end; of many workers, some are judged again in each second."""
    message: str = ""
    """The first reason of that verdict, or why the worker was lost or is missing; empty for a valid one."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> WorkerSecond:
        """Read the fields. Raises ValueError or TypeError on anything else."""
        return cls(**{**document, "measurement": Measurement(document.get("measurement", Measurement.VALID))})


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFigures:
    """The workers of a run, in their order."""

    on_loss: Literal["abort", "continue", "reassign"]
    workers: tuple[WorkerFigures, ...]

    @property
    def lost(self) -> tuple[WorkerFigures, ...]:
        """The workers that were lost."""
        return tuple(worker for worker in self.workers if worker.state == "lost")

    @property
    def missing(self) -> tuple[WorkerFigures, ...]:
        """The workers without which the run started."""
        return tuple(worker for worker in self.workers if worker.state == "missing")

    @property
    def is_replaced(self) -> bool:
        """Whether others sent the load of every lost worker, from some time after its loss on."""
        return bool(self.lost) and all(worker.replaced_from_seconds is not None for worker in self.lost)
