"""How JSON values compare: the same in paths, conditions and both engines."""

from __future__ import annotations

from math import isfinite
from typing import Any


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a number; true and false are none."""
    kind = type(value)
    return kind is int or kind is float


def equal(value: Any, other: Any) -> bool:
    """Compare JSON values deeply; numbers by value, both integers exactly, else as doubles."""
    kind, other_kind = type(value), type(other)
    if kind is int or kind is float:
        if other_kind is not int and other_kind is not float:
            return False
        return bool(value == other) if kind is other_kind else float(value) == float(other)
    if kind is not other_kind:
        return False
    if kind is list:
        return len(value) == len(other) and all(map(equal, value, other))
    if kind is dict:
        return value.keys() == other.keys() and all(equal(item, other[key]) for key, item in value.items())
    return bool(value == other)


def order(value: Any, other: Any) -> int | None:
    """Return -1, 0 or 1 if `value` is less, equal or greater: two numbers, or two texts by code points; else None."""
    if is_number(value) and is_number(other):
        if type(value) is not type(other):
            value, other = float(value), float(other)
    elif type(value) is not str or type(other) is not str:
        return None
    return int(value > other) - int(value < other)


def is_json(value: Any) -> bool:
    """Return whether JSON has the value as it is."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_json(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(is_json(item) for item in value)
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, str | int)
