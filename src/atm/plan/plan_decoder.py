"""Decode a frozen dataclass from its JSON data, by its type hints.

For plans from another process of this program, so shapes are not checked: pydantic would check them too, but importing
it takes longer than a runner has until its first request.
"""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

_Made = TypeVar("_Made")


def decode(kind: type[_Made], data: Any) -> _Made:
    """Return an instance of the dataclass `kind`. Raises ValueError, KeyError or TypeError on data of another shape."""
    made: _Made = _decode(kind, data)
    return made


def _decode(kind: Any, data: Any) -> Any:
    origin = get_origin(kind)
    if is_dataclass(kind):
        hints = _hints(cast("type", kind))
        return kind(**{name: _decode(hints[name], value) for name, value in data.items()})  # type: ignore[operator]
    if origin is tuple:
        items = get_args(kind)
        if items[-1] is Ellipsis:
            return tuple(_decode(items[0], item) for item in data)
        return tuple(_decode(item, value) for item, value in zip(items, data, strict=True))
    if origin in (Union, types.UnionType):
        return None if data is None else _decode(_chosen(get_args(kind), data), data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    return data


def _chosen(kinds: tuple[Any, ...], data: Any) -> Any:
    """Return the member of a union that fits the data; dataclasses in a union differ by a field with one literal."""
    some = [kind for kind in kinds if kind is not type(None)]
    if len(some) == 1:
        return some[0]
    for kind in some:
        if is_dataclass(kind) and all(data.get(name) == value for name, value in _tags(cast("type", kind)).items()):
            return kind
    raise ValueError(f"none of {some} fits")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _tags(kind: type) -> dict[str, Any]:
    hints = _hints(kind)
    names = [field.name for field in fields(kind) if get_origin(hints[field.name]) is Literal]
    literals = {name: get_args(hints[name]) for name in names}
    return {name: values[0] for name, values in literals.items() if len(values) == 1}
