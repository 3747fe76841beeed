"""Intervals as an engine would deliver them, for tests of what is made of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from atm.metrics.interval import EndpointInterval, FailureGroup, Interval
from atm.metrics.sample import Exchanged, IterationSample, Sample, StepSample
from atm.metrics.scenario_interval import CheckInterval, IterationInterval
from atm.models.outcome import FAILED, FULL_RESPONSES, Outcome

MS = 1_000_000
SECOND = 1_000_000_000


def endpoint(
    index: int = 0,
    times_ms: Sequence[float] = (),
    *,
    warm_up: bool = False,
    failures: dict[Outcome, int] | None = None,
    **counts: int,
) -> EndpointInterval:
    """One second of one endpoint: `times_ms` are response times of ok requests (status 200), service times the same."""
    part = EndpointInterval(endpoint=index, warm_up=warm_up)
    for time_ms in times_ms:
        nanoseconds = round(time_ms * MS)
        part.response_ok.record(nanoseconds)
        part.service.record(nanoseconds)
        part.first_byte.record(nanoseconds // 2)
    if times_ms:
        part.outcomes[Outcome.OK] = len(times_ms)
        part.statuses[200] = len(times_ms)
    for outcome, count in (failures or {}).items():
        part.outcomes[outcome] = count
        if outcome in FULL_RESPONSES:
            part.statuses[503] = part.statuses.get(503, 0) + count
            part.response_failed.record(20 * MS, count)
            part.service.record(20 * MS, count)
            part.first_byte.record(10 * MS, count)
        elif outcome is Outcome.TIMEOUT:
            part.response_timeout.record(2 * SECOND, count)
            part.service.record(2 * SECOND, count)
        elif outcome in FAILED:
            part.error_time.record(MS, count)
    part.started = sum(part.outcomes.values())
    for name, value in counts.items():
        setattr(part, name, value)
    return part


def iterations(
    flow: int = 0, times_ms: Sequence[float] = (), *, think_ms: float = 0.0, warm_up: bool = False, **counts: int
) -> IterationInterval:
    """One second of one scenario: `times_ms` are those of the completed iterations, `think_ms` of them think time."""
    part = IterationInterval(flow, warm_up, started=len(times_ms), completed=len(times_ms))
    for time_ms in times_ms:
        part.time.record(round(time_ms * MS))
        part.active_time.record(round((time_ms - think_ms) * MS))
    for name, value in counts.items():
        setattr(part, name, value)
    return part


def check(index: int = 0, passed: int = 0, failed: int = 0, *, warm_up: bool = False) -> CheckInterval:
    """One second of one check."""
    return CheckInterval(index, warm_up, passed, failed)


def second(
    number: int,
    *endpoints: EndpointInterval,
    phase: str = "load",
    offered: float = 0.0,
    duration_ns: int = SECOND,
    failures: Sequence[FailureGroup] = (),
    samples: Sequence[Sample] = (),
    iterations: Sequence[IterationInterval] = (),
    checks: Sequence[CheckInterval] = (),
    **generator: object,
) -> Interval:
    """One interval; further arguments are fields of its generator."""
    interval = Interval(second=number, phase=phase, duration_ns=duration_ns, offered=offered)
    interval.endpoints = list(endpoints)
    interval.failures = list(failures)
    interval.samples = list(samples)
    interval.iterations = list(iterations)
    interval.checks = list(checks)
    for name, value in generator.items():
        setattr(interval.generator, name, value)
    return interval


def failure_group(
    outcome: Outcome = Outcome.UNEXPECTED_STATUS,
    message: str = "503, expected 200, 201 or 204",
    count: int = 1,
    *,
    endpoint: int = 0,
    warm_up: bool = False,
    first_ns: int = 0,
    last_ns: int = 0,
) -> FailureGroup:
    return FailureGroup(endpoint, warm_up, outcome, message, count, first_ns, last_ns)


def iteration_sample(
    number: int, reason: str = "first", *steps: StepSample, flow: int = 0, time_ms: float = 10.0, failed: bool = False
) -> IterationSample:
    """One kept iteration, begun at second `number`."""
    intended = number * SECOND
    end = intended + round(time_ms * MS)
    return IterationSample(flow, number, 1, reason, not failed, intended, end, 0, steps)


def sample(
    number: int,
    reason: str = "first",
    *,
    endpoint: int = 0,
    warm_up: bool = False,
    outcome: Outcome = Outcome.OK,
    message: str = "",
    response_ms: float = 10.0,
    body: str = "{}",
) -> Sample:
    """One kept request, begun 1 ms late at second `number`, answered unless it ended without a full response."""
    intended = number * SECOND
    answered = outcome in FULL_RESPONSES
    status = None if not answered else 200 if outcome is Outcome.OK else 503
    return Sample(
        request_number=number,
        endpoint=endpoint,
        warm_up=warm_up,
        reason=reason,
        outcome=outcome,
        message=message,
        intended_ns=intended,
        actual_ns=intended + MS,
        finish_ns=intended + round(response_ms * MS),
        first_byte_ns=intended + 3 * MS if answered else None,
        status=status,
        url="http://127.0.0.1:8080/users",
        request=Exchanged("GET /users HTTP/1.1", (("Host", "127.0.0.1:8080"),), "", 0),
        response=Exchanged(f"HTTP/1.1 {status} X", (("Content-Type", "text/plain"),), body, len(body))
        if answered
        else None,
    )


def lognormal_ms(count: int, seed: int = 1, median: float = 12.0, sigma: float = 0.8) -> list[float]:
    source = random.Random(seed)
    return [source.lognormvariate(0, sigma) * median for _ in range(count)]
