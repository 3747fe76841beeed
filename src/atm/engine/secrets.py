"""The secret slots of a plan, and the rules for values that may be sent in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from atm.errors import EngineError, Problem
from atm.plan.line_breaks import breaks_header, breaks_target
from atm.plan.load_plan import Flow, LoadPlan, Step
from atm.plan.program import Slot, UnlessOp, condition_parts
from atm.plan.template_parts import (
    Encoding,
    LiteralPart,
    Part,
    SecretPart,
    SlotSource,
    Template,
    TextSource,
    ValuePart,
    secret_slots,
)


def slots_of(step: Step) -> frozenset[str]:
    """Return the secret slots that a step's request is rendered from."""
    conditions = (part for check in step.named_checks for part in condition_parts(check.condition))
    return frozenset().union(*(secret_slots(part) for part in (*step.parts, *conditions)))


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


def _slots_of_program(flow: Flow) -> set[str]:
    """Return the secret slots that the operations and extracts of a flow read."""
    parts = [
        part
        for op in (*flow.before_user, *flow.program)
        if isinstance(op, UnlessOp)
        for part in condition_parts(op.condition)
    ]
    values = [extract.subject.value for step in flow.steps for extract in step.extracts]
    return set().union(*(secret_slots(part) for part in (*parts, *values) if part is not None))


def require_secrets(plan: LoadPlan, secrets: Mapping[str, str]) -> None:
    """Raise EngineError, naming every slot of the plan whose value is missing or not allowed at its place."""
    steps = [step for flow in plan.flows for step in flow.steps]
    connections = plan.connections
    proxy_slot = connections.proxy.authorization_slot if connections.proxy else ""
    in_programs = set().union(*(_slots_of_program(flow) for flow in plan.flows))
    needed = (
        set().union(*(slots_of(step) for step in steps)) | in_programs | {connections.tls.key_slot, proxy_slot} - {""}
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
