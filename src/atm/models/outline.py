"""The outline of a plan in results: the endpoints, the scenarios with their steps, the checks, and the test data."""

from __future__ import annotations

from collections.abc import Iterable

from atm.dataclass import dataclass

OTHER_ENDPOINT = "(other)"
"""The step of a scenario in code for requests beyond the limit of names."""


@dataclass(frozen=True, slots=True)
class EndpointDescription:
    """The request of an endpoint, as results name it."""

    name: str
    method: str
    url: str
    """As written in the spec, with templates, secrets masked."""


@dataclass(frozen=True, slots=True)
class ScenarioSteps:
    """A scenario of the plan. Each of its steps is an endpoint with figures of its own."""

    name: str
    endpoints: tuple[int, ...]
    """Indices of the endpoints of its steps, in the order of the scenario, each once."""
    is_open: bool = True
    """Its iterations arrive at a rate; otherwise its users start them."""
    before_user: tuple[int, ...] = ()
    """Indices of the endpoints of the steps that each user sends once, before its first iteration. Their figures are
    apart: they are in no total of the run and of the scenario."""
    measured_from: float = 0.0
    """When its measured load is planned to begin, in seconds since the start of the run."""
    measured_until: float | None = None
    """When it is planned to end; null where that depends on the target, and in runs of earlier versions."""
    is_code: bool = False
    """A function runs its iterations: endpoints and checks are announced when they are used first. The first of the
    endpoints is for requests beyond the limit of names."""
    has_hooks: bool = False
    """Hooks judge its responses: their checks are announced when they are used first."""

    @property
    def grows(self) -> bool:
        """Whether what it counts becomes known while it runs."""
        return self.is_code or self.has_hooks


@dataclass(frozen=True, slots=True)
class OpenLane:
    """An open load of a plan with several loads. Arrivals that never start are counted at these endpoints."""

    name: str
    flows: tuple[int, ...]
    endpoints: tuple[int, ...]
    """Of each flow the index of the first step's endpoint."""


@dataclass(frozen=True, slots=True)
class CheckName:
    """A check of the plan. Thresholds address all checks of one name together."""

    name: str
    endpoint: int
    """Index of the endpoint whose responses it judges."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """Test data of the plan."""

    name: str
    rows: int
    is_counted: bool = True
    """Whether its rows are counted: those of a source per use are not."""


def step_name(scenario: str, endpoint: str) -> str:
    """Return the name of a step within its scenario: `list` for the endpoint `browse/list`."""
    return endpoint.removeprefix(f"{scenario}/") or endpoint


def others_of(scenarios: Iterable[ScenarioSteps]) -> frozenset[int]:
    """Return the endpoints for requests beyond the limit of names, which are only shown if they have figures."""
    return frozenset(scenario.endpoints[0] for scenario in scenarios if scenario.is_code and scenario.endpoints)


def endpoints_apart(scenarios: Iterable[ScenarioSteps]) -> frozenset[int]:
    """Return the endpoints that are in no total of a run, because users send them before their first iteration."""
    return frozenset(endpoint for scenario in scenarios for endpoint in scenario.before_user)
