"""Field names of the first design beside ours, so its clients can read responses and send them back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atm.models.control.base import Answer
from atm.models.endpoint_metrics import EndpointMetrics, NamedEndpointMetrics
from atm.models.load_description import has_loads_of_scenarios
from atm.models.outcome import Outcome
from atm.models.run import SampledExchange
from atm.models.run_figures import Figure

DEFAULT_TOTAL = 100
_THRESHOLDS = (
    "max_latency_p50_ms",
    "max_latency_p95_ms",
    "max_latency_p99_ms",
    "max_error_rate",
    "min_throughput_rps",
)
_STATUSES = (200, 201, 204)


class EndpointMetricsView(EndpointMetrics):
    """The figures of one endpoint, flat and again as the object of the first design."""

    name: str
    method: str
    url: str
    """As written in the spec, with templates, secrets masked."""
    endpoint_name: str
    metrics: EndpointMetrics


class SampledRequest(Answer):
    """A sampled request, with the names of the first design beside ours: there, headers are an object."""

    request_number: int
    endpoint_name: str
    endpoint: str
    warm_up: bool
    reason: str
    outcome: Outcome
    message: str
    at_seconds: float
    """Intended start, since the start of the run."""
    request_url: str
    request_method: str
    latency_ms: float
    response_ms: float
    """The response time, under both names."""
    service_ms: float
    first_byte_ms: Figure
    url: str
    status: int | None
    status_code: int | None
    success: bool
    error: str | None
    """The failure message; null for an ok request."""
    request_head: str
    request_headers: dict[str, str]
    """Values of repeated names are joined with a comma; `/samples` has the pairs."""
    request_body: str
    request_body_bytes: int
    response_head: str | None
    response_headers: dict[str, str]
    response_body: str
    response_body_bytes: int


def endpoint_view(metrics: NamedEndpointMetrics) -> EndpointMetricsView:
    """Return the figures of an endpoint under both sets of names."""
    figures = {name: getattr(metrics, name) for name in EndpointMetrics.model_fields}
    named = {"name": metrics.name, "method": metrics.method, "url": metrics.url}
    return EndpointMetricsView(**figures, **named, endpoint_name=metrics.name, metrics=EndpointMetrics(**figures))


def sampled_request(sample: SampledExchange) -> SampledRequest:
    """Return a sample under both sets of names."""
    ok = sample.outcome is Outcome.OK
    same = set(SampledExchange.model_fields) - {"request_headers", "response_headers"}
    return SampledRequest(
        **{name: getattr(sample, name) for name in same},
        endpoint_name=sample.endpoint,
        request_url=sample.url,
        request_method=sample.request_head.partition(" ")[0],
        latency_ms=sample.response_ms,
        status_code=sample.status,
        success=ok,
        error=None if ok else sample.message or str(sample.outcome),
        request_headers=_joined(sample.request_headers),
        response_headers=_joined(sample.response_headers),
    )


def _joined(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, list[str]] = {}
    for name, value in headers:
        joined.setdefault(name, []).append(value)
    return {name: ", ".join(values) for name, values in joined.items()}


def full_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec with every field of the first design; fields that are not set have their default, or null.

    It reads as the same test as `spec`.
    """
    timeout = spec.get("timeout", spec.get("timeout_seconds", 30.0))
    endpoints = spec.get("endpoints")
    defaults: dict[str, Any] = {
        "description": None,
        "url": None,
        "method": "GET",
        "headers": {},
        "body": None,
        "distribution_strategy": "round_robin",
        "total_requests": _total(spec),
        "concurrency": None if _has_load(spec) or spec.get("requests_per_second") is not None else 10,
        "requests_per_second": None,
        "expected_status_codes": list(_STATUSES),
        "variables": {},
        "auth": None,
    }
    return {
        **defaults,
        **{name: value for name, value in spec.items() if value is not None},
        "endpoints": None if endpoints is None else [_full_endpoint(endpoint) for endpoint in endpoints],
        "timeout": timeout,
        "timeout_seconds": timeout,
        "thresholds": _full_thresholds(spec.get("thresholds")),
    }


def _has_load(spec: Mapping[str, Any]) -> bool:
    return spec.get("load") is not None or has_loads_of_scenarios(spec)


def _total(spec: Mapping[str, Any]) -> int | None:
    """Return the default total, which applies only if nothing else ends the run. Loads of scenarios have none."""
    if has_loads_of_scenarios(spec):
        return None
    written: int | None = spec.get("total_requests")
    stages = (spec.get("load") or {}).get("stages")
    lasts = any(spec.get(name) is not None for name in ("duration", "duration_seconds"))
    return DEFAULT_TOTAL if written is None and not stages and not lasts else written


def _full_endpoint(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "method": "GET",
        "headers": {},
        "body": None,
        "weight": 1,
        "expected_status_codes": None,
    }
    return {**defaults, **{name: value for name, value in endpoint.items() if value is not None}}


def _full_thresholds(thresholds: Any) -> dict[str, Any]:
    named = thresholds if isinstance(thresholds, Mapping) else {}
    rules = named.get("expressions") if isinstance(thresholds, Mapping) else thresholds
    full: dict[str, Any] = {name: named.get(name) for name in _THRESHOLDS}
    return {**full, "expressions": rules} if rules else full
