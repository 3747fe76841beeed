"""Compile conditions: of checks, `when` and `while`.

    condition  = all *( "or" all )
    all        = negation *( "and" negation )
    negation   = "not" negation / "(" condition ")" / comparison
    comparison = subject operator / "schema" FILE
    subject    = "status" / "time" / "size" / "body" / ( "header" / "cookie" ) NAME [ "|" pick ]
               / JSONPATH [ "|" pick ] / "regex" pattern [ "|" pick ] / value
    pick       = "first" / "last" / "random" / "all" / "count"
    value      = NAME [ "." COLUMN ] / FUNCTION "(" … ")" / "{{" … "}}"
    operator   = ( "==" / "!=" / "<" / "<=" / ">" / ">=" ) operand
               / [ "not" ] "in" "[" operand *( "," operand ) "]"
               / [ "not" ] "contains" operand / [ "not" ] "matches" pattern
               / "exists" / "missing" / "schema" FILE
    pattern    = "/" … "/" [ "i" ] / quoted text
    operand    = number / duration / size / "true" / "false" / "null" / quoted text / "{{" … "}}" / word

A quoted text may contain `{{…}}`. Words are in lower case in the grammar, and read in any case.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Literal, cast

from atm.dataclass import dataclass
from atm.models.duration import parse_duration
from atm.models.fields import Path
from atm.plan.program import All, Comparison, Condition, Either, Negation, Subject
from atm.plan.subjects import ConditionSyntaxError, ReadSchema, Scanner, read_subject, reported
from atm.plan.template_parts import LiteralPart, Template
from atm.plan.templates import Names

_COMPARISONS = {"==": "eq", "!=": "ne", "<=": "le", ">=": "ge", "<": "lt", ">": "gt"}
_SIGN = re.compile(r"[=!<>~]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_BARE = re.compile(r"[^\s()\[\],]+")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(b|[kmg]i?b)", re.IGNORECASE)
_SIZES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_FILE = re.compile(r"[^\s()\[\],]+")
_WORDS = ("in", "contains", "matches", "exists", "missing", "schema", "not")
_MOST_NESTED = 32
_HINT = 'Examples: `status == 200`, `time < 500ms`, `$.items | count > 0`, `body contains "ok"`, `stock > 0`'
_Operator = Literal["eq", "ne", "lt", "le", "gt", "ge", "contains", "not_contains"]


@dataclass(frozen=True, slots=True)
class _Operand:
    value: Any
    template: Template | None = None


def compile_condition(
    text: str, path: Path, names: Names, *, of_response: bool, read_schema: ReadSchema, noun: str = "condition"
) -> Condition | None:
    """Compile a condition; None if there are problems, which are added to the findings.

    `of_response` allows subjects of a response, as in a check; without it only values may be judged.
    """
    before = len(names.findings)
    parser = _Parser(Scanner(text, noun, "bad_condition"), path, names, of_response, read_schema)
    try:
        condition = parser.whole()
    except ConditionSyntaxError as problem:
        reported(problem, path, names)
        return None
    return condition if len(names.findings) == before else None


@dataclass(slots=True)
class _Parser:
    scanner: Scanner
    path: Path
    names: Names
    of_response: bool
    read_schema: ReadSchema
    nested: int = 0

    def whole(self) -> Condition:
        condition = self._either()
        if rest := self.scanner.rest():
            self._report_rest(rest)
        return condition

    def _report_rest(self, rest: str) -> None:
        if rest.startswith(("&&", "||")):
            word = "and" if rest[0] == "&" else "or"
            self.scanner.fail(f'has "{rest[:2]}"', f"Write `{word}`")
        self.scanner.fail(f'continues with "{rest}" after its end', "Join conditions with `and` or `or`; quote a text")

    def _either(self) -> Condition:
        parts = [self._all()]
        while self.scanner.word("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _all(self) -> Condition:
        parts = [self._negation()]
        while self.scanner.word("and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _negation(self) -> Condition:
        start = self.scanner.skip()
        is_negation = bool(self.scanner.word("not"))
        if not is_negation and not self.scanner.literal("("):
            return self._comparison()
        self.nested += 1
        if self.nested > _MOST_NESTED:
            self.scanner.fail(f"is nested more than {_MOST_NESTED} levels deep", at=start)
        if is_negation:
            condition: Condition = Negation(self._negation())
        else:
            condition = self._either()
            if not self.scanner.literal(")"):
                self.scanner.fail("has a parenthesis that is never closed", "Close it with )", at=start)
        self.nested -= 1
        return condition

    def _comparison(self) -> Condition:
        scanner = self.scanner
        if not scanner.rest():
            scanner.fail("ends where a comparison is missing", _HINT)
        if scanner.peek_word() == "schema" and self.of_response:
            scanner.word("schema")
            return self._conforms(Subject("body"))
        subject = read_subject(scanner, self.names, self.path, of_response=self.of_response)
        start = scanner.skip()
        is_negated = bool(scanner.word("not"))
        word = scanner.word(*_WORDS)
        if word in ("exists", "missing"):
            return Comparison(subject, "exists" if (word == "exists") != is_negated else "missing")
        if word == "in":
            return self._within(subject, is_negated=is_negated)
        if word == "contains":
            return self._compared(subject, "not_contains" if is_negated else "contains")
        if word == "matches":
            return Comparison(subject, "not_matches" if is_negated else "matches", scanner.pattern())
        if word == "schema" and not is_negated:
            return self._conforms(subject)
        if is_negated:
            scanner.fail("has `not` before no `in`, `contains` or `matches`", "Write `not` before the comparison")
        return self._signed(subject, start)

    def _signed(self, subject: Subject, start: int) -> Condition:
        match = self.scanner.take(_SIGN)
        if match is None:
            rest = self.scanner.rest()
            what = f'has "{rest}" where a comparison is expected' if rest else "compares with nothing"
            hint = "Use ==, !=, <, <=, >, >=, in [..], contains, matches /../, exists or missing"
            self.scanner.fail(what, hint, at=start)
        operator = _COMPARISONS.get(match[0])
        if operator is None:
            meant = {"=": "==", "===": "==", "!": "!=", "!==": "!=", "<>": "!=", "=<": "<=", "=>": ">="}.get(match[0])
            hint = f"Write `{meant}`" if meant else "Write `matches /…/`" if "~" in match[0] else _HINT
            self.scanner.fail(f'compares with "{match[0]}"', hint, at=start)
        return self._compared(subject, cast("_Operator", operator))

    def _compared(self, subject: Subject, operator: _Operator) -> Condition:
        operand = self._operand(subject, operator)
        return Comparison(subject, operator, operand.value, operand.template)

    def _within(self, subject: Subject, *, is_negated: bool) -> Condition:
        start = self.scanner.skip()
        if not self.scanner.literal("["):
            self.scanner.fail("has no list after `in`", "Write `in [200, 404]`", at=start)
        items = [self._operand(subject, "eq")]
        while self.scanner.literal(","):
            items.append(self._operand(subject, "eq"))
        if not self.scanner.literal("]"):
            self.scanner.fail("has a list that is never closed", "Close it with ]", at=start)
        if all(item.template is None for item in items):
            return Comparison(subject, "not_in" if is_negated else "in", [item.value for item in items])
        parts = tuple(Comparison(subject, "ne" if is_negated else "eq", item.value, item.template) for item in items)
        return All(parts) if is_negated else Either(parts)

    def _conforms(self, subject: Subject) -> Condition:
        start = self.scanner.skip()
        name = self.scanner.quoted()
        if name is None:
            match = self.scanner.take(_FILE)
            name = match[0] if match else ""
        if not name:
            self.scanner.fail("names no file after `schema`", "Write `schema order.schema.json`", at=start)
        return Comparison(subject, "conforms", self.read_schema(name, self.path))

    def _operand(self, subject: Subject, operator: str) -> _Operand:
        scanner = self.scanner
        start = scanner.skip()
        text = scanner.quoted()
        if text is None:
            text = scanner.template()
        if text is not None:
            return self._text(text, subject, start)
        match = scanner.take(_BARE)
        if match is None:
            scanner.fail("ends where a value to compare with is missing", _HINT, at=start)
        word = match[0]
        if subject.kind in ("time", "size", "status"):
            return _Operand(self._quantity(word, subject.kind, start))
        number = _NUMBER.fullmatch(word)
        if number:
            return _Operand(self._number(word, is_whole=not (number[1] or number[2]), start=start))
        if word in ("true", "false", "null"):
            return _Operand(json.loads(word))
        self._refuse_number(word, operator, start)
        if self._names_a_value(word):
            hint = f'Write `{{{{{word}}}}}` for the variable, or `"{word}"` for the text'
            scanner.fail(f"compares with {word}, which is a text here and also a variable", hint, at=start)
        return _Operand(word)

    def _text(self, text: str, subject: Subject, start: int) -> _Operand:
        if subject.kind in ("time", "size", "status"):
            self.scanner.fail(f"compares {subject.kind} with a text", _quantity_hint(subject.kind), at=start)
        if "{{" not in text:
            return _Operand(text)
        template = self.names.template(text, self.path)
        if all(isinstance(part, LiteralPart) for part in template):
            return _Operand("".join(part.text for part in template if isinstance(part, LiteralPart)))
        return _Operand(None, template)

    def _names_a_value(self, word: str) -> bool:
        scope = self.names.scope
        return word in self.names.variables or (scope is not None and word in scope.slots)

    def _refuse_number(self, word: str, operator: str, start: int) -> None:
        if not word[0].isdigit() or operator not in ("lt", "le", "gt", "ge"):
            return
        what = f'compares with "{word}", which is not a number'
        hint = "Only `time` is compared with a duration, and only `size` with a size"
        self.scanner.fail(what, hint, at=start)

    def _number(self, word: str, *, is_whole: bool, start: int) -> int | float:
        if is_whole and len(word) <= 20 and -(2**63) <= int(word) < 2**64:
            return int(word)
        value = float(word)
        if not math.isfinite(value):
            self.scanner.fail(f"compares with {word[:20]}…, which is too large a number", at=start)
        return value

    def _quantity(self, word: str, kind: str, start: int) -> int:
        """Return a status, nanoseconds, or bytes."""
        if kind == "time" and not _NUMBER.fullmatch(word):
            try:
                return round(parse_duration(word) * 1e9)
            except ValueError:
                pass
        elif kind == "time" and float(word) == 0:
            return 0
        elif kind == "size" and (size := _SIZE.fullmatch(word)):
            return round(float(size[1]) * _SIZES[size[2].lower()])
        elif kind in ("size", "status") and word.isdecimal() and len(word) <= 15:
            return int(word)
        what = f'compares {kind} with "{word}"'
        if kind == "time" and _NUMBER.fullmatch(word):
            what = f"compares time with {word}, which has no unit"
        return self.scanner.fail(what, _quantity_hint(kind, word), at=start)


def _quantity_hint(kind: str, word: str = "") -> str:
    if kind == "time":
        return f"Write `{word if _NUMBER.fullmatch(word) else '500'}ms` or another duration"
    if kind == "size":
        return "Write bytes, or a unit: `1500`, `100kb`, `1mb`, `64kib`"
    if re.fullmatch(r"[1-5]xx", word, re.IGNORECASE):
        return f"Write `status >= {word[0]}00 and status < {int(word[0]) + 1}00`"
    return "Write a status code: `status == 200`, `status in [200, 404]`, `status < 400`"


def judges_status(condition: Condition) -> bool:
    """Return whether a condition judges the status code."""
    if isinstance(condition, Comparison):
        return condition.subject.kind == "status"
    if isinstance(condition, Negation):
        return judges_status(condition.part)
    return any(judges_status(part) for part in condition.parts)
