"""Convert samples of the engines for the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atm.metrics.sample import IterationSample, Sample
from atm.metrics.scenarios import ScenarioTotals
from atm.models.samples import SampledExchange, SampledIteration, SampledStep, StepCheck, StepValue


def exchange(sample: Sample, endpoints: Sequence[str]) -> SampledExchange:
    """Convert a sample for the result; `endpoints` are the plan's names."""
    return SampledExchange(**_fields(sample, endpoints))


def sampled_iteration(sample: IterationSample, endpoints: Sequence[str], scenarios: ScenarioTotals) -> SampledIteration:
    """Convert a sampled iteration for the result; `endpoints` are the plan's names."""
    steps = []
    before_ns = sample.intended_ns
    for step in sample.steps:
        steps.append(
            SampledStep(
                **_fields(step.sample, endpoints),
                think_ms=max(step.sample.intended_ns - before_ns, 0) / 1e6,
                checks=[StepCheck(name=scenarios.checks[check].name, passed=passed) for check, passed in step.checks],
                values=[StepValue(name=name, value=value) for name, value in step.values],
            )
        )
        before_ns = step.sample.finish_ns
    return SampledIteration(
        scenario=scenarios.scenarios[sample.flow].name,
        number=sample.number,
        user=sample.user,
        reason=sample.reason,
        outcome="completed" if sample.is_completed else "failed",
        at_seconds=sample.intended_ns / 1e9,
        time_ms=(sample.finish_ns - sample.intended_ns) / 1e6,
        active_ms=sample.active_ns / 1e6,
        steps=steps,
        requests_left_out=sample.left_out,
    )


def _fields(sample: Sample, endpoints: Sequence[str]) -> dict[str, Any]:
    response = sample.response
    first_byte = None if sample.first_byte_ns is None else (sample.first_byte_ns - sample.actual_ns) / 1e6
    return {
        "request_number": sample.request_number,
        "endpoint": endpoints[sample.endpoint],
        "warm_up": sample.warm_up,
        "reason": sample.reason,
        "outcome": sample.outcome,
        "message": sample.message,
        "at_seconds": sample.intended_ns / 1e9,
        "response_ms": (sample.finish_ns - sample.intended_ns) / 1e6,
        "service_ms": (sample.finish_ns - sample.actual_ns) / 1e6,
        "first_byte_ms": first_byte,
        "status": sample.status,
        "url": sample.url,
        "request_head": sample.request.head,
        "request_headers": list(sample.request.headers),
        "request_body": sample.request.body,
        "request_body_bytes": sample.request.body_bytes,
        "response_head": response.head if response else None,
        "response_headers": list(response.headers) if response else [],
        "response_body": response.body if response else "",
        "response_body_bytes": response.body_bytes if response else 0,
    }
