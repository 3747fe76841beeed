"""Read a spec's bytes into plain data with the line of each value. Opens no file.

YAML uses the scalars of YAML 1.2's core schema: `on`, `no`, `1:30` and dates are text, as are numbers with a leading
zero. JSON has a separate reader, because YAML is not quite a superset of it (tabs, surrogate pairs). Both refuse
duplicate keys and are bounded: aliases cannot expand a spec beyond the limits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from json import decoder
from typing import Any

from atm.dataclass import dataclass
from atm.errors import Problem, SpecError
from atm.models.fields import Path, path_text
from atm.models.written_values import WrittenFloat
from atm.plan.document import SpecDocument

MAX_BYTES = 16_000_000
MAX_VALUES = 200_000
"""Most values in a spec after expanding aliases."""
MAX_DEPTH = 64

_scan_string: Callable[[str, int, bool], tuple[str, int]] = vars(decoder)["scanstring"]
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{f"{sign}.{word}": float(f"{sign}inf") for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


def read_spec_text(text: bytes, name: str = "") -> SpecDocument:
    """Parse YAML or JSON to plain data; `name` is the file name shown in problems.

    Raises SpecError when the text cannot be read: not UTF-8, empty, bad syntax, duplicate keys, not an object, too big.
    """
    source = _Source(_decode(text, name), name)
    if not source.text.strip():
        raise source.problem("the spec is empty", "empty_spec", hint="`atm init` writes a starter spec")
    if name.endswith(".json"):
        data = _Json(source).document()
    elif source.text.lstrip()[0] in "{[":
        data = _json_or_yaml(source)
    else:
        data = _Yaml(source).document()
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else "a single value" if data is not None else "nothing"
        hint = "A spec has at least `name: …` and `url: …`; `atm init` writes one"
        raise source.problem(f"a spec must be an object with named fields, not {kind}", "not_an_object", hint=hint)
    return SpecDocument(data, source.places, name)


def _json_or_yaml(source: _Source) -> Any:
    try:
        return _Json(source).document()
    except SpecError as error:
        if error.problems[0].code != "bad_json":
            raise
    source.places.clear()
    return _Yaml(source).document()


def _decode(text: bytes, name: str) -> str:
    if len(text) > MAX_BYTES:
        raise SpecError(Problem(f"the spec is larger than {MAX_BYTES:,} bytes", "spec_too_large", place=name))
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        place = f"{name}:{line}" if name else f"line {line}"
        encoding = "utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
        hint = f"Convert it: `iconv -f {encoding} -t utf-8 {name or 'spec.yaml'}`"
        what = f"the spec is not UTF-8: byte 0x{text[error.start]:02x} at offset {error.start}"
        raise SpecError(Problem(what, "not_utf8", place=place, hint=hint)) from None


class _Source:
    """The text, its name, and the line of each value."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.places: dict[Path, str] = {}
        self._values = 0

    def place(self, line: int) -> str:
        return f"{self.name}:{line}" if self.name else f"line {line}"

    def problem(self, what: str, code: str, line: int = 0, hint: str = "", path: Path = ()) -> SpecError:
        return SpecError(Problem(what, code, path_text(path), self.place(line) if line else self.name, hint))

    def note(self, path: Path, line: int) -> None:
        """Record the place of a value, and check the limits; called for every value."""
        self._values += 1
        if self._values > MAX_VALUES:
            what = f"the spec has more than {MAX_VALUES:,} values once its aliases are expanded"
            raise self.problem(what, "spec_too_large", line)
        if len(path) > MAX_DEPTH:
            raise self.problem(f"the spec is nested more than {MAX_DEPTH} levels deep", "spec_too_deep", line)
        self.places[path] = self.place(line)

    def unquoted(self, line: int, column: int, text: str) -> SpecError:
        """Return the problem of a `{{…}}` without quotes, which YAML reads as a map."""
        what = f"{text} is not in quotes, and YAML reads a value that begins with {{ as a map"
        if not text.startswith("{{"):
            what = f"{text} is not in quotes, and inside {{ }} and [ ] YAML reads its braces as a map"
        quote = "'" if '"' in text else '"'
        place = f"{self.place(line)}:{column}" if self.name else f"{self.place(line)}, column {column}"
        return SpecError(Problem(what, "unquoted_template", "", place, f"Write {quote}{text}{quote}"))

    def duplicate(self, path: Path, line: int) -> SpecError:
        what = f'"{path[-1]}" occurs twice, first at {self.places[path]}'
        return self.problem(what, "duplicate_key", line, "Keep one of the two", path)


class _Json:
    """A JSON reader (RFC 8259) that records lines."""

    _SPACE = re.compile(r"[ \t\r\n]*")
    _NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
    _WORDS = re.compile(r"true|false|null")

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._text = source.text
        self._position = 0
        self._line = 1
        self._counted = 0

    def document(self) -> Any:
        value = self._value(())
        if self._peek():
            raise self._bad("text after the end of the object")
        return value

    def _peek(self) -> str:
        if space := self._SPACE.match(self._text, self._position):
            self._position = space.end()
        return self._text[self._position : self._position + 1]

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._position)
        self._counted = self._position
        return self._line

    def _bad(self, why: str) -> SpecError:
        return self._source.problem(f"invalid JSON: {why}", "bad_json", self._here())

    def _value(self, path: Path) -> Any:
        start = self._peek()
        self._source.note(path, self._here())
        if start == "{":
            return self._object(path)
        if start == "[":
            return self._list(path)
        if start == '"':
            return self._string()
        if word := self._WORDS.match(self._text, self._position):
            self._position = word.end()
            return {"true": True, "false": False, "null": None}[word[0]]
        if number := self._NUMBER.match(self._text, self._position):
            self._position = number.end()
            return WrittenFloat.read(number[0]) if number[1] or number[2] else _integer(number[0])
        raise self._bad(f"a value is missing before {start!r}" if start else "unexpected end of file")

    def _string(self) -> str:
        try:
            value, self._position = _scan_string(self._text, self._position + 1, True)
        except ValueError as error:
            raise self._bad(str(error).split(":")[0].lower()) from None
        return str(value)

    def _object(self, path: Path) -> dict[str, Any]:
        items: dict[str, Any] = {}
        self._position += 1
        while self._peek() != "}" or items:
            if self._peek() != '"':
                raise self._bad("a name in double quotes is missing here")
            name = self._string()
            if name in items:
                raise self._source.duplicate((*path, name), self._here())
            if self._peek() != ":":
                raise self._bad(f'a colon is missing after "{name}"')
            self._position += 1
            items[name] = self._value((*path, name))
            if self._separator("}"):
                return items
        self._position += 1
        return items

    def _list(self, path: Path) -> list[Any]:
        items: list[Any] = []
        self._position += 1
        while self._peek() != "]" or items:
            items.append(self._value((*path, len(items))))
            if self._separator("]"):
                return items
        self._position += 1
        return items

    def _separator(self, end: str) -> bool:
        """Skip a comma, or the end and return True."""
        character = self._peek()
        if character not in (",", end) or not character:
            raise self._bad(f"a comma or {end} is missing here")
        self._position += 1
        return character == end


class _Yaml:
    """Builds plain data from PyYAML's events, which have lines and run no constructors."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._anchors: dict[str, list[Any]] = {}
        self._recorders: list[list[Any]] = []
        self._open: set[str] = set()

    def document(self) -> Any:
        # Slow to import, and not needed for `atm run URL`.
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            events = [
                event
                for event in yaml.parse(self._source.text, Loader=loader)
                if not isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent | yaml.DocumentEndEvent)
            ]
        except yaml.MarkedYAMLError as error:
            mark: Any = error.problem_mark or error.context_mark
            line = int(getattr(mark, "line", -1)) + 1
            if unquoted := _unquoted_template(self._source.text, line, flow=_start_of_flow(error)):
                raise self._source.unquoted(*unquoted) from None
            what = f"invalid YAML: {error.problem or error.context or 'it cannot be read'}"
            hint = "Indent with spaces, and quote text that holds `: `, `#` or starts with `{`, `*`, `@`"
            shown = "".join(self._source.text.splitlines()[line - 1 : line])
            if _start_of_flow(error) and re.search(r"\$[.\[]", shown):
                hint = 'Quote a JSONPath inside braces: `{id: "$.items[0].id"}`'
            elif _CONDITION_WITH_LIST.search(shown):
                hint = 'Quote a condition that holds brackets: `checks: ["status in [200, 404]"]`'
            raise self._source.problem(what, "bad_yaml", line, hint) from None
        except yaml.YAMLError as error:
            raise self._source.problem(f"invalid YAML: {error}".splitlines()[0], "bad_yaml") from None
        starts = [event for event in events if isinstance(event, yaml.DocumentStartEvent)]
        if len(starts) > 1:
            line = _Event.of(starts[1]).line
            raise self._source.problem(
                "a second document starts here; a spec must be a single document", "bad_yaml", line
            )
        self._events = [_Event.of(event) for event in events if not isinstance(event, yaml.DocumentStartEvent)]
        self._next = 0
        return self._value(()) if self._events else None

    def _value(self, path: Path) -> Any:
        event = self._events[self._next]
        self._next += 1
        if event.kind == "alias":
            return self._alias(event, path)
        self._source.note(path, event.line)
        if event.kind == "scalar":
            if event.anchor:
                self._anchors[event.anchor] = [self._next - 1, self._next]
            return self._scalar(event, path)
        start = self._next - 1
        if event.anchor:
            self._open.add(event.anchor)
        value = self._mapping(path) if event.kind == "mapping" else self._sequence(path)
        if event.anchor:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = [start, self._next]
        return value

    def _alias(self, event: _Event, path: Path) -> Any:
        """Replay the anchored events at this path: every copy counts towards the limits."""
        if event.anchor in self._open:
            raise self._source.problem(f"the alias *{event.anchor} refers to itself", "bad_yaml", event.line)
        if event.anchor not in self._anchors:
            raise self._source.problem(f"there is no anchor &{event.anchor}", "bad_yaml", event.line)
        back, (self._next, _) = self._next, self._anchors[event.anchor]
        value = self._value(path)
        self._next = back
        return value

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while self._events[self._next].kind != "end":
            items.append(self._value((*path, len(items))))
        self._next += 1
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        items: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while self._events[self._next].kind != "end":
            event = self._events[self._next]
            if event.kind == "alias" and event.anchor in self._anchors:
                event = self._events[self._anchors[event.anchor][0]]
            if event.kind != "scalar":
                if unquoted := _unquoted_template(self._source.text, event.line, event.column):
                    raise self._source.unquoted(*unquoted)
                raise self._source.problem("the name of a field must be plain text", "bad_yaml", event.line, path=path)
            self._next += 1
            if event.text == "<<" and event.plain:
                self._merge(merged, path, event.line)
                continue
            if event.text in items:
                raise self._source.duplicate((*path, event.text), event.line)
            items[event.text] = self._value((*path, event.text))
            # A block that starts on the next line is recorded at the line of its name.
            self._source.places[(*path, event.text)] = self._source.place(event.line)
        self._next += 1
        return {**merged, **items}

    def _merge(self, merged: dict[str, Any], path: Path, line: int) -> None:
        value = self._value((*path, "<<"))
        for mapping in value if isinstance(value, list) else [value]:
            if not isinstance(mapping, dict):
                raise self._source.problem("<< needs an object, or a list of them", "bad_yaml", line, path=path)
            for name, item in mapping.items():
                merged.setdefault(name, item)
                self._source.places.setdefault((*path, name), self._source.place(line))

    def _scalar(self, event: _Event, path: Path) -> Any:
        kind = event.tag.rpartition(":")[2].removeprefix("!")
        if kind == "str" or (not event.plain and not kind):
            return event.text
        if kind not in ("", "int", "float", "bool", "null"):
            what = f"the YAML tag {event.tag} is not supported"
            raise self._source.problem(what, "bad_yaml", event.line, "Write the value without a tag", path)
        text = event.text
        if text in _SPECIAL:
            return _SPECIAL[text]
        if _INTEGER.fullmatch(text):
            return _integer(text)
        return WrittenFloat.read(text) if _FLOAT.fullmatch(text) else text


@dataclass(frozen=True, slots=True)
class _Event:
    """The relevant fields of a PyYAML event."""

    kind: str
    line: int
    anchor: str = ""
    text: str = ""
    tag: str = ""
    plain: bool = False
    column: int = 0

    @classmethod
    def of(cls, event: Any) -> _Event:
        name = type(event).__name__.removesuffix("Event")
        kind = {"Alias": "alias", "Scalar": "scalar", "MappingStart": "mapping", "SequenceStart": "sequence"}
        return cls(
            kind.get(name, "end"),
            event.start_mark.line + 1,
            getattr(event, "anchor", None) or "",
            getattr(event, "value", ""),
            getattr(event, "tag", None) or "",
            bool(getattr(event, "implicit", (False, False))[0]) if name == "Scalar" else False,
            event.start_mark.column,
        )


def _integer(text: str) -> int | float:
    # Python refuses to read integers of thousands of digits, which make no sense in a spec.
    return int(text) if len(text) <= 300 else float("-inf" if text.startswith("-") else "inf")


_QUOTED_OR_COMMENT = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'|(?:^|\s)#.*|(?:^|(?<=[\s,\[{]))[\"'].*")
_CONDITION_WITH_LIST = re.compile(r"[\[{,:-].* in \[")
_UNQUOTED = re.compile(
    r"(?:^|(?<=[\s,\[{]))[^\s,\[\]{}\"'#][^\s,\[\]{}\"']*\{\{[^{}]*\}\}[^\s,\]}]*|\{\{[^{}]*\}\}[^\s,\]}]*"
)


def _unquoted_template(
    text: str, line: int, column: int = 0, flow: tuple[int, int] | None = None
) -> tuple[int, int, str] | None:
    """Find a `{{…}}` outside quotes: at a 0-based column of a line, or as the last one before an error in YAML.

    `flow` is where the `{` or `[` begins that the error is in: line (from 1) and 0-based column. Outside of these, YAML
    reads a text that does not begin with `{{` as it is meant. Returns line and column, both from 1, and the text.
    """
    lines = text.splitlines()
    first = max(line - 2, 1) if flow is None else flow[0]
    for number in range(min(line, len(lines)), first - 1, -1):
        # Quoted texts become blanks, so that columns stay the same.
        shown = _QUOTED_OR_COMMENT.sub(lambda quoted: " " * len(quoted[0]), lines[number - 1])
        for match in _UNQUOTED.finditer(shown):
            is_inside = flow is not None and (number, match.start()) > flow
            if match.end() > column and (is_inside or column or match[0].startswith("{{")):
                return number, match.start() + 1, match[0]
        column = 0
    return None


def _start_of_flow(error: Any) -> tuple[int, int] | None:
    """Return where the `{` or `[` begins in which YAML found an error: line (from 1) and 0-based column."""
    mark = error.context_mark
    return (mark.line + 1, mark.column) if mark is not None and "flow" in (error.context or "") else None
