"""Conditions, compiled once per plan to functions of a response and a user.

Nothing raises at run time: what a hostile response makes impossible to compare is false.
"""

from __future__ import annotations

from collections.abc import Callable

from atm.engine.asyncio_engine.scenario.answer import Answer
from atm.engine.asyncio_engine.scenario.scope import Context, Scope
from atm.engine.asyncio_engine.scenario.subject import subject_of
from atm.engine.asyncio_engine.scenario.template import template_of
from atm.engine.asyncio_engine.scenario.value import UNSET, Value, equals, number_in, order_of, text_form
from atm.plan import json_schemas, patterns
from atm.plan.program import All, Comparison, Condition, Either, Negation
from atm.plan.template_parts import Template

Holds = Callable[[Answer, Scope], bool]
"""Returns whether a condition holds. The response is only read by subjects of a response."""

_Test = Callable[[Value], bool]
_OPPOSITES = {"ne": "eq", "not_in": "in", "not_contains": "contains", "not_matches": "matches"}
_ORDERS: dict[str, Callable[[int], bool]] = {
    "lt": lambda sign: sign < 0,
    "le": lambda sign: sign <= 0,
    "gt": lambda sign: sign > 0,
    "ge": lambda sign: sign >= 0,
}


def condition_of(condition: Condition, context: Context) -> Holds:
    """Compile a condition. Raises PatternError, JsonPathError or JsonSchemaError (ValueError) if it is not valid."""
    if isinstance(condition, Comparison):
        return _comparison_of(condition, context)
    if isinstance(condition, Negation):
        part = condition_of(condition.part, context)
        return lambda answer, scope: not part(answer, scope)
    parts = tuple(condition_of(part, context) for part in condition.parts)
    if isinstance(condition, All):
        return lambda answer, scope: all(part(answer, scope) for part in parts)
    if isinstance(condition, Either):
        return lambda answer, scope: any(part(answer, scope) for part in parts)
    raise ValueError(f"unknown condition {condition!r}")


def _comparison_of(comparison: Comparison, context: Context) -> Holds:
    read = subject_of(comparison.subject, context)
    if comparison.operator == "exists":
        return lambda answer, scope: read(answer, scope) is not UNSET
    if comparison.operator == "missing":
        return lambda answer, scope: read(answer, scope) is UNSET
    if comparison.operator == "conforms" and comparison.subject.kind == "body":
        # The body is judged as the JSON value that it is.
        read = lambda answer, _scope: answer.document  # noqa: E731

    operator = _OPPOSITES.get(comparison.operator, comparison.operator)
    is_opposite = operator != comparison.operator
    if comparison.template is not None:
        return _with_template(read, operator, comparison.template, context, is_opposite=is_opposite)
    test = _test_of(operator, comparison.operand)

    def holds(answer: Answer, scope: Scope) -> bool:
        value = read(answer, scope)
        return value is not UNSET and test(value) is not is_opposite

    return holds


def _test_of(operator: str, operand: Value) -> _Test:
    """Return the comparison of a value with an operand."""
    if operator == "eq":
        return lambda value: equals(value, operand)
    if operator == "in":
        return lambda value: any(equals(value, item) for item in operand)
    if operator == "contains":
        return _containment_of(operand)
    if operator == "matches":
        search = patterns.compiled(operand).search
        return lambda value: search(text_form(value).encode()) is not None
    if operator == "conforms":
        return json_schemas.compiled(operand)
    is_so = _ORDERS[operator]

    def in_order(value: Value) -> bool:
        sign = order_of(value, operand)
        return sign is not None and is_so(sign)

    return in_order


def _containment_of(operand: Value) -> _Test:
    text = text_form(operand)

    def contains(value: Value) -> bool:
        if type(value) is list:
            return any(equals(item, operand) for item in value)
        return text in text_form(value)

    return contains


def _with_template(
    read: Callable[[Answer, Scope], Value], operator: str, template: Template, context: Context, *, is_opposite: bool
) -> Holds:
    """Return the comparison of a subject's text form with a text that is rendered each time."""
    render, compare = template_of(template, context), _TEXT_TESTS[operator]

    def holds(answer: Answer, scope: Scope) -> bool:
        value = read(answer, scope)
        return value is not UNSET and compare(value, render(scope)) is not is_opposite

    return holds


def _text_contains(value: Value, text: str) -> bool:
    if type(value) is list:
        return any(text_form(item) == text for item in value)
    return text in text_form(value)


def _text_order(is_so: Callable[[int], bool]) -> Callable[[Value, str], bool]:
    def in_order(value: Value, text: str) -> bool:
        form = text_form(value)
        both_numbers = number_in(form) is not None and number_in(text) is not None
        sign = order_of(form, text) if both_numbers else (form > text) - (form < text)
        return sign is not None and is_so(sign)

    return in_order


_TEXT_TESTS: dict[str, Callable[[Value, str], bool]] = {
    "eq": lambda value, text: text_form(value) == text,
    "contains": _text_contains,
    **{name: _text_order(is_so) for name, is_so in _ORDERS.items()},
}
