"""Base of the spec models: declared fields that read plain data and report every problem.

Not pydantic, for two reasons: importing it costs as much CPU as everything else that `atm run URL` does before its
first request, and its messages address programmers. In pydantic models (the API), these models can be used as types.

A model is a class with `declared` fields. `Model(...)` and `Model.read` check everything; an invalid field is reported
and replaced by its default, so that one pass finds every problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, dataclass_transform

from atm.dataclass import dataclass
from atm.errors import Problem, SpecError
from atm.models.field_types import INVALID, Kind
from atm.models.written_values import SecretText

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

Path = tuple[str | int, ...]
"""The path of a value in a spec: `("endpoints", 1, "url")`."""

REQUIRED: Any = object()

_locations: dict[str, str] = {}


def register_locations(fields: Mapping[str, str]) -> None:
    """Register where fields belong ("in `load`"), for the hint when one is misplaced."""
    _locations.update(fields)


def path_text(path: Sequence[str | int]) -> str:
    """Format a path: `endpoints[1].url`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


MOST_FINDINGS = 200


class Findings:
    """Collects the problems of a spec while it is read and compiled, each with its path.

    Raises SpecError with the problems so far when there are more than MOST_FINDINGS.
    """

    def __init__(self) -> None:
        self._findings: list[tuple[Path, Problem]] = []

    def __iter__(self) -> Iterator[tuple[Path, Problem]]:
        return iter(self._findings)

    def __len__(self) -> int:
        return len(self._findings)

    def add(self, path: Path, what: str, code: str, hint: str = "", detail: str = "") -> None:
        """Add a problem; `detail` is appended to the path: `url character 31`."""
        if len(self._findings) >= MOST_FINDINGS:
            # More would not be read; a generated spec may have a million.
            raise SpecError([*self.problems(), Problem("further problems are not listed", "more_problems")])
        where = " ".join(part for part in (path_text(path), detail) if part)
        self._findings.append((path, Problem(what, code, where, hint=hint)))

    def touch(self, *path: str | int) -> bool:
        """Return whether a problem at or below `path` was reported, so that further ones can be skipped."""
        return any(place[: len(path)] == path for place, _ in self._findings)

    def problems(self, place: Callable[[Path], str] | None = None) -> list[Problem]:
        """Return the distinct problems in order, with their places."""
        placed = (
            Problem(problem.what, problem.code, problem.path, place(path) if place else "", problem.hint)
            for path, problem in self._findings
        )
        return list(dict.fromkeys(placed))


@dataclass(frozen=True, slots=True)
class Declared:
    """A field of a model."""

    kind: Kind
    help: str
    default: Any
    examples: tuple[Any, ...]


def declared(kind: Kind, description: str = "", *, default: Any = REQUIRED, examples: Sequence[Any] = ()) -> Any:
    """Declare a field: its type, description and default (without one it is required)."""
    return Declared(kind, description, default, tuple(examples))


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(declared,))
class SpecModel:
    """Base class: checked keyword arguments, frozen, compared by value. Null means not set."""

    declarations: ClassVar[dict[str, Declared]] = {}
    synonyms: ClassVar[Mapping[str, str]] = {}
    """Names often used by mistake, each with the right field, for hints."""
    shorts: ClassVar[Mapping[str, str]] = {}
    """Further spellings, each with its field; a model gives them their meaning."""
    keywords: ClassVar[Mapping[str, str]] = {}
    """Fields with the spelling that a spec uses instead of their name, because it is a keyword of Python."""
    extensions: ClassVar[bool] = False
    """Whether fields starting with `x-` are ignored, as in OpenAPI and Compose, for YAML anchors."""
    written: frozenset[str]
    """The fields that were set, as opposed to left at their defaults."""

    def __init_subclass__(cls) -> None:
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Declared)}
        for name in own:
            delattr(cls, name)
        cls.declarations = {**own, **{name: field for name, field in cls.declarations.items() if name not in own}}

    def __init__(self, **values: Any) -> None:
        """Raises SpecError with every problem of the values."""
        findings = Findings()
        self._fill(values, (), findings)
        if len(findings):
            raise SpecError(findings.problems())

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Create a model from spec notation (`"30s"`, `_seconds`). Raises SpecError with every problem."""
        findings = Findings()
        model = cls.read(data, (), findings)
        if len(findings):
            raise SpecError(findings.problems())
        return model

    @classmethod
    def read(cls, data: Any, path: Path, findings: Findings) -> Self:
        """Create a model from plain data; problems are added to `findings`, invalid fields get their defaults."""
        model = object.__new__(cls)
        if not isinstance(data, Mapping):
            from atm.models.written_values import describe

            name = path_text(path) or "a spec"
            findings.add(path, f"{name} must be an object, not {describe(data)}", "not_an_object")
            data = None
        model._fill(data, path, findings)
        return model

    def to_data(self) -> dict[str, Any]:
        """Return the set fields as plain data, from which an equal model can be read."""
        return {
            self.keywords.get(name, name): _plain(value)
            for name, value in vars(self).items()
            if name in self.written or name == "type"
        }

    def _fill(self, data: Mapping[str, Any] | None, path: Path, findings: Findings) -> None:
        values = vars(self)
        written: set[str] = set()
        entries = {} if data is None else _set_fields(type(self), data, path, findings)
        for name, field in self.declarations.items():
            value = INVALID
            if name in entries:
                spelling, given = entries[name]
                written.add(name)
                value = field.kind.read(given, (*path, spelling), findings)
            elif field.default is REQUIRED and data is not None:
                _report_missing(type(self), name, path, findings)
            if value is INVALID:
                value = field.kind.placeholder() if field.default is REQUIRED else field.default
                written.discard(name)
            values[name] = value
        values["written"] = frozenset(written)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.declarations)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if name in self.written)
        return f"{type(self).__name__}({fields})"

    @classmethod
    def location_of(cls, name: str) -> str:
        """Describe where a field that this model lacks belongs; empty if unknown."""
        return _locations.get(name, "")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        def read(data: Any) -> SpecModel:
            if isinstance(data, cls):
                return data
            try:
                return cls.from_data(data)
            except SpecError as error:
                raise ValueError("; ".join(problem.what for problem in error.problems)) from None

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(cls.to_data)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        from atm.models.schema import inline_schema

        return inline_schema(cls)


def _set_fields(
    model: type[SpecModel], data: Mapping[str, Any], path: Path, findings: Findings
) -> dict[str, tuple[str, Any]]:
    """Return the declared fields that are set, with their spelling: `timeout` may be spelled `timeout_seconds`."""
    entries: dict[str, tuple[str, Any]] = {}
    spellings = {**model.shorts, **{spelling: name for name, spelling in model.keywords.items()}}
    for spelling, value in data.items():
        name = spellings.get(spelling, spelling)
        if model.extensions and str(spelling).startswith("x-"):
            continue
        if name not in model.declarations:
            short = str(spelling).removesuffix("_seconds")
            field = model.declarations.get(short)
            name = short if field is not None and field.kind.is_duration else name
        if name not in model.declarations:
            _report_unknown(model, str(spelling), path, findings)
        elif value is None or (name in entries and entries[name][1] == value):
            continue
        elif name in entries:
            what = f"{entries[name][0]} and {spelling} are the same field"
            findings.add((*path, spelling), what, "conflict", f"Keep `{name}`")
        else:
            entries[name] = (spelling, value)
    return entries


def _report_missing(model: type[SpecModel], name: str, path: Path, findings: Findings) -> None:
    examples = model.declarations[name].examples
    spelling = model.keywords.get(name, name)
    hint = f"Add `{spelling}: {examples[0]}`" if examples else f"Add `{spelling}`"
    owner = path_text(path) or "the spec"
    findings.add((*path, spelling), f"{owner} needs a field {spelling}", "missing_field", hint)


def _report_unknown(model: type[SpecModel], name: str, path: Path, findings: Findings) -> None:
    from atm.models.nearest import nearest

    elsewhere = "" if name in model.synonyms else model.location_of(name)
    close = nearest(name.lower(), [*model.declarations, *model.synonyms])
    guess = f"Did you mean `{model.synonyms.get(close[0], close[0])}`? " if close else ""
    guess = f"`{name}` belongs {elsewhere}. " if elsewhere else guess
    findings.add((*path, name), f'unknown field "{name}"', "unknown_field", f"{guess}`atm schema` lists every field")


def _plain(value: Any) -> Any:
    if isinstance(value, SpecModel):
        return value.to_data()
    if isinstance(value, SecretText):
        return {"value": str(value), "secret": True}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
