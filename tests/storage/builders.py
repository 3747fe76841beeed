"""Runs, intervals and results to store, with what matters to a test as arguments."""

from __future__ import annotations

import dataclasses
import itertools
import types
import typing
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints

from atm.metrics.histogram import Histogram
from atm.metrics.interval import EndpointInterval, FailureGroup, GeneratorInterval, Interval
from atm.models.endpoint_metrics import Metrics, NamedEndpointMetrics
from atm.models.events import FinishedEvent, IntervalEvent, SampledIterationEvent, SampleEvent, SoFar, StartedEvent
from atm.models.outcome import Outcome, RunStatus, StopReason, run_outcome
from atm.models.run import GeneratorSummary, Measurement, RunInfo, RunResult, SampledExchange, ThresholdResult, Verdict
from atm.models.samples import SampledIteration, SampledStep, StepCheck, StepValue
from atm.storage.records import Finish, NewRun, RunEvent

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
_numbers = itertools.count()


def at(seconds: float) -> datetime:
    """A time of day, `seconds` after noon."""
    return START + timedelta(seconds=seconds)


def new_run(run_id: str | None = None, **changes: Any) -> NewRun:
    """A run to be created; each a second after the last one by default."""
    values: dict[str, Any] = {
        "id": run_id or uuid.uuid4().hex,
        "name": "Shop",
        "url": "https://shop.example/items",
        "method": "GET",
        "created_at": at(next(_numbers)),
        "spec": {"name": "Shop", "url": "https://shop.example/items"},
        "engine": "native",
    }
    return NewRun(**{**values, **changes})


def interval(second: int, endpoints: int = 2, *, warm_up: bool = False, requests: int = 20) -> Interval:
    """A second with `requests` ok requests at each endpoint, one failure, and times that differ by second."""
    parts = []
    for endpoint in range(endpoints):
        part = EndpointInterval(endpoint, warm_up, started=requests + 1, bytes_received=1000 * requests)
        part.outcomes = {Outcome.OK: requests, Outcome.UNEXPECTED_STATUS: 1}
        part.statuses = {200: requests, 503: 1}
        for number in range(requests):
            value = 1_000_000 * (1 + endpoint) + 17_171 * number + 1_003 * second
            for name in ("response_ok", "service", "first_byte"):
                getattr(part, name).record(value)
        part.response_failed.record(90_000_000 + second)
        parts.append(part)
    generator = GeneratorInterval(cpu_seconds=0.25, in_flight=second % 7, busiest_thread_share=0.5, dials=1)
    generator.schedule_lag.record(20_000 + second)
    failure = FailureGroup(
        0, warm_up, Outcome.UNEXPECTED_STATUS, "503, expected 200", 1, second * 10**9, second * 10**9
    )
    return Interval(second, "load", 1_000_000_000, float(requests + 1), parts, generator, [failure])


def sample(number: int, **changes: Any) -> SampledExchange:
    """A kept request."""
    values: dict[str, Any] = {
        "request_number": number,
        "endpoint": "items",
        "warm_up": False,
        "reason": "first",
        "outcome": Outcome.OK,
        "message": "",
        "at_seconds": 0.5,
        "response_ms": 12.5,
        "service_ms": 12.0,
        "first_byte_ms": 11.0,
        "status": 200,
        "url": "https://shop.example/items",
        "request_head": "GET /items HTTP/1.1",
        "request_headers": [("Authorization", "***")],
        "request_body": "",
        "request_body_bytes": 0,
        "response_head": "HTTP/1.1 200 OK",
        "response_headers": [("Content-Type", "text/plain")],
        "response_body": "grüße \u0000 🙂",
        "response_body_bytes": 14,
    }
    return SampledExchange(**{**values, **changes})


def event(sequence: int, kind: str = "interval") -> RunEvent:
    """A stored event, with all that readers expect of one of its kind."""
    kinds: dict[str, Any] = {
        "interval": IntervalEvent,
        "started": StartedEvent,
        "sample": SampleEvent,
        "iteration": SampledIterationEvent,
        "finished": FinishedEvent,
    }
    data = _plain_fields(kinds[kind])
    if "second" in data:
        data["second"] = sequence
    return RunEvent(sequence, kind, at(sequence), data)


_EMPTY: dict[str, Any] = {
    "endpoints": [],
    "outcomes": {},
    "errors": [],
    "outcome": "ok",
    "status": "completed",
    "failure_reasons": [],
}


def _plain_fields(model: Any) -> dict[str, Any]:
    """A value for each required field that is not a column of the storage."""
    hints = get_type_hints(model)
    if dataclasses.is_dataclass(model):
        missing = dataclasses.MISSING
        found = dataclasses.fields(model)
        required = [item.name for item in found if item.default is missing and item.default_factory is missing]
    else:
        required = [name for name, field in model.model_fields.items() if field.is_required()]
    plain = {int: 1, float: 1.0, str: "text", bool: False}
    values: dict[str, Any] = {}
    for name in required:
        if name in ("kind", "sequence", "at"):
            continue
        values[name] = _plain_fields(SoFar) if hints[name] is SoFar else plain.get(hints[name], _EMPTY.get(name))
    return values


def iteration(number: int) -> SampledIteration:
    """A sampled iteration of one step, which failed."""
    request = sample(number, outcome=Outcome.CHECK_FAILED, reason="failure").model_dump()
    step = SampledStep(
        **request,
        think_ms=5.0,
        checks=[StepCheck(name="found", passed=False)],
        values=[StepValue(name="id", value=None), StepValue(name="name", value="Ünal")],
    )
    return SampledIteration(
        scenario="shop", number=number, user=1, reason="failure", outcome="completed", at_seconds=0.5,
        time_ms=40.0, active_ms=35.0, steps=[step], requests_left_out=0,
    )  # fmt: skip


def result(run_id: str, *, passed: bool | None = True, **metrics: Any) -> RunResult:
    """What a run leaves behind."""
    figures = {**_blank(Metrics), "successful_requests": 40, "latency_p95_ms": 12.5, **metrics}
    endpoint = {**_blank(NamedEndpointMetrics), "name": "items", "adjusted_latency_p99_ms": float("inf")}
    threshold = ThresholdResult.model_validate(
        {
            "expression": "p95 < 10ms",
            "endpoint": None,
            "actual": 12.5,
            "limit": 10.0,
            "unit": "ms",
            "passed": passed is not False,
            "margin": -0.25,
            "message": "",
        }
    )

    return RunResult(
        run=RunInfo(
            id=run_id,
            name="Shop",
            status=RunStatus.COMPLETED,
            stop_reason=StopReason.DURATION,
            created_at=START,
            started_at=START,
            completed_at=START,
            engine="native",
            engine_version="1",
            engine_reason="",
            seed=1,
            model="closed",
        ),
        verdict=Verdict(
            passed=passed,
            outcome=run_outcome(RunStatus.COMPLETED, StopReason.DURATION, passed),
            measurement=Measurement.VALID,
            reasons=[],
            exit_code=0,
        ),
        thresholds=[threshold],
        metrics=Metrics(**figures),
        endpoint_metrics=[NamedEndpointMetrics(**endpoint)],
        failures=[],
        generator=GeneratorSummary(**_blank(GeneratorSummary)),
        environment={"python": "3.11"},
        spec={"name": "Shop", "url": "https://shop.example/items"},
        timeline=[],
        samples=[sample(1), sample(2, outcome=Outcome.TIMEOUT, status=None, reason="failure", response_ms=900.0)],
        sampled_iterations=[iteration(3)],
        histograms={"response": ""},
    )


def completed(run_id: str, seconds: float = 60, *, passed: bool | None = True) -> Finish:
    """The end of a run that went well."""
    return Finish(RunStatus.COMPLETED, at(seconds), result(run_id, passed=passed), stop_reason=StopReason.DURATION)


def merged(intervals: list[Interval], endpoint: int, name: str) -> Histogram:
    """The samples of one histogram of one endpoint over these seconds: what windows must agree with."""
    parts = [part for each in intervals for part in each.endpoints if part.endpoint == endpoint]
    return Histogram.merged(*(getattr(part, name) for part in parts))


def _blank(model: type[Any]) -> dict[str, Any]:
    return {name: _zero(field.annotation) for name, field in model.model_fields.items()}


def _zero(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return None
    plain = typing.get_origin(annotation) or annotation
    return plain()
