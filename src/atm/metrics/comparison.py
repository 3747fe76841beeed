"""Compare two results: which figures differ, by how much, and whether that is better. Pure."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from typing import Any

from atm.dataclass import dataclass
from atm.metrics.histogram import Histogram
from atm.metrics.timeline import milliseconds
from atm.models.endpoint_metrics import EndpointMetrics
from atm.models.run import Measurement, RunResult
from atm.models.run_figures import ScenarioMetrics

LOWER_IS_BETTER = (
    "latency_p50_ms",
    "latency_p90_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "latency_p99_9_ms",
    "latency_mean_ms",
    "latency_max_ms",
    "ok_latency_p95_ms",
    "ok_latency_p99_ms",
    "adjusted_latency_p99_ms",
    "service_p50_ms",
    "service_p95_ms",
    "service_p99_ms",
    "first_byte_p50_ms",
    "first_byte_p95_ms",
    "error_rate",
    "failed_requests",
    "missed",
)
ITERATION_TIMES = ("p50_ms", "p95_ms", "p99_ms")
HIGHER_IS_BETTER = ("throughput", "requests_per_second")
NEITHER = ("total_requests", "achieved_rate", "total_bytes_received", "total_bytes_sent")
_LOAD_FIELDS = ("load", "concurrency", "requests_per_second")
CURVE = (1, 5, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 97.5, 99, 99.5, 99.9, 99.95, 99.99, 100)


@dataclass(frozen=True, slots=True)
class FigureChange:
    """One figure of both results; `change` is relative to the first, null where that is meaningless."""

    name: str
    a: float | None
    b: float | None
    change: float | None
    better: bool | None


def is_same_load(a: RunResult, b: RunResult) -> bool:
    """Return whether both planned the same load; only then is a lower rate worse."""
    return all(_loads(a.spec, name) == _loads(b.spec, name) for name in _LOAD_FIELDS)


def _loads(spec: Mapping[str, Any], name: str) -> object:
    """Return a field of the load, with the loads and weights of scenarios."""
    scenarios = spec.get("scenarios")
    if not isinstance(scenarios, Mapping) or name != "load":
        return spec.get(name)
    own = {scenario: (part.get("load"), part.get("weight")) for scenario, part in scenarios.items()}
    return spec.get(name), own


def is_same_mix(a: RunResult, b: RunResult) -> bool:
    """Return whether both planned the same load for each endpoint."""

    def mix(result: RunResult) -> object:
        endpoints = result.spec.get("endpoints") or ()
        return result.spec.get("distribution_strategy"), [
            (endpoint.get("name"), endpoint.get("weight")) for endpoint in endpoints
        ]

    return is_same_load(a, b) and mix(a) == mix(b)


def compare_figures(a: EndpointMetrics, b: EndpointMetrics, *, same_load: bool = True) -> list[FigureChange]:
    """Return the compared figures in a fixed order; rates under different loads are neither better nor worse."""
    return [
        *(_change(name, a, b, better=-1) for name in LOWER_IS_BETTER),
        *(_change(name, a, b, better=1 if same_load else 0) for name in HIGHER_IS_BETTER),
        *(_change(name, a, b, better=0) for name in NEITHER),
    ]


def compare_scenarios(a: ScenarioMetrics, b: ScenarioMetrics, *, same_load: bool = True) -> list[FigureChange]:
    """Return the compared figures of a scenario, in a fixed order; otherwise as `compare_figures`."""
    changes = [
        _changed(f"{times}_{figure}", getattr(getattr(a, times), figure), getattr(getattr(b, times), figure), better=-1)
        for times in ("iteration_time", "active_time")
        for figure in ITERATION_TIMES
    ]
    changes += [_change(name, a, b, better=-1) for name in ("iteration_error_rate", "failed", "missed")]
    changes.append(_change("iterations_per_second", a, b, better=1 if same_load else 0))
    return [*changes, _change("started", a, b, better=0)]


def _change(name: str, a: object, b: object, *, better: int) -> FigureChange:
    return _changed(name, getattr(a, name), getattr(b, name), better=better)


def _changed(name: str, x: float | None, y: float | None, *, better: int) -> FigureChange:
    if x is None or y is None or x == y:
        return FigureChange(name, x, y, 0.0 if x is not None and x == y and math.isfinite(x) else None, None)
    finite = math.isfinite(x) and math.isfinite(y) and x != 0
    return FigureChange(name, x, y, (y - x) / x if finite else None, (y > x) == (better > 0) if better else None)


def compare_curves(a: RunResult, b: RunResult) -> Iterator[tuple[float, float | None, float | None]]:
    """Return percentiles with the response times of both in ms, from the histograms of the whole runs."""
    x, y = (Histogram.decode(base64.b64decode(result.histograms["response"])) for result in (a, b))
    for percentile in CURVE:
        yield percentile, milliseconds(x.percentile(percentile)), milliseconds(y.percentile(percentile))


def differing(a: RunResult, b: RunResult) -> list[str]:
    """Return the reasons why the two are not comparable, one sentence each."""
    notes = []
    if {**a.spec, "seed": None} != {**b.spec, "seed": None}:
        names = sorted(name for name in {*a.spec, *b.spec} - {"seed"} if a.spec.get(name) != b.spec.get(name))
        notes.append(f"their specs differ in {', '.join(names)}")
    if a.run.engine != b.run.engine:
        notes.append(f"they used different engines: {a.run.engine} and {b.run.engine}")
    for name, word in (("host", "machine"), ("cores", "number of cores"), ("atm_version", "version of atm")):
        if a.environment.get(name) != b.environment.get(name):
            notes.append(f"another {word}: {a.environment.get(name)} and {b.environment.get(name)}")
    for result, word in ((a, "a"), (b, "b")):
        if result.verdict.measurement is not Measurement.VALID:
            notes.append(f"the measurement of {word} is {result.verdict.measurement}")
    return notes
