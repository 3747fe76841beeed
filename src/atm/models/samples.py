"""Sampled requests and iterations of a result, secrets masked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from atm.models.outcome import Outcome
from atm.models.run_figures import Figure


class ResultModel(BaseModel):
    """A part of a result."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, ser_json_inf_nan="strings")


class SampledExchange(ResultModel):
    """One sampled request, secrets masked; times since its intended start."""

    request_number: int
    endpoint: str
    warm_up: bool
    reason: str
    outcome: Outcome
    message: str
    at_seconds: float
    """Intended start, since the start of the run."""
    response_ms: float
    service_ms: float
    first_byte_ms: Figure
    status: int | None
    url: str
    request_head: str
    request_headers: list[tuple[str, str]]
    request_body: str
    request_body_bytes: int
    response_head: str | None
    response_headers: list[tuple[str, str]]
    response_body: str
    response_body_bytes: int

    @property
    def endpoint_name(self) -> str:
        """`endpoint`, under its name in the first design."""
        return self.endpoint

    @property
    def request_url(self) -> str:
        """`url`, under its name in the first design."""
        return self.url

    @property
    def status_code(self) -> int | None:
        """`status`, under its name in the first design."""
        return self.status

    @property
    def latency_ms(self) -> float:
        """`response_ms`, under its name in the first design."""
        return self.response_ms


class StepCheck(ResultModel):
    """A named check that judged the response of a step."""

    name: str
    passed: bool


class StepValue(ResultModel):
    """A variable that the response of a step set."""

    name: str
    value: str | None
    """At most 200 characters, `***` for a secret, null if the response had no value."""


class SampledStep(SampledExchange):
    """One request of a sampled iteration."""

    think_ms: float
    """Think time before it."""
    checks: list[StepCheck]
    values: list[StepValue]


class SampledIteration(ResultModel):
    """One sampled iteration of a scenario."""

    scenario: str
    number: int
    user: int
    """The number of the iteration where each iteration is a new user."""
    reason: Literal["first", "failure", "slowest"]
    """One of the first of its scenario, of the first that failed or had a failed request, or of the slowest."""
    outcome: Literal["completed", "failed"]
    """`failed`: a step, or an exception of code, has ended it."""
    at_seconds: float
    """Intended start, since the start of the run."""
    time_ms: float
    """From the intended start to the end of its last step or think time."""
    active_ms: float
    """The same without think time."""
    steps: list[SampledStep]
    """Its first 100 requests, in order."""
    requests_left_out: int
    """Number of further requests."""

    @property
    def has_failure(self) -> bool:
        """It failed, or one of its requests did."""
        return self.outcome == "failed" or any(step.outcome is not Outcome.OK for step in self.steps)


class TriedStep(SampledStep):
    """One request of a trial."""

    requests: int
    """How often the trial sent it: loops send a step several times, and this is the first."""


def steps_tried(
    samples: Iterable[SampledExchange], iterations: Iterable[SampledIteration], requests: Mapping[str, int]
) -> list[TriedStep]:
    """Return the sampled requests of a trial, those of iterations with the checks and values of their first request.

    `requests` are the numbers of all requests by endpoint.
    """
    first: dict[str, SampledStep] = {}
    for iteration in iterations:
        for step in iteration.steps:
            first.setdefault(step.endpoint, step)
    return [_tried(sample, first.get(sample.endpoint), requests.get(sample.endpoint, 1)) for sample in samples]


def _tried(sample: SampledExchange, step: SampledStep | None, requests: int) -> TriedStep:
    same = {name: getattr(sample, name) for name in SampledExchange.model_fields}
    if step is None:
        return TriedStep(**same, think_ms=0, checks=[], values=[], requests=requests)
    return TriedStep(**same, think_ms=step.think_ms, checks=step.checks, values=step.values, requests=requests)
