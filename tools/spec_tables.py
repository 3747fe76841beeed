"""Markdown tables of the fields of a spec, from its models."""

from __future__ import annotations

import json
from collections.abc import Iterator

from atm.models.auth import AUTH
from atm.models.data_spec import DataSpec
from atm.models.field_types import (
    Boolean,
    Choice,
    Duration,
    Json,
    Kind,
    ListOf,
    MapOf,
    Nested,
    Number,
    Parsed,
    Tagged,
    Text,
)
from atm.models.fields import REQUIRED, Declared, SpecModel
from atm.models.load import LoadSpec, Stage
from atm.models.request import Checks, CheckSpec, ExpectBody, ExtractSpec, GraphQl, MultipartPart
from atm.models.scenario import (
    Branch,
    ChooseStep,
    RepeatStep,
    RequestStep,
    ScenarioSpec,
    Steps,
    ThinkStep,
    UseStep,
    WhenStep,
    WhileStep,
)
from atm.models.spec import EndpointSpec, TestSpec, TlsSpec
from atm.models.threshold_spec import ThresholdExpression, Thresholds

_TABLES: tuple[tuple[str, type[SpecModel]], ...] = (
    ("The spec", TestSpec),
    ("An endpoint (`endpoints`)", EndpointSpec),
    ("A scenario (`scenarios`)", ScenarioSpec),
    ("Test data (`data`; a text alone means `file`, a list `rows`)", DataSpec),
    ("A step with a request", RequestStep),
    ("A check (`checks`; a text alone means `check`)", CheckSpec),
    ("A file in a multipart body (`multipart`)", MultipartPart),
    ("GraphQL (`graphql`; a text alone means `query`)", GraphQl),
    ("An extract in long form (`extract`)", ExtractSpec),
    ("A step that waits", ThinkStep),
    ("A step that repeats", RepeatStep),
    ("A step that repeats while a condition is true", WhileStep),
    ("A step with a condition", WhenStep),
    ("A step that chooses", ChooseStep),
    ("A branch (`choose`)", Branch),
    ("A step that uses a block", UseStep),
    ("Load (`load`)", LoadSpec),
    ("A stage (`load.stages`)", Stage),
    ("Thresholds (`thresholds`)", Thresholds),
    ("A threshold with an abort (`thresholds`, `thresholds.expressions`)", ThresholdExpression),
    ("Expected body (`expect_body`; a text alone means `contains`)", ExpectBody),
    ("TLS (`tls`)", TlsSpec),
)
_NAMES: dict[type[Kind], str] = {Text: "text", Boolean: "true or false", Duration: "duration", Json: "text or JSON"}


def field_tables() -> Iterator[str]:
    """Yield a heading and a table for each model, in Markdown."""
    for title, model in _TABLES:
        yield from _table(title, model)
    for name, model in AUTH.models.items():
        yield from _table(f"Auth, `type: {name}`", model)


def _table(title: str, model: type[SpecModel]) -> Iterator[str]:
    yield f"\n## {title}\n\n{model.__doc__}\n\n| field | type | default | meaning |\n|---|---|---|---|"
    for declared, field in model.declarations.items():
        name = model.keywords.get(declared, declared)
        meaning = field.help + _example(field)
        yield f"| `{name}` | {_type(field.kind)} | {_default(field)} | {meaning} |".replace("|  |", "| |")
    yield ""


def _type(kind: Kind) -> str:
    if isinstance(kind, Choice):
        return ", ".join(f"`{option}`" for option in kind.options)
    if isinstance(kind, Number):
        return "whole number" if kind.schema({})["type"] == "integer" else "number"
    if isinstance(kind, ListOf | Steps):
        return "list"
    if isinstance(kind, Checks):
        return "list or object"
    if isinstance(kind, MapOf | Nested | Tagged):
        return "object"
    if isinstance(kind, Parsed):
        return "text"
    return _NAMES[type(kind)]


def _default(field: Declared) -> str:
    if field.default is REQUIRED:
        return "required"
    if field.default is None or isinstance(field.default, SpecModel) or field.default in ({}, ()):
        return ""
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{json.dumps(value)}`"


def _example(field: Declared) -> str:
    if not field.examples:
        return ""
    shown = " or ".join(
        f"`{example if isinstance(example, str) else json.dumps(example)}`" for example in field.examples[:3]
    )
    return f"{' ' if field.help else ''}For example {shown}."
