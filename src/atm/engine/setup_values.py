"""Fill the values that `setup` extracted into a plan, before its load starts.

A value that may be shown becomes literal text in the encoding of its place. A secret one stays a slot, whose value is
passed to the engine beside the plan, so that it is masked wherever it occurs. Conditions on a value that cannot
change any more are replaced by their result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from atm.dataclass import dataclass
from atm.engine.asyncio_engine.scenario.answer import Answer
from atm.engine.asyncio_engine.scenario.condition import condition_of
from atm.engine.asyncio_engine.scenario.filter import filter_of
from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.scenario.template import written
from atm.engine.asyncio_engine.scenario.value import UNSET, Value, text_form
from atm.plan.hooks import setup_value
from atm.plan.load_plan import Flow, LoadPlan, Step
from atm.plan.program import All, Comparison, Condition, Either, Negation, Slot, UnlessOp
from atm.plan.template_parts import (
    Encoding,
    LiteralPart,
    Part,
    SecretPart,
    SlotSource,
    Template,
    TextSource,
    ValuePart,
)
from atm.plan.templates import SETUP_SLOT, merged

_NO_ANSWER = Answer(status=0, time_ns=0, size=0, raw=b"", body=b"")
_TRUE: Condition = All(())
_FALSE: Condition = Either(())


@dataclass(frozen=True, slots=True)
class _OneValue:
    """A user whose only variable is a value of `setup`."""

    slots: Sequence[Value]
    user: int = 1
    iteration: int = 1
    round: int = 0

    def cell(self, table: int, column: int, place: int) -> Value:
        raise AssertionError(f"the compiler refuses test data in hooks: table {table}, column {column}, place {place}")


@dataclass(slots=True)
class SetupValues:
    """The values of the variables that `setup` extracts; UNSET for one that it did not reach."""

    slots: Sequence[Slot]
    values: Sequence[Value]
    secrets: Mapping[str, str]
    """The other secrets of the run, with which values are signed."""
    used_as_secret: set[str] = field(default_factory=set)

    def filled(self, plan: LoadPlan) -> LoadPlan:
        """Return a plan with the values in it; `secret_values` then has those that the plan does not hold."""
        plan = replace(plan, flows=tuple(self._flow(flow) for flow in plan.flows))
        if plan.hooks is None:
            return plan
        return replace(plan, hooks=replace(plan.hooks, variables=(*plan.hooks.variables, *self._shown)))

    @property
    def secret_values(self) -> dict[str, str]:
        """The secret values by slot, of credentials and of what the plans filled so far use as such."""
        by_name = {slot.name: value for slot, value in zip(self.slots, self.values, strict=True)}
        names = {slot.name for slot in self.slots if slot.is_secret} | self.used_as_secret
        return {f"{SETUP_SLOT}{name}": text_form(by_name.get(name, UNSET)) for name in names}

    @property
    def _shown(self) -> list[tuple[str, Value]]:
        """The values that may be shown, by name."""
        pairs = zip(self.slots, self.values, strict=True)
        return [(slot.name, value) for slot, value in pairs if not slot.is_secret and value is not UNSET]

    def _flow(self, flow: Flow) -> Flow:
        program = tuple(
            replace(op, condition=self._condition(op.condition)) if isinstance(op, UnlessOp) else op
            for op in flow.program
        )
        code = flow.code
        if code is not None:
            code = replace(code, variables=(*code.variables, *self._shown))
        return replace(flow, program=program, steps=tuple(self._step(step) for step in flow.steps), code=code)

    def _step(self, step: Step) -> Step:
        return replace(
            step,
            target=self._template(step.target),
            headers=tuple(replace(header, value=self._template(header.value)) for header in step.headers),
            body=None if step.body is None else self._template(step.body),
            named_checks=tuple(
                replace(check, condition=self._condition(check.condition)) for check in step.named_checks
            ),
        )

    def _template(self, template: Template) -> Template:
        return merged(self._part(part) for part in template)

    def _part(self, part: Part) -> Part:
        if not isinstance(part, ValuePart) or (name := setup_value(part)) is None:
            return part
        value = self._value(name)
        if part.is_secret:
            self.used_as_secret.add(name)
            if part.encoding is Encoding.JSON_VALUE and not part.filters and not isinstance(value, str):
                return LiteralPart("null") if value is UNSET else SecretPart(f"{SETUP_SLOT}{name}")
            return part
        if any(step.key_slot for step in part.filters):
            return replace(part, source=TextSource(text_form(value)))
        for step in part.filters:
            value = filter_of(step, self._context)(value)
        return LiteralPart(written(value, part.encoding))

    def _condition(self, condition: Condition) -> Condition:
        if isinstance(condition, Negation):
            return Negation(self._condition(condition.part))
        if not isinstance(condition, Comparison):
            return replace(condition, parts=tuple(self._condition(part) for part in condition.parts))
        template = None if condition.template is None else self._template(condition.template)
        condition = replace(condition, template=template)
        part = condition.subject.value
        name = setup_value(part)
        if part is None or name is None:
            return condition
        value = self._value(name)
        if template is None or all(isinstance(piece, LiteralPart) for piece in template):
            subject = replace(condition.subject, value=replace(part, source=SlotSource(0)))
            holds = condition_of(replace(condition, subject=subject), self._context)
            return _TRUE if holds(_NO_ANSWER, _OneValue((value,))) else _FALSE
        if value is UNSET:
            return _FALSE
        if part.is_secret:
            self.used_as_secret.add(name)
            return condition
        subject = replace(condition.subject, value=replace(part, source=TextSource(text_form(value))))
        return replace(condition, subject=subject)

    def _value(self, name: str) -> Value:
        return next(value for slot, value in zip(self.slots, self.values, strict=True) if slot.name == name)

    @property
    def _context(self) -> Context:
        return Context(0, self.secrets)
