"""Field types of a spec: each reads a value from plain data, reports problems, and defines its JSON Schema."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from atm.models.duration import MAX_SECONDS, parse_duration
from atm.models.written_values import SecretText, describe, encodable, plain_float

if TYPE_CHECKING:
    from atm.models.fields import Findings, Path, SpecModel

INVALID: Any = object()
"""Returned for a value that could not be read (and was reported)."""

Schema = dict[str, Any]
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class WrongValueError(ValueError):
    """Raised by the function of a `Parsed` field: message, code, hint."""

    def __init__(self, what: str, code: str, hint: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.hint = hint


def label(path: Path) -> str:
    """Return the last name of a path with its index: `expected_status_codes[1]`."""
    indices = ""
    for part in reversed(path):
        if isinstance(part, str):
            return part + indices
        indices = f"[{part}]" + indices
    return indices or "the value"


class Kind:
    """A field type. `read` returns INVALID after reporting a problem."""

    is_duration = False

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        raise NotImplementedError

    def schema(self, definitions: Schema) -> Schema:
        """Return the JSON Schema of accepted values; models are added to `definitions`."""
        del definitions
        return self._plain_schema()

    def _plain_schema(self) -> Schema:
        raise NotImplementedError

    def placeholder(self) -> Any:
        """Return the value used for a missing or invalid required field until the problems are raised."""
        return None


class Text(Kind):
    """Text; numbers and booleans are accepted in their spelling."""

    def __init__(self, minimum: int = 0, maximum: int | None = None) -> None:
        self._minimum = minimum
        self._maximum = maximum

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int | float):
            value = getattr(value, "text", None) or (plain_float(value) if isinstance(value, float) else str(value))
        if not isinstance(value, str):
            findings.add(path, f"{label(path)} must be text, not {describe(value)}", "wrong_type")
            return INVALID
        if not encodable(value):
            findings.add(path, f"{label(path)} contains a lone surrogate, which is not a character", "bad_text")
            return INVALID
        if len(value) < self._minimum or (self._maximum is not None and len(value) > self._maximum):
            limits = f"{self._minimum} to {self._maximum}" if self._maximum else f"at least {self._minimum}"
            many = "characters" if self._maximum or self._minimum > 1 else "character"
            findings.add(path, f"{label(path)} must have {limits} {many}, not {len(value)}", "wrong_length")
            return INVALID
        return value

    def _plain_schema(self) -> Schema:
        limits: Schema = {"minLength": self._minimum} if self._minimum else {}
        if self._maximum:
            limits["maxLength"] = self._maximum
        return {"type": ["string", "number", "boolean"], **limits}

    def placeholder(self) -> str:
        return ""


class Variable(Text):
    """Text, or an object of the text and whether it is a credential."""

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        if isinstance(value, SecretText):
            return value
        if not isinstance(value, Mapping):
            return super().read(value, path, findings)
        for name in value.keys() - {"value", "secret"}:
            hint = 'Write `{value: "…", secret: true}`, or the value alone'
            findings.add((*path, str(name)), f'unknown field "{name}"', "unknown_field", hint)
        if "value" not in value:
            findings.add((*path, "value"), f"{label(path)} needs a field value", "missing_field", 'Add `value: "…"`')
            return INVALID
        text = super().read(value["value"], (*path, "value"), findings)
        secret = value.get("secret", False)
        if not isinstance(secret, bool):
            findings.add((*path, "secret"), f"secret must be true or false, not {describe(secret)}", "wrong_type")
            return INVALID
        return SecretText(text) if secret and text is not INVALID else text

    def _plain_schema(self) -> Schema:
        whole: Schema = {
            "type": "object",
            "properties": {"value": super()._plain_schema(), "secret": {"type": "boolean", "default": False}},
            "required": ["value"],
            "additionalProperties": False,
        }
        return {"anyOf": [super()._plain_schema(), whole]}


class Number(Kind):
    """A finite number within limits."""

    def __init__(
        self, *, least: float | None = None, above: float | None = None, most: float | None = None, whole: bool = False
    ) -> None:
        self._least, self._above, self._most, self._whole = least, above, most, whole

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        number = self._number(value)
        if number is None:
            noun = "a whole number" if self._whole else "a number"
            findings.add(path, f"{label(path)} must be {noun}, not {describe(value)}", "wrong_type")
            return INVALID
        broken = self._broken_limit(number)
        if broken:
            findings.add(path, f"{label(path)} must be {broken}, not {describe(value)}", "out_of_range")
            return INVALID
        return number

    def _number(self, value: Any) -> int | float | None:
        if isinstance(value, str):
            try:
                value = int(value) if self._whole else float(value)
            except ValueError:
                return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if isinstance(value, int) and abs(value) > 2**70:
            return math.inf if value > 0 else -math.inf
        if not self._whole or not math.isfinite(value):
            return float(value)
        return int(value) if value == int(value) else None

    def _broken_limit(self, number: float) -> str:
        """Describe the limit that `number` violates; empty if there is none."""
        if math.isnan(number):
            return "a number"
        if self._least is not None and number < self._least:
            return f"at least {self._least:g}"
        if self._above is not None and number <= self._above:
            return f"more than {self._above:g}"
        if self._most is not None and number > self._most:
            return f"at most {int(self._most):,}"
        return "" if math.isfinite(number) else "finite"

    def _plain_schema(self) -> Schema:
        limits = {"minimum": self._least, "exclusiveMinimum": self._above, "maximum": self._most}
        kind = "integer" if self._whole else "number"
        return {"type": kind, **{name: limit for name, limit in limits.items() if limit is not None}}


class Boolean(Kind):
    """true or false; YAML's yes, no, on and off are accepted."""

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        boolean = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower(), INVALID)
        if boolean is INVALID:
            findings.add(path, f"{label(path)} must be true or false, not {describe(value)}", "wrong_type")
        return boolean

    def _plain_schema(self) -> Schema:
        return {"type": "boolean"}


class Choice(Kind):
    """One of a fixed set of words."""

    def __init__(self, *options: str, spellings: Mapping[str, str] | None = None) -> None:
        self.options = options
        self._spellings = dict(spellings or {})

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        word = getattr(value, "text", None) or str(value)
        word = self._spellings.get(word, word)
        if word in self.options:
            return word
        from atm.models.nearest import nearest

        close = nearest(word.lower(), self.options)
        options = ", ".join(self.options[:-1]) + f" or {self.options[-1]}" if len(self.options) > 1 else self.options[0]
        hint = f"Did you mean `{close[0]}`?" if close else ""
        findings.add(path, f"{label(path)} must be {options}, not {describe(value)}", "unknown_choice", hint)
        return INVALID

    def _plain_schema(self) -> Schema:
        return {"enum": list(self.options)}

    def placeholder(self) -> str:
        return self.options[0]


class Duration(Kind):
    """Seconds, as a number or as text with units."""

    is_duration = True

    def __init__(self, *, positive: bool = False) -> None:
        self._positive = positive

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            hint = 'Write seconds (`90`) or a unit: "250ms", "30s", "1m30s", "2h"'
            findings.add(path, f"{label(path)}: {error}", "bad_duration", hint)
            return INVALID
        if self._positive and round(seconds * 1e9) == 0:
            findings.add(path, f"{label(path)} must be more than 0, not {describe(value)}", "out_of_range")
            return INVALID
        return seconds

    def _plain_schema(self) -> Schema:
        limit = {"exclusiveMinimum": 0} if self._positive else {"minimum": 0}
        text = {"type": "string", "pattern": r"^\s*[0-9.]+\s*[a-zµ]*(\s*[0-9.]+\s*[a-zµ]+)*\s*$"}
        return {"anyOf": [{"type": "number", **limit, "maximum": MAX_SECONDS}, text]}

    def placeholder(self) -> float:
        return 1.0


class Parsed(Kind):
    """A value converted by a function that raises WrongValueError."""

    def __init__(self, parse: Callable[[Any], Any], schema: Schema) -> None:
        self._parse = parse
        self._schema = schema

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        try:
            return self._parse(value)
        except WrongValueError as error:
            findings.add(path, str(error), error.code, error.hint)
            return INVALID

    def _plain_schema(self) -> Schema:
        return self._schema


class ListOf(Kind):
    """A list; with `single`, a single item is accepted as a list of one."""

    def __init__(self, item: Kind, *, least: int = 0, single: bool = False) -> None:
        self._item, self._least, self._single = item, least, single

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        if self._single and not isinstance(value, list | tuple | Mapping):
            value = [value]
        if not isinstance(value, list | tuple):
            findings.add(path, f"{label(path)} must be a list, not {describe(value)}", "wrong_type")
            return INVALID
        if len(value) < self._least:
            hint = "Give at least one, or remove the field"
            findings.add(path, f"{label(path)} must not be empty", "wrong_length", hint)
            return INVALID
        items = [self._item.read(item, (*path, index), findings) for index, item in enumerate(value)]
        return tuple(item for item in items if item is not INVALID)

    def schema(self, definitions: Schema) -> Schema:
        item = self._item.schema(definitions)
        many: Schema = {"type": "array", "items": item, **({"minItems": self._least} if self._least else {})}
        return {"anyOf": [many, item]} if self._single else many


class MapOf(Kind):
    """An object with arbitrary names."""

    def __init__(self, item: Kind) -> None:
        self._item = item

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        if not isinstance(value, Mapping):
            findings.add(path, f"{label(path)} must be an object, not {describe(value)}", "wrong_type")
            return INVALID
        items = {str(name): self._item.read(item, (*path, str(name)), findings) for name, item in value.items()}
        return {name: item for name, item in items.items() if item is not INVALID}

    def schema(self, definitions: Schema) -> Schema:
        return {"type": "object", "additionalProperties": self._item.schema(definitions)}


class HeaderLines(Kind):
    """The lines of one header: a text, a list of texts (one line each), or null to remove a default header."""

    def __init__(self) -> None:
        self._lines = ListOf(Text(), least=1)

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        if value is None:
            return None
        return (
            self._lines.read(value, path, findings)
            if isinstance(value, list | tuple)
            else Text().read(value, path, findings)
        )

    def schema(self, definitions: Schema) -> Schema:
        text = Text().schema(definitions)
        return {"type": [*text["type"], "array", "null"], "items": text, "minItems": 1}


class Json(Kind):
    """Text, or any JSON value."""

    def __init__(self, *types: str) -> None:
        self._types = types

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        before = len(findings)
        self._check(value, path, findings)
        return value if len(findings) == before else INVALID

    def _check(self, value: Any, path: Path, findings: Findings) -> None:
        if isinstance(value, float) and not math.isfinite(value):
            findings.add(path, f"{label(path)} is {plain_float(value)}, which JSON cannot hold", "out_of_range")
        elif isinstance(value, Mapping):
            for name, item in value.items():
                self._check(item, (*path, str(name)), findings)
        elif isinstance(value, list | tuple):
            for index, item in enumerate(value):
                self._check(item, (*path, index), findings)
        elif value is not None and not isinstance(value, str | int | float):
            what = f"{label(path)} is a {type(value).__name__}, which JSON cannot hold"
            findings.add(path, what, "wrong_type")
        elif isinstance(value, str) and not encodable(value):
            findings.add(path, f"{label(path)} contains a lone surrogate, which is not a character", "bad_text")

    def _plain_schema(self) -> Schema:
        return {"type": list(self._types)} if self._types else {}


class Nested(Kind):
    """A model; `shorthand` expands a short notation into its fields."""

    def __init__(
        self, model: type[SpecModel], shorthand: Callable[[Any], Any] | None = None, short: Schema | None = None
    ) -> None:
        self.model = model
        self._shorthand = shorthand
        self._short = short

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        if isinstance(value, self.model):
            return value
        if self._shorthand is not None and not isinstance(value, Mapping):
            value = self._shorthand(value)
        return self.model.read(value, path, findings)

    def schema(self, definitions: Schema) -> Schema:
        from atm.models.schema import reference

        whole = reference(self.model, definitions)
        return {"anyOf": [self._short, whole]} if self._short else whole


class Tagged(Kind):
    """One of several models, selected by the field `type`."""

    def __init__(self, spellings: Mapping[str, str], /, **models: type[SpecModel]) -> None:
        """`spellings` are alternative names of types."""
        self.models = models
        self._type = Choice(*models, spellings=spellings)

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        if isinstance(value, tuple(self.models.values())):
            return value
        if not isinstance(value, Mapping):
            findings.add(path, f"{label(path)} must be an object, not {describe(value)}", "not_an_object")
            return INVALID
        model = self.kind_of(value, path, findings)
        return INVALID if model is None else model.read(value, path, findings)

    def kind_of(self, value: Mapping[str, Any], path: Path, findings: Findings) -> type[SpecModel] | None:
        """Return the model named by the field `type`; without one, report a problem and return None."""
        if value.get("type") is None:
            types = ", ".join(self.models)
            findings.add((*path, "type"), f"{label(path)} needs a field type", "missing_field", f"One of {types}")
            return None
        word = self._type.read(value["type"], (*path, "type"), findings)
        return None if word is INVALID else self.models[word]

    def schema(self, definitions: Schema) -> Schema:
        from atm.models.schema import reference

        return {"anyOf": [reference(model, definitions) for model in self.models.values()]}
