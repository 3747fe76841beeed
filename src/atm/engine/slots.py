"""The secret slots of a plan, and what makes a value unfit for one."""

from __future__ import annotations

from collections.abc import Mapping

from atm.errors import EngineError, Problem
from atm.plan.load_plan import LoadPlan, SecretPart, Step


def slots_of(step: Step) -> frozenset[str]:
    """The secret slots that a step's request is rendered from."""
    return frozenset(part.slot for part in step.parts if isinstance(part, SecretPart))


def require_secrets(plan: LoadPlan, secrets: Mapping[str, str]) -> None:
    """Raise EngineError, naming every slot of the plan whose value is missing or cannot be sent."""
    needed = set().union(*(slots_of(step) for flow in plan.flows for step in flow.steps))
    connections = plan.connections
    needed |= {connections.tls.key_slot, connections.proxy.authorization_slot if connections.proxy else ""} - {""}
    problems = [
        Problem(f'the plan needs the secret "{slot}", and it was not given', "secret_missing")
        for slot in sorted(needed - secrets.keys())
    ]
    written = sorted(needed & secrets.keys() - {connections.tls.key_slot})
    problems += [_line_break(slot) for slot in written if _has_line_break(secrets[slot])]
    if problems:
        raise EngineError(problems)


def require_sendable(slot: str, value: str) -> None:
    """Raise EngineError for a value with a line break, which no header may hold."""
    if _has_line_break(value):
        raise EngineError(_line_break(slot))


def _has_line_break(value: str) -> bool:
    return "\r" in value or "\n" in value


def _line_break(slot: str) -> Problem:
    return Problem(f'the secret "{slot}" has a line break, which no header may hold', "secret_with_line_break")
