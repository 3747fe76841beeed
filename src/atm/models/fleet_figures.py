"""What each worker of a run on several workers did: figures declared once for results, storage, API and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from atm.models.outcome import Measurement
from atm.models.run_figures import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFigures:
    """One worker, over the measured load."""

    name: str
    host: str
    state: Literal["ended", "lost"]
    share: float
    """Its part of the load, 0..1."""
    requests: int
    """Requests started; of a lost worker, those that it reported."""
    requests_per_second: float
    """Started per second of the window of the run."""
    schedule_lag_p99_ms: Figure
    cpu_share: float
    """CPU seconds per second, in cores."""
    busiest_thread_share: float
    """The highest CPU share of its busiest thread in any interval, 0..1 of one core."""
    measurement: Measurement
    """The verdict on its own figures."""
    message: str
    """The first reason of that verdict, or why the worker was lost; empty for a valid one."""
    clock_error_ms: float
    """How far its clock may have been off; 0 on the controller's machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSecond:
    """One worker in one second of a run in progress, warm-up included; of one that sends no more, zeros and null."""

    name: str
    host: str
    state: Literal["running", "ended", "lost"]
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
    message: str = ""
    """Why it was lost; empty unless it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFigures:
    """The workers of a run, in their order."""

    on_loss: Literal["abort", "continue"]
    workers: tuple[WorkerFigures, ...]

    @property
    def lost(self) -> tuple[WorkerFigures, ...]:
        """The workers that were lost."""
        return tuple(worker for worker in self.workers if worker.state == "lost")
