"""Specs that are checked, tried and imported."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from atm.models.control.base import Answer, Name, Request, Spec
from atm.models.control.errors import ErrorEntry
from atm.models.forecast import Forecast
from atm.models.run import SampledExchange


class ValidateRequest(Request):
    """POST /specs/validate."""

    spec: Spec


class PlanView(Answer):
    """What a spec would do."""

    name: str
    model: str
    endpoints: list[str]
    engine: str
    total_requests: int | None
    planned_seconds: float | None
    hosts: list[str]
    """Every host that it would dial: of its URLs, a proxy, `connect_to`, a token server. Redirects may lead further."""
    redirects: int
    peak: float
    """Users (closed) or arrivals per second (open), warm-up included."""
    most_seconds: float | None
    """An upper bound of how long it sends, warm-up included; null when no time bounds it."""
    most_requests: int | None
    """An upper bound of the requests, warm-up included; null when only the target's speed bounds them."""


class LoadView(Answer):
    """The load of a spec, and what follows from it."""

    model: Literal["closed", "open"]
    arrival: Literal["even", "poisson"]
    """How the arrivals of an open load are spaced."""
    most_at_once: int | None
    """The most requests in flight; null where the engine decides."""
    most_rate: float | None
    """Of a closed load: the most requests per second of all users together."""
    total_requests: int | None
    forecast: Forecast


class ValidateAnswer(Answer):
    """Whether a spec can be run here; a spec that cannot is no error of the request."""

    valid: bool
    errors: list[ErrorEntry]
    notes: list[ErrorEntry]
    """What is allowed, but probably not meant."""
    plan: PlanView | None
    load: LoadView | None
    """What the load would be, also of a spec with problems elsewhere; null where it cannot be read."""


class TryRequest(Request):
    """POST /specs/try."""

    spec: Spec


class TryAnswer(Answer):
    """One request to each endpoint, whole."""

    exchanges: list[SampledExchange]


class CurlRequest(Request):
    """POST /import/curl."""

    command: Annotated[str, StringConstraints(min_length=1, max_length=200_000)]
    """A command line as browsers and documentation give it: `curl https://api.example.com -H …`."""
    name: Name | None = None


class CurlAnswer(Answer):
    """The spec that a command line stands for."""

    spec: dict[str, Any]
    notes: list[str]
    """A word on each option that was left out."""
