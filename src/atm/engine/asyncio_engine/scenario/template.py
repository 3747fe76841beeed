"""Templates of scenarios as text: literals, secrets, and values in the encoding of their place."""

from __future__ import annotations

import re
from collections.abc import Callable

from atm.engine.asyncio_engine.scenario.filter import filter_of
from atm.engine.asyncio_engine.scenario.json_text import compact
from atm.engine.asyncio_engine.scenario.scope import Context, Scope
from atm.engine.asyncio_engine.scenario.source import Read, now_text, source_of
from atm.engine.asyncio_engine.scenario.value import Value, json_form, text_form
from atm.plan.randomness import random_int, uuid4
from atm.plan.template_parts import (
    BytesPart,
    Encoding,
    LiteralPart,
    Part,
    SecretPart,
    Template,
    ValuePart,
    VariablePart,
)
from atm.plan.templates import encoded, percent_encoded

Render = Callable[[Scope], str]

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_IN_TARGET = re.compile(r"[^\x21-\x7e]+")


def template_of(template: Template, context: Context) -> Render:
    """Return the function that renders a template for a user."""
    parts = tuple(part_of(part, context) for part in template)
    if len(parts) == 1:
        return parts[0]
    return lambda scope: "".join([part(scope) for part in parts])


def part_of(part: Part, context: Context) -> Render:
    """Return the function that renders a part of a template for a user."""
    if isinstance(part, LiteralPart):
        text = part.text
        return lambda _scope: text
    if isinstance(part, BytesPart):
        raise AssertionError("bytes are no text; `RequestTemplate` writes them")
    if isinstance(part, SecretPart):
        return lambda _scope: encoded(context.secrets[part.slot], part.encoding)
    if isinstance(part, VariablePart):
        return _variable_of(part, context)
    read, encode = value_of(part, context), _ENCODINGS[part.encoding]
    return lambda scope: encode(read(scope))


def value_of(part: ValuePart, context: Context) -> Read:
    """Return the function that reads a value through its filters, before it is encoded; UNSET if it has none.

    Without a filter, a value keeps its type. Unset variables stay unset if there is no filter.
    """
    read = source_of(part.source, context)
    for filtering in part.filters:
        read = _filtered(read, filter_of(filtering, context))
    return read


def written(value: Value, encoding: Encoding) -> str:
    """Return a value in the encoding of its place."""
    return _ENCODINGS[encoding](value)


def _filtered(read: Read, convert: Callable[[Value], str]) -> Read:
    return lambda scope: convert(read(scope))


def _variable_of(part: VariablePart, context: Context) -> Render:
    """Return the function of a variable of an endpoint, whose requests are its iterations."""
    read: Render
    if part.name == "uuid":
        read = lambda scope: uuid4(context.seed, scope.iteration)  # noqa: E731
    elif part.name == "random_int":
        read = lambda scope: str(random_int(context.seed, scope.iteration))  # noqa: E731
    elif part.name == "request_number":
        read = lambda scope: str(scope.iteration)  # noqa: E731
    else:
        form = "iso" if part.name == "timestamp" else "unix"
        read = lambda _scope: now_text(context.wall_ns(), form)  # noqa: E731
    encode = _ENCODINGS[part.encoding]
    return lambda scope: encode(read(scope))


def _for_header(value: Value) -> str:
    text = text_form(value)
    return text if text.isprintable() else _CONTROL.sub("", text)


def _for_target(value: Value) -> str:
    text = text_form(value)
    return _NOT_IN_TARGET.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text)


_ENCODINGS: dict[Encoding, Callable[[Value], str]] = {
    Encoding.RAW: text_form,
    Encoding.PERCENT: lambda value: percent_encoded(text_form(value)),
    Encoding.JSON: lambda value: compact(text_form(value))[1:-1],
    Encoding.JSON_VALUE: json_form,
    Encoding.HEADER: _for_header,
    Encoding.TARGET: _for_target,
}
