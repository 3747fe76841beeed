"""Compile JSON Schemas (draft 2020-12, unless `$schema` names another) to functions that judge JSON values.

The native engine validates with the same library (Rust's `jsonschema`), with the same options: `format` is not judged,
patterns are matched in linear time, and nothing is read from other places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atm.plan import schema_visits

Conforms = Callable[[Any], bool]
"""Returns whether a JSON value is valid under the schema."""

_PATTERN_BYTES = 8 * 1024 * 1024


class JsonSchemaError(ValueError):
    """An invalid JSON Schema, or one that refers to another place."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


def compiled(schema: Any) -> Conforms:
    """Compile a JSON Schema. Raises JsonSchemaError."""
    # Imported here because few specs have a schema.
    from jsonschema_rs import RegexOptions, ValidationError, ValidationErrorKind, validator_for

    if not isinstance(schema, (dict, bool)):
        what = f"a JSON Schema is an object, true or false, not {_kind(schema)}"
        raise JsonSchemaError(what, 'Write an object such as {"type": "object"}')
    if excess := schema_visits.excess(schema):
        hint = "Merge schemas that apply to the same value; a recursive reference belongs to its members or items"
        raise JsonSchemaError(f"the JSON Schema {excess}", hint)
    try:
        validator = validator_for(
            schema,
            validate_formats=False,
            offline=True,
            pattern_options=RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES),
        )
    except ValidationError as error:
        if isinstance(error.kind, ValidationErrorKind.Referencing):
            what = f"the JSON Schema refers to what is not in it: {error.message}"
            raise JsonSchemaError(what, "Put the schema it refers to under $defs") from None
        place = "".join(f"/{key}" for key in error.instance_path)
        what = f"the JSON Schema is not valid{f' at {place}' if place else ''}: {error.message}"
        raise JsonSchemaError(what, "Patterns have no look-around and no back-references") from None
    except ValueError as error:
        raise JsonSchemaError(f"the JSON Schema is not valid: {_first_line(error)}", "Correct it") from None
    return validator.is_valid


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "a number"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
