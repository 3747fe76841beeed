"""Sampled requests and iterations, as engines report them: secrets masked, times in ns since the start of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atm.dataclass import dataclass
from atm.models.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One side of a sampled request: headers in order, body truncated at 10 KiB, secrets already masked."""

    head: str
    """`GET /users?page=1 HTTP/1.1` or `HTTP/1.1 503 Service Unavailable`."""
    headers: tuple[tuple[str, str], ...]
    body: str
    """Decoded as UTF-8, undecodable bytes replaced."""
    body_bytes: int
    """Size of the whole body, even if `body` is truncated."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled request: one of the first of an endpoint, of the first of each failure, or of the slowest."""

    request_number: int
    endpoint: int
    warm_up: bool
    reason: str
    """`first`, `failure` or `slowest`."""
    outcome: Outcome
    message: str
    intended_ns: int
    actual_ns: int
    finish_ns: int
    first_byte_ns: int | None
    status: int | None
    url: str
    """The full URL with secrets masked."""
    request: Exchanged
    response: Exchanged | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        document = _fields(self)
        document["request"] = _fields(self.request)
        document["response"] = _fields(self.response) if self.response else None
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Sample:
        """Read the output of `to_json`. Raises ValueError, KeyError or TypeError on anything else."""
        return cls(
            **{
                **document,
                "outcome": Outcome(document["outcome"]),
                "request": _exchanged(document["request"]),
                "response": _exchanged(document["response"]) if document["response"] else None,
            }
        )


@dataclass(frozen=True, slots=True)
class StepSample:
    """A request of a sampled iteration."""

    sample: Sample
    checks: tuple[tuple[int, bool], ...]
    """The named checks that judged the response, as indices into the plan's checks, and whether each passed."""
    values: tuple[tuple[str, str | None], ...]
    """The variables that the response set, in order: at most 200 characters each, None without a value."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {"sample": self.sample.to_json(), "checks": self.checks, "values": self.values}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> StepSample:
        """Read the output of `to_json`. Raises ValueError, KeyError or TypeError on anything else."""
        return cls(
            Sample.from_json(document["sample"]),
            tuple((int(check), bool(passed)) for check, passed in document["checks"]),
            tuple((str(name), None if value is None else str(value)) for name, value in document["values"]),
        )


@dataclass(frozen=True, slots=True)
class IterationSample:
    """A sampled iteration of a scenario, outside the warm-up.

    The think time before a step is the time from the end of the step before it, or from the intended start of the
    iteration, to its own intended start.
    """

    flow: int
    """Index into the plan's flows."""
    number: int
    user: int
    """Its number; that of the iteration where each iteration is a new user."""
    reason: str
    """`first`, `failure` or `slowest`: one of the first of its scenario, of the first that failed or had a failed
    request, or of the slowest."""
    is_completed: bool
    """It came to its end; otherwise a step has ended it."""
    intended_ns: int
    finish_ns: int
    think_ns: int
    """Think time drawn."""
    steps: tuple[StepSample, ...]
    """Its first 100 requests, in order."""
    left_out: int = 0
    """Number of further requests."""

    @property
    def active_ns(self) -> int:
        """Its time without think time."""
        return max(self.finish_ns - self.intended_ns - self.think_ns, 0)

    @property
    def has_failure(self) -> bool:
        """It failed, or one of its requests did."""
        return not self.is_completed or any(step.sample.outcome is not Outcome.OK for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {**_fields(self), "steps": [step.to_json() for step in self.steps]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> IterationSample:
        """Read the output of `to_json`. Raises ValueError, KeyError or TypeError on anything else."""
        return cls(**{**document, "steps": tuple(StepSample.from_json(step) for step in document["steps"])})


def _fields(item: IterationSample | Sample | Exchanged) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__slots__}


def _exchanged(document: Mapping[str, Any]) -> Exchanged:
    return Exchanged(**{**document, "headers": tuple((name, value) for name, value in document["headers"])})
