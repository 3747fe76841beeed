"""Values of variables and responses: their two forms, and how they compare.

A value is a text (str) or another JSON value (None, bool, int, float, list, dict), or `UNSET`.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from atm.engine.asyncio_engine.scenario.json_text import compact, number_of
from atm.plan.json_values import equal, is_number, order


class _Unset(Enum):
    """The type of `UNSET`, with one member, so that type checkers know its identity."""

    UNSET = "unset"

    def __bool__(self) -> bool:
        return False


UNSET: Final = _Unset.UNSET
"""No value: an unset variable, or a subject that the response does not have."""

Value = Any


def text_form(value: Value) -> str:
    """Return a text unchanged, any other value as compact JSON, and no value as the empty text."""
    if type(value) is str:
        return value
    return "" if value is UNSET else compact(value)


def json_form(value: Value) -> str:
    """Return the value as compact JSON, a text with its quotes, and no value as null."""
    return "null" if value is UNSET else compact(value)


def equals(value: Value, operand: Value) -> bool:
    """Return whether a subject equals an operand: like `equal`, but a text that is a number equals that number."""
    if type(value) is str and is_number(operand):
        number = number_of(value)
        return number is not None and equal(number, operand)
    return equal(value, operand)


def number_in(value: Value) -> int | float | None:
    """Return a number, also one that a text is in JSON; None for other values."""
    if is_number(value):
        return value  # type: ignore[no-any-return]
    return number_of(value) if type(value) is str else None


def order_of(value: Value, operand: Value) -> int | None:
    """Return -1, 0 or 1 if `value` is less, equal or greater: as numbers if both are, else as texts if both are.

    None if they have no order.
    """
    left, right = number_in(value), number_in(operand)
    return order(value, operand) if left is None or right is None else order(left, right)
