"""Compile the scenarios of a spec into flows with programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field, replace
from typing import Literal

from atm.dataclass import dataclass
from atm.models.fields import Findings, Path, path_text
from atm.models.scenario import ScenarioSpec
from atm.models.spec import TestSpec
from atm.plan.checks import MOST_NAMES
from atm.plan.code_hooks import CodeHooksOfSpec
from atm.plan.code_scenarios import CodeScenarios, OpenCode
from atm.plan.load import nanoseconds
from atm.plan.load_plan import Flow, Lane
from atm.plan.own_metrics import OwnMetrics
from atm.plan.program import DataTable, Op, RequestOp
from atm.plan.requests import Around, Requests
from atm.plan.step_names import StepNames
from atm.plan.steps import StepCompiler, calls_in, requests_of
from atm.plan.user_slots import user_slots
from atm.plan.values import MOST_PLACES, Scope

MOST_SCENARIOS = 256
"""Each has a lane, and an engine runs at most this many."""
_SCENARIO_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,59}")


def _after(op: Op, steps: int) -> Op:
    """Return an operation whose step comes after a number of others."""
    return replace(op, step=op.step + steps) if isinstance(op, RequestOp) else op


@dataclass(slots=True)
class Scenarios:
    """Compiles the scenarios of a spec in turn."""

    spec: TestSpec
    requests: Requests
    findings: Findings
    notes: Findings
    hooks: CodeHooksOfSpec
    own_metrics: OwnMetrics
    tables: Sequence[DataTable] = ()
    open_code: OpenCode | None = None
    step_names: StepNames = field(init=False)
    used_blocks: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.step_names = StepNames(self.findings)

    def flows(self, lanes: Sequence[Lane]) -> tuple[Flow, ...]:
        """Compile every scenario, each under the load of its lane."""
        flows = tuple(
            self._flow(name, scenario, ("scenarios", name), lane.load.model)
            for (name, scenario), lane in zip((self.spec.scenarios or {}).items(), lanes, strict=True)
        )
        self._check_names()
        if self.requests.names.places.taken > MOST_PLACES:
            what = f"the spec has more than {MOST_PLACES:,} random values"
            self.findings.add(("scenarios",), what, "spec_too_large", "Use fewer functions, or fewer steps")
        return flows

    def _flow(self, name: str, scenario: ScenarioSpec, path: Path, model: Literal["open", "closed"]) -> Flow:
        if not _SCENARIO_NAME.fullmatch(name):
            what = f'"{name[:80]}" cannot name a scenario'
            hint = "Use up to 60 letters, digits, spaces, dots, hyphens and underscores"
            self.findings.add(path, what, "bad_name", hint)
        if scenario.pace is not None and model == "open":
            what = "pace belongs to a closed load, and this load is open: its rate decides when iterations start"
            self.findings.add((*path, "pace"), what, "conflict", "Remove it, or give the load `users`")
        lasts = model == "closed" or bool(scenario.before_user)
        keeps_session = (scenario.session or ("keep" if lasts else "new")) == "keep"
        if scenario.code is not None:
            code = CodeScenarios(
                self.spec, self.requests, self.step_names, self.tables, self.open_code, self.own_metrics
            )
            return code.flow(name, scenario, path, keeps_session=keeps_session)
        self._check_steps(scenario, path)
        names = self.requests.names
        requests = requests_of(scenario, path, (*path, "steps"), self.spec.blocks)
        slots = user_slots(requests, self.spec, self.findings, names.setup_values)
        calls = [step for step, _ in calls_in((*scenario.before_user, *scenario.steps), path, self.spec.blocks)]
        slots |= self.hooks.user_slots(slots, calls)
        names.scope = scope = Scope(names.places, slots, tuple(self.tables))
        before = self._before_user(name, scenario, path)
        compiler = self._compiler(name, Around(scenario, path, (*path, "steps")), scope, keeps_session=keeps_session)
        compiler.counters = before.counters
        # In the iterations of a user, what its first steps have set is set.
        compiler.assigned = before.assigned.copy()
        compiler.compile(scenario.steps, (*path, "steps"))
        names.scope = None
        if not compiler.steps and not self.findings.touch(*path) and not self.findings.touch("blocks"):
            what = f'the scenario "{name}" has no step that sends a request'
            self.findings.add((*path, "steps"), what, "no_request", "Add one: `- GET: /users`")
        return Flow(
            name=name,
            weight=1,
            steps=(*compiler.steps, *before.steps),
            program=tuple(compiler.operations),
            before_user=tuple(_after(op, len(compiler.steps)) for op in before.operations),
            slots=tuple(scope.slots.values()),
            counters=compiler.counters,
            uses_cookies=scenario.cookies,
            keeps_session=keeps_session,
            pace_ns=0 if scenario.pace is None else nanoseconds(scenario.pace),
            on_exception=scenario.on_exception or self.spec.on_exception,
            hook_tables=self.hooks.tables_of(self.tables),
        )

    def _check_steps(self, scenario: ScenarioSpec, path: Path) -> None:
        if "on_exception" in scenario.written and self.spec.hooks is None:
            what = "on_exception belongs to Python code, and this scenario has none"
            hint = "Remove it, or use `on_fail`; code comes with `hooks: FILE.py`"
            self.findings.add((*path, "on_exception"), what, "conflict", hint)
        if not scenario.steps and "steps" not in scenario.written and not self.findings.touch(*path, "steps"):
            what = f"{path_text(path)} needs a field steps"
            self.findings.add((*path, "steps"), what, "missing_field", "Add `steps`, or `code: FILE.py:FUNCTION`")

    def _compiler(self, name: str, around: Around, scope: Scope, *, keeps_session: bool) -> StepCompiler:
        compiler = StepCompiler(
            name=name,
            around=around,
            requests=self.requests,
            scope=scope,
            step_names=self.step_names,
            blocks=self.spec.blocks,
            findings=self.findings,
            notes=self.notes,
            keeps_session=keeps_session,
            used_blocks=self.used_blocks,
            hooks=self.hooks,
        )
        at_start = [scope.index(slot) for slot in self.hooks.set_at_start if slot in scope.slots]
        compiler.assigned.set(at_start, surely=True)
        any_time = [scope.index(slot) for slot in self.hooks.set_for_requests if slot in scope.slots]
        compiler.assigned.set(any_time, surely=False)
        return compiler

    def _before_user(self, name: str, scenario: ScenarioSpec, path: Path) -> StepCompiler:
        """Compile what a user does before its first iteration."""
        scope = self.requests.names.scope
        assert scope is not None
        around = Around(scenario, path, (*path, "steps"), has_headers=False)
        compiler = self._compiler(f"{name}/before_user", around, scope, keeps_session=False)
        place = (*path, "before_user")
        if not scenario.before_user:
            return compiler
        if scenario.session == "new":
            what = "before_user prepares a user for all its iterations, and `session: new` forgets it after each"
            self.findings.add(place, what, "conflict", "Remove `session`, or move its steps to `steps`")
        scope.has_iteration = False
        compiler.compile(scenario.before_user, place)
        scope.has_iteration = True
        if not compiler.steps and not self.findings.touch(*path) and not self.findings.touch("blocks"):
            what = "before_user has no step that sends a request"
            self.findings.add(place, what, "no_request", "Add one: `- POST: /login`")
        return compiler

    def note_unused_blocks(self) -> None:
        """Note each block that no scenario and no hook uses."""
        for name in self.spec.blocks:
            if name not in self.used_blocks:
                what = f'no scenario uses the block "{name}", so it was not checked'
                self.notes.add(("blocks", name), what, "unused_block", f"Write `use: {name}` as a step, or remove it")

    def _check_names(self) -> None:
        scenarios = len(self.spec.scenarios or {})
        if scenarios > MOST_SCENARIOS:
            what = f"the spec has {scenarios:,} scenarios; the maximum is {MOST_SCENARIOS}"
            self.findings.add(("scenarios",), what, "too_many_names", "Let one scenario `choose` between branches")
        count = len(self.step_names.requests) + len({name.name for name in self.requests.checks.indices})
        if count > MOST_NAMES:
            what = f"the spec has {count:,} names of steps and checks; the maximum is {MOST_NAMES:,}"
            self.findings.add(
                ("scenarios",), what, "too_many_names", "Give steps that belong together one name in a block"
            )
