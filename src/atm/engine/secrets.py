"""The secret slots of a plan, and the rules for values that may be sent in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from atm.errors import EngineError, Problem
from atm.plan.line_breaks import breaks_header, breaks_target
from atm.plan.load_plan import Flow, LoadPlan, Step
from atm.plan.program import Comparison, Condition, Negation, Slot, UnlessOp
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


def slots_of(step: Step) -> frozenset[str]:
    """Return the secret slots that a step's request is rendered from."""
    return frozenset(slot for part in step.parts for slot in _slots_of_part(part))


def is_secret_value(part: Part, slots: Sequence[Slot]) -> bool:
    """Return whether a part of a template is a value of a user that samples must not show."""
    if not isinstance(part, ValuePart):
        return False
    source = part.source
    return (
        part.is_secret
        or (isinstance(source, SlotSource) and slots[source.slot].is_secret)
        or (isinstance(source, TextSource) and bool(source.secret_slot))
    )


def _slots_of_part(part: Part) -> list[str]:
    if isinstance(part, SecretPart):
        return [part.slot]
    if not isinstance(part, ValuePart):
        return []
    slots = [filtering.key_slot for filtering in part.filters]
    if isinstance(part.source, TextSource):
        slots.append(part.source.secret_slot)
    return [slot for slot in slots if slot]


def _slots_of_conditions(flow: Flow) -> set[str]:
    """Return the secret slots that the conditions and extracts of a flow read."""
    conditions = [op.condition for op in flow.program if isinstance(op, UnlessOp)]
    conditions += [check.condition for step in flow.steps for check in step.named_checks]
    parts = [part for condition in conditions for part in _parts_of(condition)]
    values = [extract.subject.value for step in flow.steps for extract in step.extracts]
    return {slot for part in (*parts, *values) if part is not None for slot in _slots_of_part(part)}


def _parts_of(condition: Condition) -> list[Part]:
    if isinstance(condition, Comparison):
        value = condition.subject.value
        return [*(condition.template or ()), *([value] if value else [])]
    parts = [condition.part] if isinstance(condition, Negation) else condition.parts
    return [part for inner in parts for part in _parts_of(inner)]


def require_secrets(plan: LoadPlan, secrets: Mapping[str, str]) -> None:
    """Raise EngineError, naming every slot of the plan whose value is missing or not allowed at its place."""
    steps = [step for flow in plan.flows for step in flow.steps]
    connections = plan.connections
    proxy_slot = connections.proxy.authorization_slot if connections.proxy else ""
    in_conditions = set().union(*(_slots_of_conditions(flow) for flow in plan.flows))
    needed = (
        set().union(*(slots_of(step) for step in steps)) | in_conditions | {connections.tls.key_slot, proxy_slot} - {""}
    )
    problems = [
        Problem(f'the plan needs the secret "{slot}", which is missing', "secret_missing")
        for slot in sorted(needed - secrets.keys())
    ]
    in_targets = {slot for step in steps for slot in _raw_slots(step.target)}
    in_headers = {slot for step in steps for header in step.headers for slot in _raw_slots(header.value)}
    for slot in sorted((in_targets | in_headers | {proxy_slot}) & secrets.keys()):
        if slot in in_targets and breaks_target(secrets[slot]):
            problems.append(_unfit(slot, "a space or a control character, which a URL must not hold"))
        elif breaks_header(secrets[slot]):
            problems.append(_unfit(slot, _IN_HEADER))
    if any(breaks_target(text) for step in steps for text in _literals(step.target)) or any(
        breaks_header(text) for step in steps for header in step.headers for text in _literals(header.value)
    ):
        problems.append(Problem("the plan holds a request line or a header with a line break", "plan_refused"))
    if problems:
        raise EngineError(problems)


def require_sendable(slot: str, value: str) -> None:
    """Raise EngineError for a renewed value with a control character, which a header must not hold."""
    if breaks_header(value):
        raise EngineError(_unfit(slot, _IN_HEADER))


def _raw_slots(template: Template) -> set[str]:
    return {part.slot for part in template if isinstance(part, SecretPart) and part.encoding is Encoding.RAW}


def _literals(template: Template) -> list[str]:
    return [part.text for part in template if isinstance(part, LiteralPart)]


_IN_HEADER = "a control character, which a header must not hold"


def _unfit(slot: str, what: str) -> Problem:
    return Problem(f'the secret "{slot}" has {what}', "secret_not_sendable")
