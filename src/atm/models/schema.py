"""Generate the JSON Schema of a spec, used by editors for completion (draft 2020-12)."""

from __future__ import annotations

from typing import Any

from atm.models.fields import REQUIRED, SpecModel
from atm.models.spec import TestSpec
from atm.models.threshold_spec import EXPRESSION

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def spec_json_schema() -> dict[str, Any]:
    """Return the schema of a spec, the same for YAML and JSON."""
    return {"$schema": _DIALECT, "$id": "spec.schema.json", **_whole_schema(TestSpec)}


def inline_schema(model: type[SpecModel]) -> dict[str, Any]:
    """Return the schema of one model without references, to be embedded in another schema.

    A model inside itself, such as a step in a step, is only said to be an object there.
    """
    schema = _whole_schema(model)
    definitions = schema.pop("$defs", {})

    def resolved(node: Any, around: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [resolved(item, around) for item in node]
        if not isinstance(node, dict):
            return node
        name = str(node.get("$ref", "")).rpartition("/")[2]
        if name in around:
            return {"type": "object"}
        if name:
            return resolved(definitions[name], (*around, name))
        return {key: resolved(item, around) for key, item in node.items()}

    return {key: resolved(item, ()) for key, item in schema.items()}


def _whole_schema(model: type[SpecModel]) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    top = _object_schema(model, definitions)
    if "ThresholdExpression" in definitions:
        definitions["ThresholdRule"] = EXPRESSION.schema(definitions)
    return {**top, "$defs": dict(sorted(definitions.items()))} if definitions else top


def reference(model: type[SpecModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a reference to a model, which is added to `definitions` if missing."""
    if model.__name__ not in definitions:
        definitions[model.__name__] = {}
        definitions[model.__name__] = _object_schema(model, definitions)
    return {"$ref": f"#/$defs/{model.__name__}"}


def _object_schema(model: type[SpecModel], definitions: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required = []
    for name, field in model.declarations.items():
        schema = field.kind.schema(definitions)
        if "$ref" in schema:
            schema = {"allOf": [schema]}
        schema["title"] = name.replace("_", " ").capitalize()
        if field.help:
            schema["description"] = field.help
        if field.examples:
            schema["examples"] = list(field.examples)
        name = model.keywords.get(name, name)
        if field.default is REQUIRED and name not in model.shorts.values():
            required.append(name)
        elif isinstance(field.default, str | int | float | tuple) and field.default != ():
            schema["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
        properties[name] = schema
        for short in (short for short, meant in model.shorts.items() if meant == name):
            properties[short] = {**schema, "title": short, "description": f"Short for method {short} and {name}."}
        if field.kind.is_duration and field.default is not REQUIRED:
            properties[f"{name}_seconds"] = {**schema, "description": f"The same as `{name}`."}
    spelled = [*dict.fromkeys(model.shorts.values()), *model.shorts]
    return {
        **({"patternProperties": {"^x-": {}}} if model.extensions else {}),
        "title": model.__name__,
        "description": model.__doc__ or "",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **({"anyOf": [{"required": [name]} for name in spelled]} if spelled else {}),
    }
