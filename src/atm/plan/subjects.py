"""Read subjects, which conditions compare and extracts take: `status`, `header NAME`, `$.id | random`, `stock`.

`Scanner` is the text of a condition or extract with a position; its errors name the character.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NoReturn, cast

from atm.dataclass import dataclass
from atm.models.fields import Path
from atm.plan import json_paths
from atm.plan.patterns import PatternError, compiled
from atm.plan.program import Pick, Subject
from atm.plan.template_parts import TextSource, ValuePart
from atm.plan.templates import Names
from atm.plan.values import ValueSyntaxError

PICKS: tuple[Pick, ...] = ("first", "last", "random", "all", "count")
OF_RESPONSE = ("status", "time", "size", "header", "cookie", "body", "regex", "schema")
"""Words that begin a subject of the response."""
_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)?")
_FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`~-]+")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", re.DOTALL)
_ESCAPE = re.compile(r"\\([\"'\\nrt])")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_PATTERN = re.compile(r"/((?:[^/\\]|\\.)*)/(i?)", re.DOTALL)
_PATH_END = re.compile(r"[\s<>=!|)\],]")
_TEMPLATE = re.compile(r"\{\{.*?\}\}", re.DOTALL)


class ConditionSyntaxError(Exception):
    """A condition or extract that cannot be read: message, hint, code and the 0-based position."""

    def __init__(self, what: str, hint: str, code: str, position: int) -> None:
        super().__init__(what)
        self.hint = hint
        self.code = code
        self.position = position


@dataclass(slots=True)
class Scanner:
    """A text, read from left to right."""

    text: str
    noun: str
    """For messages: `condition`, `extract`."""
    code: str
    position: int = 0

    def fail(self, what: str, hint: str = "", *, at: int | None = None, code: str = "") -> NoReturn:
        """Raise a ConditionSyntaxError here, or at another position."""
        where = self.position if at is None else at
        raise ConditionSyntaxError(f'the {self.noun} "{_short(self.text)}" {what}', hint, code or self.code, where)

    def skip(self) -> int:
        """Skip white space and return the position."""
        space = _SPACE.match(self.text, self.position)
        assert space is not None
        self.position = space.end()
        return self.position

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Skip white space, and take the pattern if it is next."""
        match = pattern.match(self.text, self.skip())
        if match:
            self.position = match.end()
        return match

    def literal(self, text: str) -> bool:
        """Skip white space, and take the text if it is next."""
        taken = self.text.startswith(text, self.skip())
        self.position += len(text) if taken else 0
        return taken

    def peek_word(self) -> str:
        """Return the next word in lower case, without taking it; empty if there is none."""
        match = _WORD.match(self.text, self.skip())
        return match[0].lower() if match else ""

    def word(self, *words: str) -> str:
        """Take the next word if it is one of these, in any case; else return an empty text."""
        word = self.peek_word()
        if word not in words:
            return ""
        self.position += len(word)
        return word

    def rest(self) -> str:
        """Return what is left, for messages."""
        return _short(self.text[self.skip() :].strip())

    def quoted(self) -> str | None:
        """Take a quoted text and return its content; None if there is none."""
        match = self.take(_QUOTED)
        if match is None:
            return None
        return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), match[0][1:-1])

    def template(self) -> str | None:
        """Take a `{{…}}` and return it; None if there is none."""
        match = self.take(_TEMPLATE)
        return match[0] if match else None

    def field_name(self, noun: str) -> str:
        """Take the name of a header or cookie."""
        start = self.skip()
        name = self.quoted()
        if name is None:
            match = self.take(_FIELD_NAME)
            name = match[0] if match else ""
        if not _FIELD_NAME.fullmatch(name):
            example = "header content-type" if noun == "header" else "cookie session"
            self.fail(f"needs the name of a {noun}", f"Write `{example}`", at=start)
        return name

    def pattern(self) -> str:
        """Take a regular expression, as `/…/`, `/…/i` or in quotes, and check it."""
        start = self.skip()
        match = self.take(_PATTERN)
        text = self.quoted() if match is None else match[1].replace("\\/", "/")
        if text is None:
            self.fail("needs a regular expression here", 'Write it as /…/ or "…": `/^ord-[0-9]+$/`', at=start)
        pattern = f"(?i){text}" if match and match[2] else text
        try:
            compiled(pattern)
        except PatternError as error:
            raise ConditionSyntaxError(str(error), error.hint, "bad_regex", start) from None
        return pattern

    def json_path(self) -> str:
        """Take a JSONPath, which ends outside brackets at white space or an operator, and check it."""
        start = self.skip()
        position, depth = start + 1, 0
        while position < len(self.text):
            character = self.text[position]
            if depth and character in "\"'" and (quoted := _QUOTED.match(self.text, position)):
                position = quoted.end()
                continue
            if not depth and _PATH_END.match(character):
                break
            depth += {"[": 1, "]": -1}.get(character, 0)
            position += 1
        path = self.text[start:position]
        self.position = position
        try:
            json_paths.compiled(path)
        except json_paths.JsonPathError as error:
            hint = "For example `$.items[0].id`, `$.items[*].price`, `$['a name']`; the syntax is RFC 9535"
            raise ConditionSyntaxError(str(error), hint, "bad_json_path", start) from None
        return path


def read_subject(scanner: Scanner, names: Names, path: Path, *, of_response: bool) -> Subject:
    """Take a subject with its pick. Without `of_response`, only values. Raises ConditionSyntaxError."""
    start = scanner.skip()
    word = scanner.peek_word()
    is_known = word in names.setup_values or (names.scope is not None and word in names.scope.slots)
    if scanner.text.startswith("$", start):
        if not of_response:
            _refuse_response(scanner, scanner.json_path(), start)
        return _picked(scanner, Subject("json", scanner.json_path()), names)
    if word in OF_RESPONSE and not (is_known and not of_response):
        if not of_response:
            _refuse_response(scanner, word, start)
        return _of_response(scanner, names)
    return Subject("value", value=_value(scanner, names, path))


def _refuse_response(scanner: Scanner, subject: str, start: int) -> NoReturn:
    name = re.sub(r"[^A-Za-z0-9_]+", "_", subject).strip("_") or "value"
    source = subject if subject not in ("header", "cookie") else f"{subject} NAME"
    scanner.fail(
        f"reads {subject} of a response, which only checks can: a variable has to hold it",
        f"Extract it first, in the step that gets it: `extract: {{{name}: {source}}}`, and write `{name}` here",
        at=start,
        code="response_outside_check",
    )


def _of_response(scanner: Scanner, names: Names) -> Subject:
    word = scanner.word(*OF_RESPONSE)
    if word in ("header", "cookie"):
        kind = cast('Literal["header", "cookie"]', word)
        return _picked(scanner, Subject(kind, scanner.field_name(word)), names)
    if word == "regex":
        return _picked(scanner, Subject("regex", scanner.pattern()), names)
    return Subject(cast('Literal["status", "time", "size", "body"]', word))


def _picked(scanner: Scanner, subject: Subject, names: Names) -> Subject:
    """Take `| first`, `| random`, …, unless another word follows the bar."""
    before = scanner.position
    if not scanner.literal("|"):
        return subject
    pick = scanner.word(*PICKS)
    if not pick:
        scanner.position = before
        return subject
    return Subject(subject.kind, subject.text, cast("Pick", pick), names.places.take() if pick == "random" else 0)


def _value(scanner: Scanner, names: Names, path: Path) -> ValuePart:
    start = scanner.skip()
    text = scanner.template()
    if text is None:
        match = scanner.take(_NAME)
        if match is None:
            what = f'has "{scanner.rest()}" where what it judges is missing' if scanner.rest() else "ends too early"
            scanner.fail(what, "Begin with `status`, `time`, `header NAME`, `$.path`, `body` or a variable", at=start)
        text = match[0]
        if scanner.text.startswith("(", scanner.position):
            text += _arguments(scanner)
        text = f"{{{{{text}}}}}"
    return one_value(text, start, names, path)


def one_value(text: str, start: int, names: Names, path: Path) -> ValuePart:
    """Return the value of a single `{{…}}`. Raises ConditionSyntaxError; an undefined name is added to the findings."""
    before = len(names.findings)
    pieces = names.pieces(text, path)
    if len(names.findings) > before:
        return ValuePart(TextSource())
    try:
        return names.single_value(pieces, text[2:-2].strip())
    except ValueSyntaxError as problem:
        raise ConditionSyntaxError(str(problem), problem.hint, problem.code, start) from None


def _arguments(scanner: Scanner) -> str:
    """Take the arguments of a function, with their parentheses."""
    start, depth = scanner.position, 0
    for position in range(start, len(scanner.text)):
        depth += {"(": 1, ")": -1}.get(scanner.text[position], 0)
        if not depth:
            scanner.position = position + 1
            return scanner.text[start : position + 1]
    return scanner.fail("has a parenthesis that is never closed", at=start)


def reported(problem: ConditionSyntaxError, path: Path, names: Names) -> None:
    """Add a problem to the findings, with its character."""
    names.findings.add(path, str(problem), problem.code, problem.hint, f"character {problem.position + 1}")


ReadSchema = Callable[[str, Path], object]
"""Reads a JSON Schema by file name; reports problems and returns None then."""


def _short(text: str) -> str:
    return text if len(text) <= 120 else text[:119] + "…"
