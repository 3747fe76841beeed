"""Generate the JSON Schema of a spec, used by editors for completion (draft 2020-12)."""

from __future__ import annotations

from typing import Any

from atm.models.fields import REQUIRED, SpecModel
from atm.models.spec import EXPRESSION, TestSpec

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def spec_json_schema() -> dict[str, Any]:
    """Return the schema of a spec, the same for YAML and JSON."""
    return {"$schema": _DIALECT, "$id": "spec.schema.json", **_whole_schema(TestSpec)}


def inline_schema(model: type[SpecModel]) -> dict[str, Any]:
    """Return the schema of one model without references, to be embedded in another schema."""
    schema = _whole_schema(model)
    definitions = schema.pop("$defs", {})

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            return resolved(definitions[name]) if name else {key: resolved(item) for key, item in node.items()}
        return [resolved(item) for item in node] if isinstance(node, list) else node

    return {key: resolved(item) for key, item in schema.items()}


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
        if field.default is REQUIRED:
            required.append(name)
        elif isinstance(field.default, str | int | float | tuple) and field.default != ():
            schema["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
        properties[name] = schema
        if field.kind.is_duration and field.default is not REQUIRED:
            properties[f"{name}_seconds"] = {**schema, "description": f"The same as `{name}`."}
    return {
        **({"patternProperties": {"^x-": {}}} if model.extensions else {}),
        "title": model.__name__,
        "description": model.__doc__ or "",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
