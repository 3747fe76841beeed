"""Compile scenarios whose iterations a Python function runs: to flows whose steps are models of requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath

from atm.dataclass import dataclass
from atm.errors import DataError, Problem
from atm.models.fields import Path
from atm.models.outline import OTHER_ENDPOINT
from atm.models.own_metric import OwnMetric
from atm.models.scenario import RequestStep, ScenarioSpec
from atm.models.spec import TestSpec
from atm.models.threshold_spec import Thresholds
from atm.plan.load import nanoseconds
from atm.plan.load_plan import Code, Flow, Step
from atm.plan.own_metrics import OwnMetrics
from atm.plan.program import DataTable
from atm.plan.requests import Around, Requests
from atm.plan.step_names import LONGEST, StepNames

_OF_STEPS = ("before_user", "on_fail")
"""Fields of a scenario that belong to `steps`."""
_BEFORE_CHECK = re.compile(r"(.+?):\s*check\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CodeFunction:
    """A function of a Python file that was loaded."""

    file: str
    """Absolute path."""
    function: str
    digest: str
    data: frozenset[str] = frozenset()
    """Names of the test data that the file uses."""
    metrics: tuple[OwnMetric, ...] = ()
    """The metrics that the file declares."""


OpenCode = Callable[[str], CodeFunction]
"""Loads `FILE.py:FUNCTION`. Raises DataError with what is wrong with the file."""


def code_refused(what: str = "Python code cannot run here") -> DataError:
    """Return the error for code where none may run."""
    hint = "Run it with `atm run`, or write the scenario with `steps`"
    return DataError(Problem(what, "code_not_allowed", hint=hint))


@dataclass(frozen=True, slots=True)
class CodeScenarios:
    """Compiles the scenarios of a spec that have `code`."""

    spec: TestSpec
    requests: Requests
    step_names: StepNames
    tables: Sequence[DataTable]
    open_code: OpenCode | None
    own_metrics: OwnMetrics

    def flow(self, name: str, scenario: ScenarioSpec, path: Path, *, keeps_session: bool) -> Flow:
        """Compile a scenario."""
        findings = self.requests.names.findings
        if scenario.steps:
            what = "a scenario has either steps or code, and this one has both"
            findings.add((*path, "code"), what, "conflict", "Remove one of them, or make it two scenarios")
        for field in _OF_STEPS:
            if field in scenario.written:
                what = f"{field} belongs to steps, and this scenario has code"
                findings.add((*path, field), what, "conflict", "Remove it, and do in the function what it is for")
        function = self._function(scenario.code or "", (*path, "code"))
        indices = {table.name: index for index, table in enumerate(self.tables)}
        code = Code(
            function.file,
            function.function,
            function.digest,
            scenario.on_exception or self.spec.on_exception,
            tuple(indices[data] for data in sorted(function.data) if data in indices),
            tuple((key, value) for key, value in self.spec.variables.items() if "{{" not in value),
        )
        return Flow(
            name=name,
            weight=1,
            steps=tuple(self._steps(name, scenario, path)),
            uses_cookies=scenario.cookies,
            keeps_session=keeps_session,
            pace_ns=0 if scenario.pace is None else nanoseconds(scenario.pace),
            code=code,
        )

    def _function(self, text: str, path: Path) -> CodeFunction:
        try:
            if self.open_code is None:
                raise code_refused()
            function = self.open_code(text)
            self.own_metrics.add(function.metrics, PurePath(function.file).name, path)
            return function
        except DataError as error:
            for problem in error.problems:
                place = f"{problem.place}: " if problem.place else ""
                self.requests.names.findings.add(path, f"{place}{problem.what}", problem.code, problem.hint)
            return CodeFunction(text, "", "")

    def _steps(self, name: str, scenario: ScenarioSpec, path: Path) -> Iterator[Step]:
        """Yield the models of requests: for those without a name of their own, and for the names in thresholds."""
        findings = self.requests.names.findings
        if self.spec.base_url is None:
            if not findings.touch("base_url"):
                what = f'the code of the scenario "{name}" needs a base_url, which its URLs continue'
                hint = (
                    "Add `base_url: https://api.example.com`; in a Python file `atm.test(base_url=…)`, or `--base-url`"
                )
                findings.add((*path, "code"), what, "no_base_url", hint)
            return
        around = Around(scenario, path, (*path, "code"))
        for step_name in (OTHER_ENDPOINT, *self._named(name, scenario)):
            model = RequestStep(url="/", name=step_name[:100])
            index = self.step_names.index(name, model, (*path, "code", step_name))
            before = len(findings)
            step = self.requests.step(index, model, ("base_url",), around)
            if len(findings) > before or step is None:
                return
            yield step

    def _named(self, name: str, scenario: ScenarioSpec) -> list[str]:
        """Return the names of requests in thresholds, without that of the scenario."""
        named: dict[str, None] = {}
        for thresholds in (self.spec.thresholds, scenario.thresholds):
            for text in _expressions(thresholds):
                match = _BEFORE_CHECK.match(text)
                endpoint = (match[1] if match else text.rpartition(":")[0]).strip()
                if endpoint.startswith(f"{name}/") and len(endpoint) <= LONGEST:
                    named[endpoint.removeprefix(f"{name}/")] = None
        return [step for step in named if step and step != OTHER_ENDPOINT]


def _expressions(thresholds: Thresholds) -> Iterator[str]:
    for rule in thresholds.expressions:
        yield rule.expression
