"""Scalars that GraphQL lacks: figures, long integers, JSON and times."""

from __future__ import annotations

import math
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from pydantic_core import to_jsonable_python
from strawberry.types.scalar import ScalarDefinition

Long = NewType("Long", int)
Figure = NewType("Figure", float)
Document = NewType("Document", object)


def _figure(value: float) -> float | str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise GraphQLError(f"Long cannot represent {value!r}")
    return value


def _document(value: Any) -> Any:
    return to_jsonable_python(value, inf_nan_mode="strings")


SCALARS: dict[object, ScalarDefinition] = {
    Long: strawberry.scalar(
        name="Long", description="An integer beyond 32 bits, as a JSON number.", serialize=int, parse_value=_integer
    ),
    Figure: strawberry.scalar(
        name="Figure",
        description="A number in the unit of its field's name; +∞, a value beyond every sample, is the string "
        '"Infinity". Null is no data.',
        serialize=_figure,
    ),
    Document: strawberry.scalar(
        name="JSON",
        description="Any JSON value, as in the REST API.",
        serialize=_document,
        parse_value=lambda value: value,
    ),
}
