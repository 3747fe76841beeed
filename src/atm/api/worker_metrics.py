"""Metrics for Prometheus of the workers of a run."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client.core import GaugeMetricFamily

from atm.models.fleet_figures import WorkerSecond
from atm.models.outcome import Measurement
from atm.storage.records import RunSummary

_LABELS = ("run", "test", "worker", "host")


class WorkerFamilies:
    """Gauges of workers in the last second of their run."""

    def __init__(self) -> None:
        self._up = _gauge("up", "1 for a worker that sends, 0 for one that was lost or has ended.")
        self._valid = _gauge("measurement_valid", "1 while the measurement of the worker is valid, else 0.")
        self._share = _gauge("load_share", "Its part of the load, 0 to 1.")
        self._rate = _gauge("requests_per_second", "Requests started per second.")
        self._lag = _gauge("schedule_lag_p99_seconds", "p99 of how late requests started.")
        self._cpu = _gauge("cpu_cores", "CPU seconds per second.")
        self._in_flight = _gauge("requests_in_flight", "Requests in flight.")

    def add(self, run: RunSummary, workers: Sequence[WorkerSecond]) -> None:
        """Add the workers of a run."""
        for worker in workers:
            labels = [text.encode("utf-8", "replace").decode() for text in (run.id, run.name, worker.name, worker.host)]
            self._up.add_metric(labels, worker.state == "running")
            self._valid.add_metric(labels, worker.measurement is Measurement.VALID)
            self._share.add_metric(labels, worker.share)
            self._rate.add_metric(labels, worker.requests_per_second)
            self._cpu.add_metric(labels, worker.cpu_share)
            self._in_flight.add_metric(labels, worker.in_flight)
            if worker.schedule_lag_p99_ms is not None:
                self._lag.add_metric(labels, worker.schedule_lag_p99_ms / 1000)

    @property
    def families(self) -> list[GaugeMetricFamily]:
        """All families; without samples if no run is on several workers."""
        return [self._up, self._valid, self._share, self._rate, self._lag, self._cpu, self._in_flight]


def _gauge(name: str, description: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"atm_worker_{name}", description, labels=_LABELS)
