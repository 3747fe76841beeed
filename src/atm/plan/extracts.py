"""Compile extracts: what a step takes from a response into a variable.

    extract = source *( "|" pick ) [ "|" "default" operand ]
    source  = "status" / "body" / ( "header" / "cookie" ) NAME / JSONPATH / "regex" pattern
    operand = number / "true" / "false" / "null" / quoted text / word

Definitions for users: docs/reference/scenarios.md.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, cast

from atm.dataclass import dataclass
from atm.models.fields import Path
from atm.models.request import ExtractSpec
from atm.plan.program import Extract, Pick, Subject
from atm.plan.subjects import PICKS, ConditionSyntaxError, Scanner, read_subject, reported
from atm.plan.templates import Names

_DEFAULT = re.compile(r"[^\s|]+")
_HINT = 'Examples: `$.items[*].id | random`, `header Location`, `cookie session`, `regex "id=([0-9]+)"`, `status`'
_SOURCES = ("json", "header", "cookie", "regex", "status", "body")
_WITH_PICK = ("json", "header", "regex")


@dataclass(frozen=True, slots=True)
class _Source:
    subject: Subject
    text: str
    has_default: bool = False
    default: Any = None


def compile_extract(slot: int, written: str | ExtractSpec, path: Path, names: Names) -> Extract | None:
    """Compile an extract; None if there are problems, which are added to the findings."""
    before = len(names.findings)
    source = _line(written, path, names) if isinstance(written, str) else _long(written, path, names)
    if source is None or len(names.findings) > before:
        return None
    return Extract(slot, source.subject, source.text, source.has_default, source.default)


def _line(text: str, path: Path, names: Names) -> _Source | None:
    scanner = Scanner(text, "extract", "bad_extract")
    try:
        return _read(scanner, path, names)
    except ConditionSyntaxError as problem:
        reported(problem, path, names)
        return None


def _read(scanner: Scanner, path: Path, names: Names) -> _Source:
    start = scanner.skip()
    if not scanner.text.startswith("$", start) and scanner.peek_word() not in _SOURCES[1:]:
        scanner.fail("begins with no source: $…, header, cookie, regex, status or body", _HINT, at=start)
    subject = read_subject(scanner, names, path, of_response=True)
    text = scanner.text[start : scanner.position].strip()
    default: Any = None
    has_default = False
    while scanner.literal("|"):
        bar = scanner.position
        if scanner.word("default"):
            has_default, default = True, _default(scanner)
        elif pick := scanner.word(*PICKS):
            scanner.fail(f"cannot take `| {pick}` here", _HINT, at=bar)
        else:
            hint = f"After | comes one of: {', '.join(PICKS)}, default VALUE"
            scanner.fail(f'has "{scanner.rest()}" after |', hint, at=bar)
    if rest := scanner.rest():
        scanner.fail(f'continues with "{rest}" after its end', _HINT)
    return _Source(subject, text, has_default, default)


def _default(scanner: Scanner) -> Any:
    text = scanner.quoted()
    if text is not None:
        return text
    match = scanner.take(_DEFAULT)
    if match is None:
        scanner.fail("names no value after `default`", 'Write `default 0` or `default ""`')
    try:
        value = json.loads(match[0])
    except ValueError:
        return match[0]
    return value if not isinstance(value, list | dict) else match[0]


def _long(written: ExtractSpec, path: Path, names: Names) -> _Source | None:
    sources = [name for name in _SOURCES if name in written.written and getattr(written, name) is not False]
    if len(sources) != 1:
        what = f"an extract has one source, and this one has {' and '.join(sources) or 'none'}"
        names.findings.add(path, what, "bad_extract", f"Keep one of: {', '.join(_SOURCES)}")
        return None
    kind = sources[0]
    place = (*path, kind)
    text = "" if kind in ("status", "body") else str(getattr(written, kind))
    line = {"json": text, "regex": f"regex {json.dumps(text, ensure_ascii=False)}"}.get(kind, f"{kind} {text}".strip())
    if kind == "json" and not text.startswith("$"):
        what = f'"{text[:120]}" is not a JSONPath: it must begin with $'
        names.findings.add(place, what, "bad_json_path", "For example `$.token`")
        return None
    source = _line(line, place, names)
    if source is None:
        return None
    subject = source.subject
    if written.pick != "first":
        if kind not in _WITH_PICK:
            what = f"pick applies to json, header and regex, not to {kind}"
            names.findings.add((*path, "pick"), what, "bad_extract", "Leave it out")
            return None
        drawn = names.places.take() if written.pick == "random" else 0
        subject = Subject(cast('Literal["json"]', subject.kind), subject.text, cast("Pick", written.pick), drawn)
    return _Source(subject, source.text, "default" in written.written, written.default)
