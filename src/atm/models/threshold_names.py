"""The names in a threshold: of an endpoint, a step or a scenario before the colon, and of a check."""

from __future__ import annotations

import re
from collections.abc import Sequence

from atm.dataclass import dataclass
from atm.errors import Problem, SpecError
from atm.models.metric import METRICS, Metric, Source
from atm.models.outline import CheckName, ScenarioSteps

HINT = 'Examples: "p99 < 300ms", "ok p95 < 250ms for 10s", "error_rate < 1%", "rps > 100", "checkout: p99 < 800ms"'


def threshold_problem(what: str, hint: str = HINT, code: str = "bad_threshold") -> SpecError:
    """Return the error of one threshold."""
    return SpecError(Problem(what, code, hint=hint))


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a run that a threshold judges: one endpoint, one scenario, or all."""

    name: str = ""
    endpoint: int | None = None
    scenario: int | None = None


@dataclass(frozen=True, slots=True)
class KnownNames:
    """The names that the threshold `text` may use; None for those that are not known here."""

    text: str
    endpoints: Sequence[str]
    scenarios: Sequence[ScenarioSteps] | None
    checks: Sequence[CheckName] | None

    @property
    def _scenario_names(self) -> list[str]:
        return [scenario.name for scenario in self.scenarios or ()]

    def scope_of(self, endpoint: int | None, scenario: int | None) -> tuple[Scope, str]:
        """Return the scope and the rest of the text. `endpoint` or `scenario` contains the rule. Raises SpecError."""
        container = Scope()
        if endpoint is not None:
            container = Scope(self.endpoints[endpoint] if endpoint < len(self.endpoints) else "", endpoint=endpoint)
        elif scenario is not None:
            names = self._scenario_names
            # A scenario that could not be compiled has no name here; its problem is reported.
            container = Scope(names[scenario] if scenario < len(names) else "", scenario=scenario)
        name, rest = self._split()
        if name is None:
            return container, self.text
        scope = self._named(name)
        if container not in (Scope(), scope):
            kind = "endpoint" if endpoint is not None else "scenario"
            other = "endpoint" if scope.endpoint is not None else "scenario"
            what = f'the threshold "{self.text}" of {kind} "{container.name}" names another {other}, "{name}"'
            raise threshold_problem(what, "Remove the name, or move the threshold to the top level")
        return scope, rest

    def _split(self) -> tuple[str | None, str]:
        """Return the name before a colon, known or not, and the rest."""
        colons = [match.start() for match in re.finditer(":", self.text)]
        for colon in reversed(colons):
            name = self.text[:colon].strip()
            if name in self.endpoints or name in self._scenario_names:
                return name, self.text[colon + 1 :].strip()
        if not colons or re.match(r"check\s", self.text, re.IGNORECASE):
            return None, self.text
        before_check = re.match(r"(.+?):\s*(check\s.*)", self.text, re.IGNORECASE)
        if before_check:
            return before_check[1].strip(), before_check[2]
        name, _, rest = self.text.rpartition(":")
        return name.strip(), rest.strip()

    def _named(self, name: str) -> Scope:
        if name in self.endpoints:
            return Scope(name, endpoint=self.endpoints.index(name))
        if name in self._scenario_names:
            return Scope(name, scenario=self._scenario_names.index(name))
        from atm.models.nearest import nearest

        names = (*self._scenario_names, *self.endpoints)
        close = nearest(name, names)
        listed = ", ".join(f'"{candidate}"' for candidate in names) or "none, because the spec has a single url"
        kind, plural = ("a scenario or step", "Scenarios and steps") if self.scenarios else ("an endpoint", "Endpoints")
        hint = f'Did you mean "{close[0]}"?' if close else f"{plural}: {listed}"
        what = f'the threshold "{self.text}" names {kind} "{name}", which does not exist'
        raise threshold_problem(what, hint, "unknown_endpoint")

    def check_of(self, written: str, scope: Scope) -> str:
        """Return the name of a check, without quotes around it. Raises SpecError if the scope has none."""
        name = written.strip()
        if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'":
            name = name[1:-1]
        if self.checks is None:
            return name
        inside = [check.name for check in self.checks if self._is_inside(check.endpoint, scope)]
        for candidate in inside:
            if " ".join(candidate.split()) == name:
                return candidate
        if self._is_open(scope):
            return name
        what = f'the threshold "{self.text}" names a check "{name}", which does not exist'
        if scope.name:
            what += f' in "{scope.name}"'
        from atm.models.nearest import nearest

        close = nearest(name, inside)
        listed = (
            ", ".join(f'"{candidate}"' for candidate in dict.fromkeys(inside)) or "none; give one a name in `checks`"
        )
        hint = f'Did you mean "{close[0]}"?' if close else f"Checks: {listed}"
        raise threshold_problem(what, hint, "unknown_check")

    def _is_open(self, scope: Scope) -> bool:
        """Return whether code may announce further checks in the scope."""
        scenarios = list(enumerate(self.scenarios or ()))
        if scope.scenario is not None:
            return any(scenario.is_code for index, scenario in scenarios if index == scope.scenario)
        return any(scenario.is_code and scope.endpoint in (None, *scenario.endpoints) for _, scenario in scenarios)

    def _is_inside(self, endpoint: int, scope: Scope) -> bool:
        if scope.scenario is not None:
            return endpoint in (self.scenarios or ())[scope.scenario].endpoints
        return scope.endpoint in (None, endpoint)

    def require_source(self, metric: Metric, scope: Scope) -> None:
        """Raise SpecError if the scope has nothing that `metric` is computed from."""
        if METRICS[metric].source is not Source.ITERATIONS:
            return
        if self.scenarios is not None and not self.scenarios:
            what = f'the threshold "{self.text}" judges iterations, and the spec has no scenarios'
            raise threshold_problem(what, 'An endpoint has requests only: "p95 < 300ms", "rps > 100"')
        if scope.endpoint is not None:
            owner = next(
                (scenario.name for scenario in self.scenarios or () if scope.endpoint in scenario.endpoints), "order"
            )
            what = f'the threshold "{self.text}" judges iterations of "{scope.name}", which is a single step'
            raise threshold_problem(what, f'Name the scenario: "{owner}: {METRICS[metric].example}"')
