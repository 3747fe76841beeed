"""Compile the steps of a scenario into the operations of a program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace

from atm.dataclass import dataclass
from atm.errors import Problem, SpecError
from atm.models.fields import Findings, Path, path_text
from atm.models.scenario import (
    CallStep,
    ChooseStep,
    RepeatStep,
    RequestStep,
    ScenarioSpec,
    StepSpec,
    ThinkStep,
    UseStep,
    WhenStep,
    WhileStep,
)
from atm.plan.assignments import Assigned, tested_slots
from atm.plan.code_hooks import CodeHooksOfSpec
from atm.plan.expressions import compile_condition
from atm.plan.extracts import compile_extract
from atm.plan.load_plan import Step
from atm.plan.program import (
    CallOp,
    ChooseOp,
    Condition,
    Extract,
    JumpOp,
    LoopOp,
    Op,
    RequestOp,
    Subject,
    ThinkOp,
    UnlessOp,
)
from atm.plan.requests import Around, Requests
from atm.plan.step_names import StepNames
from atm.plan.think_time import compile_think
from atm.plan.values import Scope, Use

MOST_OPERATIONS = 10_000
"""Most operations of a program, once its blocks are filled in."""
_LATER = -1
"""The target of a jump until it is known."""

Blocks = Mapping[str, Sequence[StepSpec]]


@dataclass(slots=True)
class StepCompiler:
    """Compiles the steps of one scenario in order; `operations` is its program."""

    name: str
    around: Around
    requests: Requests
    scope: Scope
    step_names: StepNames
    blocks: Blocks
    findings: Findings
    notes: Findings
    keeps_session: bool
    used_blocks: set[str]
    hooks: CodeHooksOfSpec | None = None
    """The file whose functions steps may call; None where they may not."""
    operations: list[Op] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    counters: int = 0
    assigned: Assigned = field(default_factory=Assigned)
    _block_stack: list[str] = field(default_factory=list)
    _uses_seen: int = field(init=False)

    def __post_init__(self) -> None:
        self._uses_seen = len(self.scope.uses)

    def compile(self, steps: Sequence[StepSpec], path: Path) -> None:
        """Append the operations of a list of steps."""
        for index, step in enumerate(steps):
            self._step(step, (*path, index))

    def _step(self, step: StepSpec, path: Path) -> None:
        if isinstance(step, RequestStep):
            self._request(step, path)
        elif isinstance(step, ThinkStep):
            think = compile_think(step.think, (*path, "think"), self.findings, self.scope.places)
            self._append(think or ThinkOp("fixed", 0))
        elif isinstance(step, RepeatStep):
            self._repeat(step, path)
        elif isinstance(step, WhileStep):
            self._while(step, path)
        elif isinstance(step, WhenStep):
            self._when(step, path)
        elif isinstance(step, ChooseStep):
            self._choose(step, path)
        elif isinstance(step, UseStep):
            self._use(step, path)
        elif isinstance(step, CallStep):
            self._call(step, path)

    def _append(self, operation: Op) -> int:
        """Append an operation and return its index. Raises SpecError if there are too many."""
        if len(self.operations) >= MOST_OPERATIONS:
            kind = "" if self.around.path == self.around.steps_path else "the scenario "
            what = f'{kind}"{self.name}" has more than {MOST_OPERATIONS:,} steps, its blocks included'
            raise SpecError(Problem(what, "spec_too_large", path_text(self.around.path), hint="Use `repeat`"))
        self.operations.append(operation)
        return len(self.operations) - 1

    def _request(self, step: RequestStep, path: Path) -> None:
        endpoint = self.step_names.index(self.name, step, path)
        self.scope.begin_request()
        request = self.requests.step(endpoint, step, path, self.around)
        extracts = self._extracts(step, path)
        self._check_uses(path)
        on_fail = step.on_fail or self.around.scenario.on_fail
        on_error = on_fail or "end_iteration"
        self.assigned.set((extract.slot for extract in extracts), surely=on_error != "continue")
        if request is None:
            return
        self.steps.append(replace(request, extracts=extracts))
        self._append(RequestOp(len(self.steps) - 1, on_error, on_fail or "continue"))

    def _extracts(self, step: RequestStep, path: Path) -> tuple[Extract, ...]:
        extracts = []
        for name, written in step.extract.items():
            if name in self.scope.slots:
                index = self.scope.index(name)
                extract = compile_extract(index, written, (*path, "extract", name), self.requests.names)
                # After a problem a stand-in, so that the variable counts as set.
                extracts.append(extract or Extract(index, Subject("status"), ""))
        return tuple(extracts)

    def _call(self, step: CallStep, path: Path) -> None:
        if self.hooks is None:
            what = f"{self.name} calls no functions: they belong to users, and here is none"
            hint = "Write a function `setup(context)` or `teardown(context)` in the file of `hooks`"
            self.findings.add((*path, "call"), what, "no_hooks", hint)
            return
        self.hooks.check_call(step, path)
        sets = self._indices(step.sets)
        written = self.hooks.file.set_by(step.call) if self.hooks.file else ()
        # What the function is seen to set counts as set; another function that it calls may set the others.
        self.assigned.set((*sets, *self._indices(written)), surely=True)
        self.assigned.set(self._indices(self.hooks.set_any_time), surely=False)
        self._append(CallOp(step.call, sets))

    def _indices(self, names: Iterable[str]) -> tuple[int, ...]:
        return tuple(self.scope.index(name) for name in names if name in self.scope.slots)

    def _repeat(self, step: RepeatStep, path: Path) -> None:
        start = len(self.operations)
        counter = self._counter()
        self._round(step.steps, path)
        self._append(LoopOp(counter, step.repeat, start))

    def _while(self, step: WhileStep, path: Path) -> None:
        start = len(self.operations)
        counter = self._counter()
        self.assigned.sometimes |= self._set_in(step.steps)
        condition = self._condition(step.condition, (*path, "while"))
        unless = self._unless(condition)
        before = self.assigned.copy()
        self.assigned.learn(condition, holds=True)
        self._round(step.steps, path)
        self.assigned.always = before.always
        self._append(LoopOp(counter, step.at_most, start))
        # When the condition ends the loop, the counter is set to 0 here: 1 is not below 1.
        self._land(unless)
        self._append(LoopOp(counter, 1, start))

    def _round(self, steps: Sequence[StepSpec], path: Path) -> None:
        """Compile the body of a loop, in which a variable may come from the round before."""
        self.assigned.sometimes |= self._set_in(steps)
        self.compile(steps, (*path, "steps"))

    def _when(self, step: WhenStep, path: Path) -> None:
        condition = self._condition(step.condition, (*path, "when"))
        unless = self._unless(condition)
        otherwise = self.assigned.copy()
        self.assigned.learn(condition, holds=True)
        self.compile(step.steps, (*path, "steps"))
        otherwise.learn(condition, holds=False)
        held, self.assigned = self.assigned, otherwise
        if step.otherwise:
            end = self._append(JumpOp(_LATER))
            self._land(unless)
            self.compile(step.otherwise, (*path, "otherwise"))
            self._land(end)
        else:
            self._land(unless)
        self.assigned.join([held, self.assigned.copy()])

    def _choose(self, step: ChooseStep, path: Path) -> None:
        weights = tuple(branch.weight for branch in step.choose)
        place = self.scope.places.take()
        choose = self._append(JumpOp(_LATER))
        before = self.assigned
        starts: list[int] = []
        ends: list[int] = []
        branches: list[Assigned] = []
        for index, branch in enumerate(step.choose):
            starts.append(len(self.operations))
            self.assigned = before.copy()
            self.compile(branch.steps, (*path, "choose", index, "steps"))
            branches.append(self.assigned)
            ends.append(self._append(JumpOp(_LATER)))
        self.operations[choose] = ChooseOp(weights, tuple(starts), place)
        for end in ends:
            self._land(end)
        self.assigned = before
        self.assigned.join(branches)

    def _use(self, step: UseStep, path: Path) -> None:
        place = (*path, "use")
        if step.use not in self.blocks:
            from atm.models.nearest import listed, nearest

            close = nearest(step.use, self.blocks)
            guess = f"Did you mean `{close[0]}`? " if close else ""
            names = listed(self.blocks) or "none"
            self.findings.add(place, f'there is no block "{step.use}"', "unknown_block", f"{guess}Blocks: {names}")
        elif step.use in self._block_stack:
            chain = " uses ".join(f'"{name}"' for name in [*self._block_stack, step.use])
            self.findings.add(place, f"the block {chain}: it never ends", "endless_block", "Use `repeat` or `while`")
        else:
            self.used_blocks.add(step.use)
            self._block_stack.append(step.use)
            self.compile(self.blocks[step.use], ("blocks", step.use))
            self._block_stack.pop()

    def _condition(self, text: str, path: Path) -> Condition | None:
        condition = compile_condition(
            text, path, self.requests.names, of_response=False, read_schema=self.requests.checks.read_schema
        )
        self._check_uses(path, in_condition=True, tested=tested_slots(condition))
        return condition

    def _unless(self, condition: Condition | None) -> int:
        """Append a conditional jump whose target is not known yet."""
        return self._append(JumpOp(_LATER) if condition is None else UnlessOp(condition, _LATER))

    def _land(self, jump: int) -> None:
        """Let a jump lead to the next operation."""
        operation = self.operations[jump]
        if isinstance(operation, UnlessOp):
            self.operations[jump] = UnlessOp(operation.condition, len(self.operations))
        else:
            self.operations[jump] = JumpOp(len(self.operations))

    def _counter(self) -> int:
        self.counters += 1
        return self.counters - 1

    def _check_uses(self, path: Path, *, in_condition: bool = False, tested: frozenset[int] = frozenset()) -> None:
        """Report each variable that was read since the last call and cannot, or may not, be set here.

        A condition may test whether a variable is set: `tested`.
        """
        uses = self.scope.uses[self._uses_seen :]
        self._uses_seen = len(self.scope.uses)
        for use in dict.fromkeys(uses):
            slot = self.scope.index(use.slot)
            if slot in self.assigned.always:
                continue
            is_possible = slot in self.assigned.sometimes
            if not is_possible and not self.keeps_session and slot in tested:
                what = f"{{{{{use.slot}}}}} is unset here in every iteration, so this condition has a fixed result"
                hint = "Variables stay with a user with `session: keep`, or in a load with `users`"
                self.notes.add(use.path, what, "never_set", hint, use.detail)
            elif not is_possible and not self.keeps_session:
                self._report_unset(use, path)
            elif not in_condition:
                self._note_unset(use, is_possible=is_possible)

    def _report_unset(self, use: Use, path: Path) -> None:
        setter = next((text for text in self._setters(use.slot)), "")
        if not setter:
            what = f"{{{{{use.slot}}}}} is used before it can be set: no step before this one calls what sets it"
            hint = f"Call the function first: `- {{call: FUNCTION, sets: {use.slot}}}`, or set it in `user_start`"
            self.findings.add(use.path, what, "used_before_set", hint, use.detail)
            return
        at = "" if use.path[: len(path)] == path else f" in the request at {path_text(path)}"
        what = f"{{{{{use.slot}}}}} is used{at} before it can be set: {setter} extracts it"
        hint = "Move the step that extracts it before this one"
        if at:
            hint += ", or leave the header out of this request: `headers: {NAME: null}`"
        self.findings.add(use.path, what, "used_before_set", hint, use.detail)

    def _note_unset(self, use: Use, *, is_possible: bool) -> None:
        when = "on some paths" if is_possible else "in the first iteration of a user"
        what = f"{{{{{use.slot}}}}} may be unset here {when}, and is then an empty text"
        hint = f"Send the request only `when: {use.slot} exists`, or give the extract a `default`"
        self.notes.add(use.path, what, "may_be_unset", hint)

    def _setters(self, slot: str) -> Iterator[str]:
        around = self.around
        for step, path in requests_of(around.scenario, around.path, around.steps_path, self.blocks):
            if slot in step.extract:
                yield path_text(path)

    def _set_in(self, steps: Sequence[StepSpec]) -> set[int]:
        """Return the slots that steps can set."""
        names = {name for step, _ in requests_in(steps, (), self.blocks) for name in step.extract}
        for call, _ in calls_in(steps, (), self.blocks):
            names |= {*call.sets, *(self.hooks.set_any_time if self.hooks else ())}
        return {self.scope.index(name) for name in names if name in self.scope.slots}


def requests_of(
    scenario: ScenarioSpec, path: Path, steps_path: Path, blocks: Blocks
) -> Iterator[tuple[RequestStep, Path]]:
    """Yield each request of a scenario with its path, those before the first iteration of a user first."""
    yield from requests_in(scenario.before_user, (*path, "before_user"), blocks)
    yield from requests_in(scenario.steps, steps_path, blocks)


def requests_in(steps: Sequence[StepSpec], path: Path, blocks: Blocks) -> Iterator[tuple[RequestStep, Path]]:
    """Yield each request in steps with its path, those of used blocks once."""
    for step, place in _inside(steps, path, blocks, set()):
        if isinstance(step, RequestStep):
            yield step, place


def calls_in(steps: Sequence[StepSpec], path: Path, blocks: Blocks) -> Iterator[tuple[CallStep, Path]]:
    """Yield each call of a function in steps with its path, those of used blocks once."""
    for step, place in _inside(steps, path, blocks, set()):
        if isinstance(step, CallStep):
            yield step, place


def _inside(
    steps: Sequence[StepSpec], path: Path, blocks: Blocks, seen: set[str]
) -> Iterator[tuple[RequestStep | CallStep, Path]]:
    for index, step in enumerate(steps):
        place = (*path, index)
        if isinstance(step, RequestStep | CallStep):
            yield step, place
        elif isinstance(step, UseStep) and step.use in blocks and step.use not in seen:
            seen.add(step.use)
            yield from _inside(blocks[step.use], ("blocks", step.use), blocks, seen)
        elif isinstance(step, RepeatStep | WhileStep | WhenStep):
            yield from _inside(step.steps, (*place, "steps"), blocks, seen)
            if isinstance(step, WhenStep):
                yield from _inside(step.otherwise, (*place, "otherwise"), blocks, seen)
        elif isinstance(step, ChooseStep):
            for number, branch in enumerate(step.choose):
                yield from _inside(branch.steps, (*place, "choose", number, "steps"), blocks, seen)
