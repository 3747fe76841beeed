"""GraphQL types derived from our models: output types from models and dataclasses, input types from requests."""

from __future__ import annotations

import inspect
import re
import types as python_types
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import strawberry
from pydantic import AwareDatetime, BaseModel

from atm.api.graphql.docstrings import docstrings
from atm.api.graphql.scalars import Document, Figure, Long
from atm.models.control.compare import CompareAnswer
from atm.models.control.first_design import EndpointMetricsView
from atm.models.control.runs import RunSummaryView, RunView
from atm.models.endpoint_metrics import NamedEndpointMetrics
from atm.models.metric import Metric
from atm.models.run_figures import Second
from atm.models.run_figures import _FigureSchema as FigureMark

_UNIONS = (Union, python_types.UnionType)
_PLAIN = (str, bool, float, datetime, date)
_NAMES: dict[type, str] = {CompareAnswer: "RunComparison", RunSummaryView: "Run", Second: "RunSecond"}
"""Type names other than the name of the model without its suffix."""
_SAME: dict[type, type] = {EndpointMetricsView: NamedEndpointMetrics, RunView: RunSummaryView}
"""Models without a type of their own: they are shown as another one."""
_SUFFIX = re.compile(r"(View|Answer|Request)$")
_OUTPUTS: dict[type, Any] = {}
_MORE: dict[type, dict[str, Any]] = {}
"""Fields with a resolver, by model and name."""


def extend(model: type, fields: Mapping[str, Any]) -> None:
    """Add fields with resolvers to the type of a model, before any type is built from it."""
    assert model not in _OUTPUTS, model
    _MORE.setdefault(model, {}).update(fields)


def output_of(annotation: Any) -> Any:
    """Return the annotation for Strawberry of a field or an answer with this annotation."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return Figure if any(isinstance(mark, FigureMark) for mark in arguments[1:]) else output_of(arguments[0])
    if origin in _UNIONS:
        return _union_of(arguments)
    if origin is Literal:
        return str
    if origin is tuple and Ellipsis not in arguments:
        return list[output_of(arguments[0])]  # type: ignore[misc]  # a pair of texts
    if origin in (list, tuple, Sequence):
        return list[output_of(arguments[0])]  # type: ignore[misc]  # a type that is known at run time
    if origin in (dict, Mapping) or annotation is Any:
        return Document
    return _plain(annotation) or object_type(annotation)


def _plain(annotation: Any) -> Any:
    """Return the type of a value without fields; None for a model."""
    if annotation is int:
        return Long
    if annotation in _PLAIN or annotation in (Long, Figure, Document, strawberry.ID):
        return annotation
    # An open set: later versions add metrics.
    if annotation is Metric:
        return str
    return enum_of(annotation) if isinstance(annotation, type) and issubclass(annotation, StrEnum) else None


@cache
def enum_of(kind: type[StrEnum]) -> Any:
    """Return an enumeration as a GraphQL type."""
    return strawberry.enum(kind, description=_about(kind))


def _union_of(members: Sequence[Any]) -> Any:
    present = [member for member in members if member is not type(None)]
    is_optional = len(present) < len(members)
    if len(present) == 1:
        return output_of(present[0]) | None if is_optional else output_of(present[0])
    if any(_plain(_bare(member)) is not None for member in present):
        # Such as `Literal["***"] | str`.
        return (str | None) if is_optional else str
    models = tuple(_bare(member) for member in present)
    joined = reduce(or_, (object_type(model) for model in models))
    union = Annotated[joined, strawberry.union(_name_of_union(models))]  # type: ignore[valid-type]  # a type that is known at run time
    return union | None if is_optional else union


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _name_of_union(models: Sequence[type]) -> str:
    end: str = re.findall("[A-Z][a-z]+", models[0].__name__)[-1]
    return {"Event": "RunEvent"}.get(end, end)


def object_type(model: type) -> Any:
    """Return the GraphQL type of a model or dataclass; its values are instances of the model itself."""
    model = _SAME.get(model, model)
    if model not in _OUTPUTS:
        fields = {name: output_of(hint) for name, hint in _hints(model).items()}
        if fields.get("id") is str:
            fields["id"] = strawberry.ID
        name = _NAMES.get(model) or _SUFFIX.sub("", model.__name__)
        assert name not in {built.__name__ for built in _OUTPUTS.values()}, name
        _OUTPUTS[model] = _built(model, name, fields)
    return _OUTPUTS[model]


def _built(model: type, name: str, annotations: Mapping[str, Any]) -> Any:
    described = docstrings(model)
    more = _MORE.get(model, {})
    namespace: dict[str, Any] = {
        field: strawberry.field(description=described.get(field)) for field in annotations if field not in more
    }
    namespace |= more
    namespace["__annotations__"] = {field: kind for field, kind in annotations.items() if field not in more}
    kinds = (model, *(other for other, shown in _SAME.items() if shown is model))
    namespace["is_type_of"] = classmethod(lambda _cls, value, _info: isinstance(value, kinds))
    return strawberry.type(type(name, (), namespace), name=name, description=_about(model))


def _hints(model: type) -> dict[str, Any]:
    if issubclass(model, BaseModel):
        hints = get_type_hints(model, include_extras=True)
        return {name: hints[name] for name in model.model_fields}
    assert is_dataclass(model), model
    hints = get_type_hints(model, include_extras=True)
    return {name: hints[name] for name in model.__dataclass_fields__}


@cache
def input_type(model: type[BaseModel]) -> Any:
    """Return the input type of a request; fields that are left out keep the request's defaults."""
    described = docstrings(model)
    namespace: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind = argument_of(get_type_hints(model, include_extras=True)[name])
        about = field.description or described.get(name)
        if field.is_required():
            annotations[name] = kind
            namespace[name] = strawberry.field(description=about)
        else:
            annotations[name] = kind | None
            namespace[name] = strawberry.field(default=strawberry.UNSET, description=about)
    name = _SUFFIX.sub("", model.__name__) + "Input"
    return strawberry.input(
        type(name, (), {**namespace, "__annotations__": annotations}), name=name, description=_about(model)
    )


def argument_of(annotation: Any) -> Any:
    """Return the annotation for Strawberry of an argument; objects are JSON, in the form of the REST API."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return argument_of(arguments[0])
    if origin in _UNIONS:
        present = [argument for argument in arguments if argument is not type(None)]
        kind = argument_of(present[0]) if len(present) == 1 else Document
        return kind | None if len(present) < len(arguments) else kind
    if origin is Literal:
        return str
    if origin is list:
        return list[argument_of(arguments[0])]  # type: ignore[misc]  # a type that is known at run time
    if annotation in (str, bool, float, int, datetime, date):
        return annotation
    if annotation is AwareDatetime:
        return datetime
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return enum_of(annotation)
    return Document


def _about(kind: type) -> str | None:
    text = inspect.getdoc(kind) if kind.__doc__ else None
    # Names of routes mean nothing here.
    return None if text is None else re.sub(r"^(GET|POST|PUT|PATCH) /\S*[;:,.] ?", "", text) or None
