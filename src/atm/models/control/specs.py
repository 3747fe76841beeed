"""Validate, try and import specs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from atm.models.control.base import Answer, Name, Request, Spec
from atm.models.control.errors import ErrorEntry
from atm.models.forecast import Forecast
from atm.models.run import is_empty, may_be_absent
from atm.models.run_figures import CheckFigures, ExceptionFigures
from atm.models.samples import TriedStep


class ValidateRequest(Request):
    """POST /specs/validate."""

    spec: Spec
    test: Name | None = None
    """The stored test whose files the spec may name; by default it may name none."""


class LaneView(Answer):
    """One of the loads of a plan."""

    name: str
    """The scenario's name; for a spec without scenarios, the spec's."""
    model: Literal["closed", "open"]
    start_seconds: float
    """When it starts, since the start of the run."""
    peak: float
    """Users (closed) or arrivals per second (open), warm-up included."""
    total_requests: int | None
    requests_per_iteration: int = 1
    """The most that an iteration sends; 1 for endpoints, and for Python code, of which it is not known."""


class PlanView(Answer):
    """The plan of a spec."""

    name: str
    model: str
    endpoints: list[str]
    engine: str
    total_requests: int | None
    planned_seconds: float | None
    hosts: list[str]
    """Every host that it dials: of its URLs, a proxy, `connect_to`, a token server. Redirects may add hosts."""
    redirects: int
    peak: float
    """Users (closed) or arrivals per second (open), warm-up included. Of several loads the sum; of open and closed ones
    together, of the open ones."""
    most_seconds: float | None
    """Upper bound of the sending time, warm-up included; null if no time limits it."""
    most_requests: int | None
    """Upper bound of the requests, warm-up included; null if only the target's speed limits them."""
    lanes: list[LaneView] = Field(default_factory=list)
    """The loads of the plan, which run side by side; more than one in specs with scenarios only."""


class LoadView(Answer):
    """The load of a spec, and its forecast; of scenarios, the sum of their loads."""

    model: Literal["closed", "open", "mixed"]
    arrival: Literal["even", "poisson"]
    """The spacing of an open load's arrivals."""
    most_at_once: int | None
    """The most requests in flight; null if the engine decides."""
    most_rate: float | None
    """Of a closed load: maximum rate of all users together, per second."""
    total_requests: int | None
    """Of scenarios: iterations."""
    forecast: Forecast


class ValidateAnswer(Answer):
    """Whether a spec can be run here; an invalid spec is not an error of the request."""

    valid: bool
    errors: list[ErrorEntry]
    notes: list[ErrorEntry]
    """Notes on allowed but probably unintended settings."""
    plan: PlanView | None
    load: LoadView | None
    """The load, even of a spec with problems elsewhere; null if it cannot be read. That of scenarios only if the whole
    spec is valid."""


class TryRequest(Request):
    """POST /specs/try."""

    spec: Spec
    test: Name | None = None
    """The stored test whose files the spec may name; by default it may name none."""


class TryAnswer(Answer):
    """One sampled request per endpoint, or per step that one iteration of each scenario reached."""

    exchanges: list[TriedStep]
    checks: list[CheckFigures]
    """Of every request of the trial; of a step that was not reached without an evaluation."""
    exceptions: list[ExceptionFigures] = Field(default=[], exclude_if=is_empty, json_schema_extra=may_be_absent)
    """Exceptions that ended iterations of code; absent if there are none."""


class CurlRequest(Request):
    """POST /import/curl."""

    command: Annotated[str, StringConstraints(min_length=1, max_length=200_000)]
    """A command line as copied from a browser or documentation: `curl https://api.example.com -H …`."""
    name: Name | None = None


class CurlAnswer(Answer):
    """The spec equivalent to a command line."""

    spec: dict[str, Any]
    notes: list[str]
    """A note on each option that was ignored."""
