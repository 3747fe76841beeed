"""Name the requests of a plan: `scenario/step`, each at most 128 characters and unique."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import field

from atm.dataclass import dataclass
from atm.models.fields import Findings, Path
from atm.models.request import RequestSpec
from atm.models.scenario import RequestStep
from atm.models.spec import EndpointSpec
from atm.plan.spec_mask import masked_url

LONGEST = 128


@dataclass(frozen=True, slots=True)
class WrittenRequest:
    """A request as the spec writes it, with credentials masked."""

    name: str
    method: str
    url: str


def endpoint_names(endpoints: Sequence[EndpointSpec]) -> list[str]:
    """Return the names of endpoints: as written, else method and path, with a number where that is taken."""
    taken = {endpoint.name for endpoint in endpoints if endpoint.name is not None}
    names: list[str] = []
    for endpoint in endpoints:
        name = endpoint.name
        if name is None:
            name = _unique(_method_and_path(endpoint), taken)
            taken.add(name)
        names.append(name)
    return names


def _method_and_path(request: RequestSpec) -> str:
    template = masked_url(request.url).partition("?")[0]
    if "://" in template:
        template = "/" + template.partition("://")[2].partition("/")[2]
    return f"{request.method} {template}"


def _unique(stem: str, taken: Container[str | None]) -> str:
    """Return a name that is not taken, and not too long."""
    number = 1
    while True:
        end = f" ({number})" if number > 1 else ""
        room = LONGEST - len(end)
        name = (stem if len(stem) <= room else stem[: room - 1] + "…") + end
        if name not in taken:
            return name
        number += 1


@dataclass(slots=True)
class StepNames:
    """The requests of the scenarios so far, in the order of their endpoints."""

    findings: Findings
    requests: list[WrittenRequest] = field(default_factory=list)
    steps: dict[int, tuple[RequestStep, Path]] = field(default_factory=dict)
    """Each endpoint's step, with its path in the spec."""
    _indices: dict[str, int] = field(default_factory=dict)
    _places: dict[tuple[str, Path], int] = field(default_factory=dict)

    def index(self, scenario: str, step: RequestStep, path: Path) -> int:
        """Return the endpoint of a step. A block that a scenario uses twice has its steps counted together."""
        place = (scenario, path)
        if place in self._places:
            return self._places[place]
        name = self._name(scenario, step, path)
        self._places[place] = self._indices[name] = len(self.requests)
        self.requests.append(WrittenRequest(name, step.method, masked_url(step.url)))
        self.steps[self._places[place]] = (step, path)
        return self._places[place]

    def _name(self, scenario: str, step: RequestStep, path: Path) -> str:
        if step.name is None:
            return self._default_name(scenario, step)
        name = f"{scenario}/{step.name}"
        if name in self._indices:
            what = f'two steps are called "{name}"'
            hint = "Give each a unique name: reports and thresholds identify steps by name"
            self.findings.add((*path, "name"), what, "duplicate_name", hint)
        elif len(name) > LONGEST:
            what = f'the name "{name[:60]}…" has {len(name)} characters with its scenario; the maximum is {LONGEST}'
            self.findings.add((*path, "name"), what, "wrong_length", "Shorten the name of the step or of the scenario")
        return name

    def _default_name(self, scenario: str, step: RequestStep) -> str:
        return _unique(f"{scenario}/{_method_and_path(step)}", self._indices)
