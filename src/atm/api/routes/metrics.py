"""`/metrics` for Prometheus: the service, and runs in progress or just ended.

Everything is read from storage, so all workers return the same figures.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from fastapi import Header, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from atm.api.deps import Plane
from atm.api.late_route import Routes
from atm.api.own_families import OwnFamilies
from atm.api.routes.series import endpoint_names
from atm.api.worker_metrics import WorkerFamilies
from atm.errors import CorruptDataError, NotFoundError
from atm.metrics.histogram import Histogram, highest_of
from atm.metrics.interval import EndpointInterval
from atm.metrics.scenario_interval import IterationInterval
from atm.models.outcome import RunStatus
from atm.runs.live_workers import live_workers
from atm.runs.scenario_windows import outline_of
from atm.storage import StorageInterface
from atm.storage.records import RunQuery, RunSummary
from atm.version import VERSION

log = logging.getLogger("atm.api")

router = Routes("server")

LINGER = timedelta(seconds=60)
"""A run is exported for this long after its end, so that a scrape sees its final figures."""
MOST_RUNS = 20
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_TIMES = (("ok", "response_ok"), ("failed", "response_failed"), ("timeout", "response_timeout"))


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def prometheus_metrics(plane: Plane, accept: str | None = Header(default=None)) -> Response:
    """Export metrics for Prometheus, as text or OpenMetrics."""
    families = await _families(plane.storage)
    registry = CollectorRegistry()
    registry.register(_Ready(families))
    encode, media_type = choose_encoder(accept or "")
    return Response(encode(registry), media_type=media_type)


class _Ready(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


async def _families(storage: StorageInterface) -> list[Metric]:
    info = GaugeMetricFamily("atm_build_info", "The running version.", labels=["version"])
    info.add_metric([VERSION], 1)
    runs = GaugeMetricFamily("atm_runs", "Runs in the history, by status.", labels=["status"])
    for status, count in (await storage.runs.counts()).items():
        runs.add_metric([status.value], count)
    labels = ["run", "test", "endpoint"]
    requests = CounterMetricFamily("atm_http_requests", "Requests that ended, by outcome.", labels=[*labels, "outcome"])
    statuses = CounterMetricFamily("atm_http_responses", "Full responses, by class.", labels=[*labels, "status_class"])
    received = CounterMetricFamily("atm_http_received_bytes", "Bytes of responses.", labels=labels)
    durations = HistogramMetricFamily(
        "atm_http_request_duration_seconds", "Response time of the measured load.", labels=[*labels, "outcome"]
    )
    iterations = CounterMetricFamily(
        "atm_iterations", "Iterations that ended, by outcome.", labels=["run", "test", "scenario", "outcome"]
    )
    iteration_durations = HistogramMetricFamily(
        "atm_iteration_duration_seconds",
        "Time of completed iterations, think time included.",
        labels=["run", "test", "scenario"],
    )
    checks = CounterMetricFamily("atm_checks", "Evaluations of checks, by result.", labels=[*labels, "check", "result"])
    in_flight = GaugeMetricFamily("atm_run_requests_in_flight", "Requests in flight.", labels=labels[:2])
    workers = WorkerFamilies()
    own_families = OwnFamilies()
    for run in await _shown(storage):
        # The data of one run may be damaged by a disk or an earlier version; export the others.
        try:
            names = await endpoint_names(storage, run.id)
            outline = await outline_of(storage, run.id, names)
            window = await storage.series.window(
                run.id,
                endpoints=range(len(names)),
                histograms=[name for _, name in _TIMES],
                scenarios=len(outline.scenarios),
            )
            seconds = (await storage.series.written(run.id)).next_interval
            last = await storage.series.generator(run.id, 1, max(seconds - 1, 0))
            workers.add(run, await live_workers(storage, run.id))
        except (CorruptDataError, NotFoundError, ValueError, TypeError, LookupError) as error:
            log.warning("run %s is missing from the metrics: %s", run.id, error)
            continue
        for (endpoint, warm_up), part in window.endpoints.items():
            if not warm_up and endpoint < len(names):
                values = [run.id, _text(run.name), _text(names[endpoint])]
                _add(values, part, requests, statuses, received, durations)
        of_run = [run.id, _text(run.name)]
        for (flow, warm_up), ended in window.iterations.items():
            if not warm_up and flow < len(outline.scenarios):
                _add_iterations([*of_run, _text(outline.scenarios[flow].name)], ended, iterations, iteration_durations)
        for (index, warm_up), evaluated in window.checks.items():
            if not warm_up and index < len(outline.checks):
                check = outline.checks[index]
                for result, count in (("passed", evaluated.passed), ("failed", evaluated.failed)):
                    checks.add_metric([*of_run, _text(names[check.endpoint]), _text(check.name), result], count)
        own_families.add(run, outline.own_metrics, window.own)
        for point in last:
            in_flight.add_metric([run.id, _text(run.name)], point.generator.in_flight)
    scenario_families = [iterations, iteration_durations, checks]
    return [
        info,
        runs,
        requests,
        statuses,
        received,
        durations,
        *scenario_families,
        in_flight,
        *own_families.families,
        *workers.families,
    ]


def _text(value: str) -> str:
    """Replace characters that UTF-8 cannot encode."""
    return value.encode("utf-8", "replace").decode()


def _add(
    values: list[str],
    part: EndpointInterval,
    requests: CounterMetricFamily,
    statuses: CounterMetricFamily,
    received: CounterMetricFamily,
    durations: HistogramMetricFamily,
) -> None:
    for outcome, count in part.outcomes.items():
        requests.add_metric([*values, outcome.value], count)
    classes: dict[str, int] = {}
    for status, count in part.statuses.items():
        classes[f"{status // 100}xx"] = classes.get(f"{status // 100}xx", 0) + count
    for name, count in classes.items():
        statuses.add_metric([*values, name], count)
    received.add_metric(values, part.bytes_received)
    for outcome_name, field in _TIMES:
        histogram: Histogram = getattr(part, field)
        if histogram:
            durations.add_metric(
                [*values, outcome_name], _buckets(histogram), (histogram.mean or 0.0) * histogram.total / 1e9
            )


def _add_iterations(
    values: list[str], part: IterationInterval, iterations: CounterMetricFamily, durations: HistogramMetricFamily
) -> None:
    for outcome, count in (("completed", part.completed), ("failed", part.failed)):
        iterations.add_metric([*values, outcome], count)
    if part.time:
        durations.add_metric(values, _buckets(part.time), (part.time.mean or 0.0) * part.time.total / 1e9)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    counts = [0] * len(BUCKETS)
    before = 0
    for index, total in histogram.cumulative():
        seconds = highest_of(index) / 1e9
        for place, bound in enumerate(BUCKETS):
            if seconds <= bound:
                counts[place] += total - before
        before = total
    return [
        *((str(bound), float(count)) for bound, count in zip(BUCKETS, counts, strict=True)),
        ("+Inf", float(before)),
    ]


async def _shown(storage: StorageInterface) -> list[RunSummary]:
    now = datetime.now(UTC)
    since = now - LINGER
    newest = (await storage.runs.page(RunQuery(limit=MOST_RUNS, with_total=False))).runs
    running = (await storage.runs.page(RunQuery(status=RunStatus.RUNNING, limit=MOST_RUNS, with_total=False))).runs
    ended = [
        run for run in newest if run.completed_at is not None and since <= run.completed_at <= now and run.started_at
    ]
    return [*running, *ended]
