"""Convert storage records to response models (`atm.models.control`), and encode list cursors."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta

from atm.api.errors import bad_request
from atm.metrics.interval import EndpointInterval
from atm.metrics.own_totals import figures_of
from atm.metrics.spread import spread
from atm.models.control.runs import RunAccepted
from atm.models.control.series import (
    CheckPointView,
    GeneratorView,
    IterationPointView,
    MergedPointView,
    OwnPointView,
    PointView,
    WindowView,
)
from atm.models.control.tests import TestView
from atm.models.outcome import FAILED, Outcome
from atm.models.outline import CheckName, ScenarioSteps
from atm.models.own_metric import OwnMetric
from atm.runs.views import summary_view
from atm.storage.records import Run, RunCursor, RunSummary, is_id
from atm.storage.series.own_rows import OwnPoint
from atm.storage.series.rows import ALL, GeneratorPoint, IntervalPoint
from atm.storage.series.scenario_rows import CheckPoint, IterationPoint
from atm.storage.series.windows import Window
from atm.storage.test_configs import TestConfig, TestInHistory

_MISSED = ("dropped", "skipped", "queued_at_end")


def accepted(run: Run, *, is_new: bool) -> RunAccepted:
    """Build the response for a new run."""
    message = "the run is queued" if is_new else "this request was sent before; this is its run"
    return RunAccepted(id=run.id, status=run.status, message=message)


def write_cursor(cursor: RunCursor | None) -> str | None:
    """Encode a cursor as opaque text."""
    if cursor is None:
        return None
    return base64.urlsafe_b64encode(f"{cursor.created_at.isoformat()} {cursor.id}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> RunCursor:
    """Decode a cursor of `write_cursor`. Raises ApiError."""
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        at, _, run_id = plain.partition(" ")
        created_at = datetime.fromisoformat(at)
    except (binascii.Error, ValueError) as error:
        raise bad_request("the cursor is invalid", "bad_cursor", "query.cursor") from error
    # Accept only UTC, as `write_cursor` writes it: another offset may give a time outside the database's range.
    if created_at.utcoffset() != timedelta(0) or not is_id(run_id):
        raise bad_request("the cursor is invalid", "bad_cursor", "query.cursor")
    return RunCursor(created_at, run_id)


def point_view(point: IntervalPoint, names: Sequence[str]) -> PointView:
    """Convert a point of one endpoint; `names` are those of the plan."""
    failed = sum(count for outcome, count in point.outcomes.items() if outcome in FAILED)
    ok = point.outcomes.get(Outcome.OK, 0)
    return PointView(
        start=point.start,
        endpoint=_name(point.endpoint, names),
        warm_up=point.warm_up,
        started=point.counts.get("started", 0),
        completed=ok + failed,
        ok=ok,
        failed=failed,
        missed=sum(point.counts.get(name, 0) for name in _MISSED),
        outcomes=dict(point.outcomes),
        statuses=dict(point.statuses),
        bytes_received=point.counts.get("bytes_received", 0),
        bytes_sent=point.counts.get("bytes_sent", 0),
        latency=point.latency,
        ok_latency=point.ok_latency,
        adjusted_latency=point.adjusted_latency,
        service=point.service,
        first_byte=point.first_byte,
    )


def generator_view(point: GeneratorPoint) -> GeneratorView:
    """Convert a point of the load generator."""
    generator = point.generator
    seconds = point.duration_ns / 1e9
    return GeneratorView(
        start=point.start,
        phase=point.phase,
        duration_seconds=seconds,
        offered_rate=point.arrivals_offered / seconds if seconds else 0.0,
        users=generator.users,
        in_flight=generator.in_flight,
        waiting=generator.waiting,
        stalls=generator.stalls,
        longest_stall_ms=generator.longest_stall_ns / 1e6,
        cpu_share=generator.cpu_seconds / seconds if seconds else 0.0,
        busiest_thread_share=generator.busiest_thread_share,
        memory_bytes=generator.memory_bytes,
        open_connections=generator.open_connections,
        schedule_lag=point.schedule_lag,
    )


def iteration_view(point: IterationPoint, scenarios: Sequence[ScenarioSteps]) -> IterationPointView:
    """Convert a point of one scenario."""
    return IterationPointView(
        start=point.start,
        scenario=scenarios[point.flow].name,
        warm_up=point.warm_up,
        started=point.started,
        completed=point.completed,
        failed=point.failed,
        unfinished=point.unfinished,
        iteration_time=point.iteration_time,
        active_time=point.active_time,
    )


def check_view(point: CheckPoint, checks: Sequence[CheckName], names: Sequence[str]) -> CheckPointView:
    """Convert a point of one check; `names` are those of the endpoints."""
    check = checks[point.check]
    return CheckPointView(
        start=point.start,
        check=check.name,
        endpoint=names[check.endpoint],
        warm_up=point.warm_up,
        passed=point.passed,
        failed=point.failed,
    )


def own_view(point: OwnPoint, metrics: Sequence[OwnMetric], seconds: float) -> OwnPointView:
    """Convert a point of a metric that the test declares, of a period of `seconds`."""
    figures = figures_of(metrics[point.part.metric], point.part, seconds, point.percentiles)
    values = {field.name: getattr(figures, field.name) for field in fields(figures)}
    return OwnPointView(**values, start=point.start, warm_up=point.part.warm_up)


def window_view(window: Window, names: Sequence[str]) -> WindowView:
    """Convert a window, with percentiles from merged histograms."""
    keys = sorted(window.endpoints)
    return WindowView(
        start=window.start,
        end=window.end,
        endpoints=[_merged_view(window.start, window.endpoints[key], key[0], names) for key in keys],
    )


def _merged_view(start: int, part: EndpointInterval, endpoint: int, names: Sequence[str]) -> MergedPointView:
    beyond = part.failed + part.outcomes.get(Outcome.UNFINISHED, 0) + part.missed
    return MergedPointView(
        start=start,
        endpoint=_name(None if endpoint == ALL else endpoint, names),
        warm_up=part.warm_up,
        started=part.started,
        completed=part.completed,
        ok=part.ok,
        failed=part.failed,
        missed=part.missed,
        outcomes=dict(part.outcomes),
        statuses=dict(part.statuses),
        bytes_received=part.bytes_received,
        bytes_sent=part.bytes_sent,
        latency=spread(part.response()),
        ok_latency=spread(part.response_ok),
        adjusted_latency=spread(part.response_ok, beyond),
        service=spread(part.service),
        first_byte=spread(part.first_byte),
        failed_latency=spread(part.response_not_ok()),
    )


def _name(endpoint: int | None, names: Sequence[str]) -> str | None:
    if endpoint is None:
        return None
    return names[endpoint] if endpoint < len(names) else f"endpoint {endpoint}"


def test_view(config: TestConfig, history: TestInHistory | None, recent: Sequence[RunSummary]) -> TestView:
    """Convert a stored test, with the runs of its name in the history."""
    return TestView(
        id=config.id,
        name=config.name,
        description=config.description,
        enabled=config.enabled,
        tags=list(config.tags),
        spec=dict(config.spec),
        created_at=config.created_at,
        updated_at=config.updated_at,
        runs=history.runs if history else 0,
        last_run=summary_view(history.last_run) if history else None,
        recent=[summary_view(run) for run in recent],
    )
